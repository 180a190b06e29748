//! Coordinate systems that sources state positions in, and a position as it was stated.

/// A geographic coordinate system, in degrees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Crs {
    /// What satellite receivers say, and what every [`crate::Position`] is in.
    #[default]
    Wgs84 = 0,
    /// The national system of China, GB 22021; equal to WGS-84 within half a metre.
    Cgcs2000 = 1,
    /// WGS-84 shifted by some hundreds of metres: what Chinese maps and navigation use.
    Gcj02 = 2,
    /// GCJ-02 shifted once more: what Baidu's maps use.
    Bd09 = 3,
}

/// A position in the words of its source, kept beside the WGS-84 that was made of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StatedPosition {
    /// In which system; never [`Crs::Wgs84`], which is stored as it was stated.
    pub crs: Crs,
    /// Longitude, degrees east in that system.
    pub lon: f64,
    /// Latitude, degrees north in that system.
    pub lat: f64,
}

impl Crs {
    /// Every system.
    pub const ALL: [Crs; 4] = [Crs::Wgs84, Crs::Cgcs2000, Crs::Gcj02, Crs::Bd09];

    /// The name in configuration and registry.
    pub const fn name(self) -> &'static str {
        match self {
            Crs::Wgs84 => "wgs84",
            Crs::Cgcs2000 => "cgcs2000",
            Crs::Gcj02 => "gcj02",
            Crs::Bd09 => "bd09",
        }
    }

    /// The system of that name.
    pub fn from_name(name: &str) -> Option<Crs> {
        Crs::ALL.into_iter().find(|crs| crs.name() == name)
    }

    /// The system of that code on the log.
    pub fn from_code(code: u8) -> Option<Crs> {
        Crs::ALL.into_iter().find(|crs| *crs as u8 == code)
    }
}
