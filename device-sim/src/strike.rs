//! What an incident does to a device.

use crate::chance::{Chance, SECOND};
use crate::config::Incident;
use crate::device::DeviceSpec;
use crate::model::{Blind, Jam, JamKind, Plume, Storm, Worn};
use crate::place;
use crate::voice::Model;

/// Lets an incident act on a device; whether it did.
pub fn hit(incident: &Incident, spec: &DeviceSpec, model: &mut Model, now: i64, chance: Chance) -> bool {
    let at = |seconds: i64| now + seconds * SECOND;
    match (incident, model) {
        (Incident::Pollution { district, from_s, to_s, peak }, Model::Air(air)) => {
            let is_hit = spec.area == place::district(district);
            let peak = peak * chance.named(&spec.id).between(1, 0.85, 1.15);
            air.plumes.extend(is_hit.then_some(Plume { from: at(*from_s), to: at(*to_s), peak }));
            is_hit
        }
        (Incident::Rainstorm { district, from_s, to_s, total, heaviest }, Model::Weather(weather)) => {
            let is_hit = spec.area == place::district(district);
            let total = if spec.rank == 0 { *heaviest } else { *total };
            weather.storms.extend(is_hit.then_some(Storm { from: at(*from_s), to: at(*to_s), total }));
            is_hit
        }
        (Incident::StoppedLane { road, rank, queue, from_s, to_s }, Model::Detector(detector)) => {
            let jam = (spec.area == place::road(road))
                .then(|| jam(*rank, *queue, spec.rank, at(*from_s), at(*to_s)));
            detector.jams.extend(jam.flatten());
            jam.flatten().is_some()
        }
        (Incident::BlindReader { device, from_s, to_s }, Model::Reader(reader)) if *device == spec.id => {
            reader.blind.push(Blind { from: at(*from_s), to: at(*to_s) });
            true
        }
        (Incident::Wear { device, from_s, to_s, peak, repaired_s }, Model::Machine(machine))
            if *device == spec.id =>
        {
            let repaired = repaired_s.map_or(i64::MAX, at);
            machine.worn.push(Worn { from: at(*from_s), to: at(*to_s), peak: *peak, repaired });
            true
        }
        _ => false,
    }
}

/// What a closure just behind detector `closed` does to detector `rank`: the queue grows upstream by a detector
/// each 45 s and dissolves from its head by one each 30 s; two detectors downstream run nearly empty.
fn jam(closed: u32, queue: u32, rank: u32, from: i64, to: i64) -> Option<Jam> {
    let upstream = closed.checked_sub(rank).filter(|steps| *steps < queue).map(i64::from);
    let downstream = rank.checked_sub(closed).is_some_and(|steps| steps == 1 || steps == 2);
    let queued = |steps| (from + steps * 45 * SECOND, to + steps * 30 * SECOND);
    match upstream.map(queued) {
        Some((from, to)) => Some(Jam { from, to, kind: JamKind::Queue }),
        None if downstream => {
            Some(Jam { from: from + 30 * SECOND, to: to + 30 * SECOND, kind: JamKind::Starved })
        }
        None => None,
    }
}
