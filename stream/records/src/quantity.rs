//! The quantity registry: what is measured, in which unit, and what is physically possible.

use crate::{Family, Name};
use std::fmt;

/// What is known of a quantity.
#[derive(Debug, PartialEq)]
pub struct QuantityInfo {
    /// Its number on the log; never reused.
    pub code: u16,
    /// Its name on the log and in the API.
    pub name: &'static str,
    /// UCUM unit of every value under this name.
    pub unit: &'static str,
    /// Least value that is physically possible for an instrument of this kind.
    pub min: f64,
    /// Greatest value that is.
    pub max: f64,
    /// Decimals worth showing.
    pub decimals: u8,
    /// Families that have it; empty for what Sluice itself derives.
    pub families: &'static [Family],
}

/// A quantity: one of the registry, or one we don't know, kept under its own name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(Repr);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Repr {
    Known(u16),
    Named(Name),
}

impl Quantity {
    /// The quantity of that name.
    pub fn from_name(name: &str) -> Quantity {
        match REGISTRY.iter().find(|info| info.name == name) {
            Some(info) => Quantity(Repr::Known(info.code)),
            None => Quantity(Repr::Named(name.into())),
        }
    }

    /// The quantity of that number, if the registry has it.
    pub fn from_code(code: u16) -> Option<Quantity> {
        info(code).map(|info| Quantity(Repr::Known(info.code)))
    }

    /// Its number, if the registry has it.
    pub fn code(&self) -> Option<u16> {
        match self.0 {
            Repr::Known(code) => Some(code),
            Repr::Named(_) => None,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match &self.0 {
            Repr::Known(code) => info(*code).map_or("", |info| info.name),
            Repr::Named(name) => name,
        }
    }

    /// What the registry says of it.
    pub fn info(&self) -> Option<&'static QuantityInfo> {
        self.code().and_then(info)
    }

