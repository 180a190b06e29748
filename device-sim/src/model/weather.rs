//! Weather stations with a tipping-bucket gauge.

use super::{Moment, Values, progress, round};
use crate::chance::Chance;
use firmware_protocol::quantities as q;
use std::f64::consts::TAU;

/// A weather station.
#[derive(Clone, Debug)]
pub struct Weather {
    /// Its own noise.
    pub chance: Chance,
    /// Rain that reaches it.
    pub storms: Vec<Storm>,
}

/// Rain: swells and ebbs, heaviest in the middle.
#[derive(Clone, Copy, Debug)]
pub struct Storm {
    /// First millisecond.
    pub from: i64,
    /// First millisecond after.
    pub to: i64,
    /// mm in all.
    pub total: f64,
}

/// What one tip of the bucket holds, mm.
const TIP: f64 = 0.1;

impl Weather {
    /// What it measures; rain is what fell in the `interval` milliseconds before.
    pub fn values(&self, at: &Moment, interval: i64) -> Values {
        let own = |name| self.chance.named(name).texture(at.time);
        let shared = |name| at.city.named(name).texture(at.time);
        let wet = self.strength(at.time);
        let breeze = (1.0 + 0.35 * at.wave(15.0)) * (0.3 * shared("wind") + 0.15 * own("wind")).exp();
        let wind = 2.2 * breeze + 4.0 * wet;
        let gust = wind * (1.55 + 0.1 * own("gust")).max(1.1);
        let humidity = at.humidity() + 1.5 * own("humidity") + 25.0 * wet;
        let pressure =
            1012.0 + 1.2 * (at.hour / 12.0 * TAU - 5.2).cos() + 2.0 * shared("pressure") - 1.5 * wet;
        let clear = (14_000.0 * (0.25 * shared("visibility") + 0.05 * own("visibility")).exp()).min(30_000.0);
        vec![
            (q::TEMPERATURE, round(at.temperature() + 0.4 * own("temperature") - 3.0 * wet, 1)),
            (q::HUMIDITY, round(humidity.clamp(20.0, 100.0), 1)),
            (q::PRESSURE, round(pressure + 0.1 * own("pressure"), 1)),
            (q::WIND_SPEED, round(wind, 1)),
            (q::WIND_DIRECTION, direction(135.0 + 45.0 * shared("direction") + 12.0 * own("direction"))),
            (q::GUST, round(gust, 1)),
            (q::RAINFALL, self.rainfall(at.time - interval, at.time)),
            (q::VISIBILITY, round(clear * (1.0 - 0.8 * wet), 0)),
        ]
    }

    /// Tips between two instants: differences of a counter, so that no tip is lost or counted twice.
    fn rainfall(&self, from: i64, to: i64) -> f64 {
        let tips = |time| (self.fallen(time) / TIP + 1e-6).floor();
        round((tips(to) - tips(from)) * TIP, 1)
    }

    /// mm since for ever.
    fn fallen(&self, time: i64) -> f64 {
        let of = |storm: &Storm| {
            let part = ((time - storm.from) as f64 / (storm.to - storm.from) as f64).clamp(0.0, 1.0);
            storm.total * (part - (TAU * part).sin() / TAU)
        };
        self.storms.iter().map(of).sum()
    }

    /// 0 dry … 1 in the middle of a storm.
    fn strength(&self, time: i64) -> f64 {
        let of = |storm: &Storm| {
            let part = progress(time, storm.from, storm.to)?;
            Some((1.0 - (TAU * part).cos()) / 2.0)
        };
        self.storms.iter().filter_map(of).fold(0.0, f64::max)
    }
}

/// Whole degrees, north as 360, never 0.
fn direction(degrees: f64) -> f64 {
    match degrees.round().rem_euclid(360.0) {
        0.0 => 360.0,
        other => other,
    }
}
