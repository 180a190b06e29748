//! A device as the registry knows it. Entries travel on `telemetry`, so that whatever they change in a
//! result is part of the input, and from there to `observations` and `aggregates`.

use crate::{Name, Timestamp};

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
}