    /// The whole registry, by code.
    pub fn registry() -> &'static [QuantityInfo] {
        REGISTRY
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// By its name, in JSON.
pub(crate) mod as_name {
    use super::Quantity;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(quantity: &Quantity, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(quantity.name())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Quantity, D::Error> {
        let name = crate::Name::deserialize(from)?;
        Ok(Quantity::from_name(&name))
    }
}

fn info(code: u16) -> Option<&'static QuantityInfo> {
    let index = INDEX.get(usize::from(code))?;
    REGISTRY.get(usize::from(*index)).filter(|info| info.code == code)
}

const fn q(
    code: u16,
    name: &'static str,
    unit: &'static str,
    (min, max): (f64, f64),
    decimals: u8,
    families: &'static [Family],
) -> QuantityInfo {
    QuantityInfo { code, name, unit, min, max, decimals, families }
}

const AIR: &[Family] = &[Family::Air];
const CLIMATE: &[Family] = &[Family::Air, Family::Weather];
const WATER: &[Family] = &[Family::Water];
const WEATHER: &[Family] = &[Family::Weather];
const TRAFFIC: &[Family] = &[Family::Traffic];
const MACHINE: &[Family] = &[Family::Machine];
const DERIVED: &[Family] = &[];

/// Sorted by code. Ranges are what instruments of the kind can output, wide on purpose: beyond them a value is
/// wrong, not rare. They are configuration, not a standard.
static REGISTRY: &[QuantityInfo] = &[
    q(1, "pm2_5", "ug/m3", (0.0, 2000.0), 1, AIR),
    q(2, "pm10", "ug/m3", (0.0, 5000.0), 1, AIR),
    q(3, "so2", "ug/m3", (0.0, 5000.0), 1, AIR),
    q(4, "no2", "ug/m3", (0.0, 5000.0), 1, AIR),
    q(5, "o3", "ug/m3", (0.0, 2000.0), 1, AIR),
    q(6, "co", "mg/m3", (0.0, 200.0), 2, AIR),
    q(7, "nox", "ug/m3", (0.0, 8000.0), 1, AIR),
    q(8, "tsp", "ug/m3", (0.0, 10000.0), 1, AIR),
    q(20, "temperature", "Cel", (-50.0, 70.0), 1, CLIMATE),
    q(21, "humidity", "%", (0.0, 100.0), 1, CLIMATE),
    q(22, "pressure", "hPa", (500.0, 1100.0), 1, CLIMATE),
    q(23, "wind_speed", "m/s", (0.0, 90.0), 1, CLIMATE),
    q(24, "wind_direction", "deg", (0.0, 360.0), 0, CLIMATE),
    q(25, "gust", "m/s", (0.0, 120.0), 1, WEATHER),
    q(26, "rainfall", "mm", (0.0, 100.0), 1, WEATHER),
    q(27, "visibility", "m", (0.0, 100_000.0), 0, WEATHER),
    q(28, "solar", "W/m2", (0.0, 2000.0), 0, WEATHER),
    q(40, "ph", "[pH]", (0.0, 14.0), 2, WATER),
    q(41, "water_temperature", "Cel", (-5.0, 50.0), 1, WATER),
    q(42, "dissolved_oxygen", "mg/L", (0.0, 30.0), 2, WATER),
    q(43, "conductivity", "uS/cm", (0.0, 100_000.0), 0, WATER),
    q(44, "turbidity", "[NTU]", (0.0, 5000.0), 1, WATER),
    q(45, "cod_mn", "mg/L", (0.0, 500.0), 1, WATER),
    q(46, "nh3_n", "mg/L", (0.0, 300.0), 2, WATER),
    q(47, "tp", "mg/L", (0.0, 100.0), 3, WATER),
    q(48, "tn", "mg/L", (0.0, 500.0), 2, WATER),
    q(49, "water_level", "m", (-20.0, 500.0), 2, WATER),
    q(60, "vehicle_count", "{vehicle}", (0.0, 1000.0), 0, TRAFFIC),
    q(61, "occupancy", "%", (0.0, 100.0), 1, TRAFFIC),
    q(62, "speed", "km/h", (0.0, 200.0), 1, TRAFFIC),
    q(80, "vibration", "mm/s", (0.0, 200.0), 2, MACHINE),
    q(81, "bearing_temperature", "Cel", (-40.0, 250.0), 1, MACHINE),
    q(82, "rotation", "/min", (0.0, 60_000.0), 0, MACHINE),
    q(83, "power", "kW", (0.0, 10_000.0), 1, MACHINE),
    q(100, "battery", "V", (0.0, 60.0), 2, &Family::ALL),
    q(120, "iaqi_pm2_5", "{IAQI}", (0.0, 500.0), 0, DERIVED),
    q(121, "rainfall_3h", "mm", (0.0, 2000.0), 1, DERIVED),
    q(122, "queue_detectors", "{detector}", (0.0, 10_000.0), 0, DERIVED),
    q(123, "tag_reads", "{read}", (0.0, 1e9), 0, DERIVED),
    q(124, "tags_missing", "{tag}", (0.0, 1e9), 0, DERIVED),
];

/// Where in the registry a code stands, as codes are looked up for every reading; 0 for those that don't.
static INDEX: [u8; 256] = {
    let mut index = [0; 256];
    let mut at = 0;
    while at < REGISTRY.len() {
        index[REGISTRY[at].code as usize] = at as u8;
        at += 1;
    }
    index
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registry_is_sorted_and_names_are_unique() {
        assert!(REGISTRY.is_sorted_by(|a, b| a.code < b.code));
        for info in REGISTRY {
            let quantity = Quantity::from_name(info.name);
            assert_eq!(quantity.code(), Some(info.code), "{}", info.name);
            assert_eq!(quantity.info(), Some(info));
            assert!(info.min < info.max);
        }
        assert_eq!((0..=u16::MAX).filter_map(Quantity::from_code).count(), REGISTRY.len());
    }

    #[test]
    fn unknown_quantities_keep_their_name() {
        let quantity = Quantity::from_name("radon");
        assert_eq!((quantity.name(), quantity.code(), quantity.info()), ("radon", None, None));
    }
}
