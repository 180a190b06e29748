//! A device as the registry should know it.

use firmware_protocol::Position;

/// What kind of device it is; the names are those of the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Air stations.
    Air,
    /// Water probes.
    Water,
    /// Weather stations.
    Weather,
    /// Loops along a road.
    Traffic,
    /// Readers along a line.
    Rfid,
    /// Machines.
    Machine,
}

impl Family {
    /// The registry's name.
    pub const fn name(self) -> &'static str {
        match self {
            Family::Air => "air",
            Family::Water => "water",
            Family::Weather => "weather",
            Family::Traffic => "traffic",
            Family::Rfid => "rfid",
            Family::Machine => "machine",
        }
    }
}

/// A device as the registry should know it.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceSpec {
    /// Identity on MQTT.
    pub id: String,
    /// What it is.
    pub family: Family,
    /// What a person calls it.
    pub label: String,
    /// What it rolls up into: a district, a river, a road, a line, a hall.
    pub area: String,
    /// Its place in the order of its area, from 0.
    pub rank: u32,
    /// Where it stands, WGS-84.
    pub position: Position,
}

impl DeviceSpec {
    /// A line of CSV (RFC 4180) under [`DeviceSpec::CSV_HEADER`].
    pub fn to_csv(&self) -> String {
        let quoted = |text: &str| match text.contains([',', '"', '\n', '\r']) {
            true => format!("\"{}\"", text.replace('"', "\"\"")),
            false => text.to_string(),
        };
        format!(
            "{},{},{},{},{:.6},{:.6},{}",
            self.id,
            self.family.name(),
            quoted(&self.area),
            self.rank,
            self.position.lon,
            self.position.lat,
            quoted(&self.label)
        )
    }

    /// The columns of [`DeviceSpec::to_csv`].
    pub const CSV_HEADER: &str = "id,family,area,rank,lon,lat,label";
}
