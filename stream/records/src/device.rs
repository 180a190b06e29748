//! A device as the registry knows it. Entries travel on `telemetry`, so that whatever they change in a
//! result is part of the input, and from there to `observations` and `aggregates`.

use crate::{Name, Quantity, Timestamp};

/// What kind of device it is: decides which pipeline runs and which quantities are plausible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Family {
    /// Ambient air stations and micro-stations.
    Air = 1,
    /// Surface-water probes.
    Water = 2,
    /// Weather stations and rain gauges.
    Weather = 3,
    /// Loops, radars, cameras: flow, occupancy, speed, passages.
    Traffic = 4,
    /// RFID readers.
    Rfid = 5,
    /// Machines and their vibration pickups.
    Machine = 6,
    /// Anything else: kept, windowed, no domain rule.
    Other = 0,
}

impl Family {
    /// Every family, in the order of their codes on the log.
    pub const ALL: [Family; 7] = [
        Family::Other,
        Family::Air,
        Family::Water,
        Family::Weather,
        Family::Traffic,
        Family::Rfid,
        Family::Machine,
    ];

    /// The name in configuration and API (`air`, `water`, …).
    pub const fn name(self) -> &'static str {
        match self {
            Family::Air => "air",
            Family::Water => "water",
            Family::Weather => "weather",
            Family::Traffic => "traffic",
            Family::Rfid => "rfid",
            Family::Machine => "machine",
            Family::Other => "other",
        }
    }

    /// The family of that name.
    pub fn from_name(name: &str) -> Option<Family> {
        Family::ALL.into_iter().find(|family| family.name() == name)
    }

    /// The family of that code on the log.
    pub fn from_code(code: u8) -> Option<Family> {
        Family::ALL.into_iter().find(|family| *family as u8 == code)
    }
}

/// A place on Earth, WGS-84, degrees.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Position {
    /// Longitude, degrees east, −180…180.
    pub lon: f64,
    /// Latitude, degrees north, −90…90.
    pub lat: f64,
}

/// A registry entry. The newest `updated_at` of a device wins.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Device {
    /// Identity on MQTT and key on the log.
    pub id: Name,
    /// Decides pipeline and plausible ranges.
    pub family: Family,
    /// What a person calls it; empty when nobody named it.
    pub label: Name,
    /// What it rolls up into: a district, a road, a line. Key of `aggregates`.
    pub area: Name,
    /// Its place in the order of its area: detectors along a road, stations along a line.
    pub rank: u32,
    /// Where it stands, when that is known.
    pub position: Option<Position>,
    /// A disabled device may not connect.
    pub is_enabled: bool,
    /// When the registry last changed this entry (the registry's clock).
    #[serde(with = "crate::time::as_millis")]
    pub updated_at: Timestamp,
    /// Limits of quality tests that hold at its site, in place of those of its family.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
}

/// One limit of a quality test at a device's site.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Limit {
    /// Of which quantity.
    #[serde(with = "crate::quantity::as_name")]
    pub quantity: Quantity,
    /// Which limit.
    pub kind: LimitKind,
    /// In the quantity's unit, per minute, or seconds. Finite.
    pub value: f64,
}

/// Which limit of a quality test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum LimitKind {
    /// Less is suspect.
    Least = 1,
    /// More is suspect.
    Most = 2,
    /// A jump that is taken back, by more than this, is suspect.
    SpikeSuspect = 3,
    /// By more than this it is bad.
    SpikeBad = 4,
    /// A change by more than this per minute is suspect.
    RatePerMinute = 5,
    /// Values this close together are one.
    FlatWithin = 6,
    /// A value that stays longer, seconds, is suspect.
    FlatSuspectSeconds = 7,
    /// Longer, it is bad.
    FlatBadSeconds = 8,
    /// A longer silence, seconds, is noted.
    GapSeconds = 9,
}

impl LimitKind {
    /// Every kind, with its name in configuration and API.
    pub const ALL: [(LimitKind, &'static str); 9] = [
        (LimitKind::Least, "least"),
        (LimitKind::Most, "most"),
        (LimitKind::SpikeSuspect, "spike_suspect"),
        (LimitKind::SpikeBad, "spike_bad"),
        (LimitKind::RatePerMinute, "rate_per_minute"),
        (LimitKind::FlatWithin, "flat_within"),
        (LimitKind::FlatSuspectSeconds, "flat_suspect_seconds"),
        (LimitKind::FlatBadSeconds, "flat_bad_seconds"),
        (LimitKind::GapSeconds, "gap_seconds"),
    ];

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<LimitKind> {
        LimitKind::ALL.into_iter().find(|(_, known)| *known == name).map(|(kind, _)| kind)
    }

    /// The kind of that code on the log.
    pub fn from_code(code: u8) -> Option<LimitKind> {
        LimitKind::ALL.into_iter().map(|(kind, _)| kind).find(|kind| *kind as u8 == code)
    }
}
