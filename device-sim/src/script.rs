//! The incidents of a city whose configuration names none: from the seed, around the start of the run.

use crate::chance::Chance;
use crate::config::Incident;
use crate::device::{DeviceSpec, Family};

const MINUTE: i64 = 60;
const HOUR: i64 = 3_600;

/// One of each kind that is over, and one that is under way or about to begin.
pub fn incidents(chance: Chance, devices: &[DeviceSpec]) -> Vec<Incident> {
    let mut incidents = Vec::new();
    air(chance, devices, &mut incidents);
    road(chance, devices, &mut incidents);
    rain(chance, devices, &mut incidents);
    line(chance, devices, &mut incidents);
    machine(chance, devices, &mut incidents);
    incidents
}

/// Whether an incident's numbers can be.
pub fn check(incident: &Incident) -> Result<(), String> {
    let (from_s, to_s, size) = match incident {
        Incident::Pollution { from_s, to_s, peak, .. } => (from_s, to_s, *peak),
        Incident::StoppedLane { from_s, to_s, queue, .. } => (from_s, to_s, f64::from(*queue)),
        Incident::Rainstorm { from_s, to_s, total, heaviest, .. } => (from_s, to_s, total.min(*heaviest)),
        Incident::BlindReader { from_s, to_s, .. } => (from_s, to_s, 1.0),
        Incident::Wear { from_s, to_s, peak, .. } => (from_s, to_s, *peak),
    };
    let years = 100 * 366 * 24 * HOUR;
    match from_s < to_s && -years < *from_s && *to_s < years {
        _ if !(size > 0.0 && size <= 10_000.0) => Err("is of no size, or beyond 10000".to_string()),
        true => Ok(()),
        false => Err("must end after it began, both within a hundred years".to_string()),
    }
}

fn air(chance: Chance, devices: &[DeviceSpec], incidents: &mut Vec<Incident>) {
    let names = areas(devices, Family::Air, "district/", 1);
    let shift = moved(chance, 0, 30 * MINUTE);
    if let Some((over, under_way)) = two(chance.child(0), &names) {
        let (from_s, to_s) = (-12 * HOUR + shift, -7 * HOUR + shift);
        incidents.push(Incident::Pollution { district: over, from_s, to_s, peak: 150.0 });
        let from_s = -3 * HOUR + shift;
        incidents.push(Incident::Pollution { district: under_way, from_s, to_s: 3 * HOUR, peak: 170.0 });
    }
}

fn road(chance: Chance, devices: &[DeviceSpec], incidents: &mut Vec<Incident>) {
    let names = areas(devices, Family::Traffic, "road/", 7);
    let shift = moved(chance, 1, 30 * MINUTE);
    if let Some((over, under_way)) = two(chance.child(1), &names) {
        let (from_s, to_s) = (-8 * HOUR + shift, -8 * HOUR + 45 * MINUTE + shift);
        incidents.push(Incident::StoppedLane { road: over, rank: 5, queue: 5, from_s, to_s });
        let (from_s, to_s) = (-5 * MINUTE, 10 * MINUTE);
        incidents.push(Incident::StoppedLane { road: under_way, rank: 6, queue: 5, from_s, to_s });
    }
}

fn rain(chance: Chance, devices: &[DeviceSpec], incidents: &mut Vec<Incident>) {
    let names = areas(devices, Family::Weather, "district/", 3);
    let shift = moved(chance, 2, 30 * MINUTE);
    if let Some((district, _)) = two(chance.child(2), &names) {
        let (from_s, to_s) = (-7 * HOUR + shift, -4 * HOUR + shift);
        incidents.push(Incident::Rainstorm { district, from_s, to_s, total: 75.0, heaviest: 135.0 });
    }
}

fn line(chance: Chance, devices: &[DeviceSpec], incidents: &mut Vec<Incident>) {
    let shift = moved(chance, 3, 20 * MINUTE);
    let middle: Vec<String> = devices
        .iter()
        .filter(|device| device.family == Family::Rfid && (2..4).contains(&device.rank))
        .map(|device| device.id.clone())
        .collect();
    if let Some((over, to_come)) = two(chance.child(3), &middle) {
        let (from_s, to_s) = (-5 * HOUR + shift, -4 * HOUR + shift);
        incidents.push(Incident::BlindReader { device: over, from_s, to_s });
        incidents.push(Incident::BlindReader { device: to_come, from_s: -4 * MINUTE, to_s: 12 * MINUTE });
    }
}

fn machine(chance: Chance, devices: &[DeviceSpec], incidents: &mut Vec<Incident>) {
    let ids: Vec<String> = devices
        .iter()
        .filter(|device| device.family == Family::Machine)
        .map(|device| device.id.clone())
        .collect();
    if let Some((device, worn)) = two(chance.child(4), &ids) {
        let (from_s, to_s) = (-17 * HOUR, -10 * HOUR);
        incidents.push(Incident::Wear { device, from_s, to_s, peak: 5.8, repaired_s: Some(-9 * HOUR) });
        incidents.push(Incident::Wear {
            device: worn,
            from_s: -18 * HOUR,
            to_s: -HOUR,
            peak: 6.4,
            repaired_s: None,
        });
    }
}

/// Areas of a family with at least so many devices, without the prefix.
fn areas(devices: &[DeviceSpec], family: Family, prefix: &str, least: u32) -> Vec<String> {
    let of_family = devices.iter().filter(|device| device.family == family);
    let last = of_family.filter(|device| device.rank + 1 == least);
    last.filter_map(|device| device.area.strip_prefix(prefix).map(str::to_string)).collect()
}

/// Two different ones by chance; the same twice when there is only one.
fn two(chance: Chance, of: &[String]) -> Option<(String, String)> {
    let first = chance.pick(0, of.len());
    let second = (first + 1 + chance.pick(1, of.len().saturating_sub(1))) % of.len().max(1);
    Some((of.get(first)?.clone(), of.get(second)?.clone()))
}

fn moved(chance: Chance, n: i64, most: i64) -> i64 {
    chance.between(n, -(most as f64), most as f64) as i64
}
