//! A city as a file says it; every field has a default.

use serde::{Deserialize, Serialize};

/// A city: what stands where, how often it speaks, and what goes wrong.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct CityConfig {
    /// Everything that looks like chance comes from it.
    pub seed: u64,
    /// When the devices started to count their messages, RFC 3339. Nothing is said before.
    pub origin: String,
    /// The devices' epoch.
    pub epoch: u32,
    /// Hours that local time is ahead of UTC; days have their shape in local time.
    pub utc_offset_hours: f64,
    /// One device in so many speaks JSON instead of CBOR; 0 for none.
    pub json_every: usize,
    /// Air stations, shared out over the districts.
    pub air: Fleet,
    /// Water probes, shared out over the rivers.
    pub water: Fleet,
    /// Weather stations, shared out over the districts.
    pub weather: Fleet,
    /// Detectors, shared out over the roads.
    pub traffic: Fleet,
    /// Readers, shared out over the lines.
    pub rfid: Fleet,
    /// Machines, all in one hall.
    pub machine: Fleet,
    /// The plant's lines.
    pub lines: usize,
    /// Where the plant is: [longitude, latitude].
    pub plant: [f64; 2],
    /// Metres between detectors of a road.
    pub detector_spacing_m: f64,
    /// Where air and weather stations stand; Guangzhou's when left out.
    pub district: Vec<District>,
    /// Where water probes lie; the Pearl River's arms when left out.
    pub river: Vec<River>,
    /// Where detectors lie; six arterials of Guangzhou when left out.
    pub road: Vec<Road>,
    /// What goes wrong; scripted from the seed when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<Vec<Incident>>,
}

/// The devices of a family.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Fleet {
    /// How many.
    pub count: usize,
    /// Seconds between two messages of one.
    pub every_s: u32,
}

/// A district: an area with stations.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct District {
    /// Short name; the area is `district/{name}`.
    pub name: String,
    /// For people.
    pub label: String,
    /// Corners, [longitude, latitude], WGS-84; closed by itself.
    pub outline: Vec<[f64; 2]>,
}

/// A river: an area with probes.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct River {
    /// Short name; the area is `river/{name}`.
    pub name: String,
    /// For people.
    pub label: String,
    /// Its course downstream, [longitude, latitude], WGS-84.
    pub course: Vec<[f64; 2]>,
}

/// A road: an area with detectors in the order of travel.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Road {
    /// Short name; the area is `road/{name}`.
    pub name: String,
    /// For people.
    pub label: String,
    /// Its course in the direction of travel, [longitude, latitude], WGS-84.
    pub course: Vec<[f64; 2]>,
    /// Lanes of that direction.
    pub lanes: u32,
    /// Speed on an empty road, km/h.
    pub free_speed: f64,
}

/// Something that goes wrong. Times are seconds from the start of the run, negative in the backlog.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Incident {
    /// PM2.5 rises in a district.
    Pollution {
        /// Name of the district.
        district: String,
        /// When it begins to rise.
        from_s: i64,
        /// When it is gone.
        to_s: i64,
        /// What it adds at its height, µg/m³.
        peak: f64,
    },
    /// A closed lane: the road stands upstream of a detector, and is empty behind it.
    StoppedLane {
        /// Name of the road.
        road: String,
        /// Rank of the detector just upstream of the closure.
        rank: u32,
        /// Detectors in the queue at its longest.
        queue: u32,
        /// When the lane closes.
        from_s: i64,
        /// When it opens.
        to_s: i64,
    },
    /// Rain over a district.
    Rainstorm {
        /// Name of the district.
        district: String,
        /// When it begins.
        from_s: i64,
        /// When it ends.
        to_s: i64,
        /// What falls at every station in all, mm.
        total: f64,
        /// What falls at the district's first station, mm.
        heaviest: f64,
    },
    /// A reader that sees no tags, though it reports.
    BlindReader {
        /// Its id.
        device: String,
        /// When it goes blind.
        from_s: i64,
        /// When it sees again.
        to_s: i64,
    },
    /// A bearing that wears out: vibration grows by a constant share.
    Wear {
        /// The machine's id.
        device: String,
        /// When it begins.
        from_s: i64,
        /// When vibration reaches its peak.
        to_s: i64,
        /// Vibration then, mm/s.
        peak: f64,
        /// When it is repaired; never when left out.
        #[serde(skip_serializing_if = "Option::is_none")]
        repaired_s: Option<i64>,
    },
}

impl Default for CityConfig {
    fn default() -> CityConfig {
        CityConfig {
            seed: 20_260_301,
            origin: "2025-01-01T00:00:00+08:00".to_string(),
            epoch: 1,
            utc_offset_hours: 8.0,
            json_every: 5,
            air: Fleet { count: 60, every_s: 60 },
            water: Fleet { count: 20, every_s: 120 },
            weather: Fleet { count: 30, every_s: 60 },
            traffic: Fleet { count: 60, every_s: 60 },
            rfid: Fleet { count: 12, every_s: 60 },
            machine: Fleet { count: 12, every_s: 30 },
            lines: 2,
            plant: [113.4900, 23.0850],
            detector_spacing_m: 400.0,
            district: crate::guangzhou::districts(),
            river: crate::guangzhou::rivers(),
            road: crate::guangzhou::roads(),
            incident: None,
        }
    }
}
