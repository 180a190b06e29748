//! Detectors on a road: count, occupancy and speed that fit each other by a triangular fundamental diagram.

use super::{Moment, Values, round};
use crate::chance::Chance;
use firmware_protocol::quantities as q;

/// A detector over all lanes of one direction.
#[derive(Clone, Debug)]
pub struct Detector {
    /// Its own noise.
    pub chance: Chance,
    /// What the road's detectors share.
    pub road: Chance,
    /// Speed on the empty road, km/h.
    pub free_speed: f64,
    /// Lanes.
    pub lanes: f64,
    /// Closures that it feels.
    pub jams: Vec<Jam>,
}

/// What a closed lane does to a detector.
#[derive(Clone, Copy, Debug)]
pub struct Jam {
    /// First millisecond.
    pub from: i64,
    /// First millisecond after.
    pub to: i64,
    /// Before the closure, or behind it.
    pub kind: JamKind,
}

/// Where a detector lies, seen from the closure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JamKind {
    /// In the queue.
    Queue,
    /// Behind the closure: only what gets through.
    Starved,
}

/// Backward speed of a queue's edge, km/h.
const WAVE: f64 = 18.0;
/// Vehicles per km and lane when nothing moves.
const JAM_DENSITY: f64 = 130.0;
/// A vehicle and the detector's field, km.
const EFFECTIVE_LENGTH: f64 = 0.0063;

impl Detector {
    /// What it counted in the `interval` milliseconds before.
    pub fn values(&self, at: &Moment, interval: i64) -> Values {
        let jam = self.jams.iter().find(|jam| jam.from <= at.time && at.time < jam.to);
        let (flow, speed) = match jam.map(|jam| jam.kind) {
            Some(JamKind::Queue) => self.queued(at),
            Some(JamKind::Starved) => self.free(at, 0.5),
            None => self.free(at, 1.0),
        };
        let hours = interval as f64 / 3_600_000.0;
        let mean = flow * self.lanes * hours;
        let spread = if jam.is_some_and(|jam| jam.kind == JamKind::Queue) { 0.3 } else { 1.0 };
        let count =
            (mean + spread * mean.sqrt() * self.chance.named("count").normal(at.time)).round().max(0.0);
        let density = count / hours / self.lanes / speed;
        let occupancy = (density.min(JAM_DENSITY) * EFFECTIVE_LENGTH * 100.0).clamp(0.0, 100.0);
        let mut values = vec![(q::VEHICLE_COUNT, count), (q::OCCUPANCY, round(occupancy, 1))];
        if count > 0.0 {
            values.push((q::SPEED, round(speed, 1)));
        }
        values
    }

    /// Flow (vehicles per hour and lane) and speed of the uncongested branch, with a share of the demand.
    fn free(&self, at: &Moment, share: f64) -> (f64, f64) {
        let peaks = 0.85 * at.bump(8.5, 1.3) + 0.9 * at.bump(18.5, 1.5) + 0.55 * at.bump(13.5, 3.5);
        let noise = (0.08 * self.road.texture(at.time) + 0.04 * self.chance.texture(at.time)).exp();
        let flow = (110.0 + 950.0 * peaks) * noise * share;
        let capacity = self.free_speed * WAVE * JAM_DENSITY / (self.free_speed + WAVE);
        let flow = flow.min(0.85 * capacity);
        let speed = self.free_speed * (1.0 - 0.18 * flow / capacity);
        (flow, speed + 1.2 * self.chance.named("speed").normal(at.time))
    }

    /// Flow and speed inside the queue: what the closure lets through.
    fn queued(&self, at: &Moment) -> (f64, f64) {
        let density = 102.0 + 4.0 * self.chance.named("queue").normal(at.time).clamp(-2.0, 2.0);
        let flow = WAVE * (JAM_DENSITY - density);
        (flow, flow / density)
    }
}
