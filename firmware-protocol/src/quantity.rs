//! The quantity table: what may be measured, its number on the wire, its unit.

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantity {
    /// Its number on the wire; never reused.
    pub code: u16,
    /// Its name in the JSON twin.
    pub name: &'static str,
    /// UCUM unit of every value under it.
    pub unit: &'static str,
}

/// Which quantity a reading is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuantityKey<'a> {
    /// A row of the table.
    Code(u16),
    /// By name: of the table, or one that it doesn't have (1–64 bytes without control characters).
    Name(&'a str),
}

impl Quantity {
    /// The row of that number.
    pub fn from_code(code: u16) -> Option<&'static Quantity> {
        index_of_code(code).map(|index| &QUANTITIES[index])
    }

    /// The row of that name.
    pub fn from_name(name: &str) -> Option<&'static Quantity> {
        let mut slot = slot_of(name.as_bytes());
        loop {
            let quantity = QUANTITIES.get(usize::from(SLOTS[slot]))?;
            if quantity.name == name {
                return Some(quantity);
            }
            slot = (slot + 1) % SLOTS.len();
        }
    }
}

/// Place of the row in the table; the table is short of gaps, so a look at every code is one array access.
pub(crate) fn index_of_code(code: u16) -> Option<usize> {
    let index = usize::from(*INDEX.get(usize::from(code))?);
    (index != usize::from(NONE)).then_some(index)
}

/// Whether a name that the table doesn't have may stand for a quantity.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=crate::MAX_NAME).contains(&name.len()) && !name.chars().any(char::is_control)
}

macro_rules! table {
    ($($code:literal $constant:ident $name:literal $unit:literal)*) => {
        /// The codes of the table by name.
        pub mod quantities {
            $(
                #[doc = concat!("`", $name, "`, in `", $unit, "`.")]
                pub const $constant: u16 = $code;
            )*
        }

        /// The whole table, by code.
        pub const QUANTITIES: &[Quantity] = &[$(Quantity { code: $code, name: $name, unit: $unit }),*];
    };
}

table! {
    1 PM2_5 "pm2_5" "ug/m3"
    2 PM10 "pm10" "ug/m3"
    3 SO2 "so2" "ug/m3"
    4 NO2 "no2" "ug/m3"
    5 O3 "o3" "ug/m3"
    6 CO "co" "mg/m3"
    7 NOX "nox" "ug/m3"
    8 TSP "tsp" "ug/m3"
    20 TEMPERATURE "temperature" "Cel"
    21 HUMIDITY "humidity" "%"
    22 PRESSURE "pressure" "hPa"
    23 WIND_SPEED "wind_speed" "m/s"
    24 WIND_DIRECTION "wind_direction" "deg"
    25 GUST "gust" "m/s"
    26 RAINFALL "rainfall" "mm"
    27 VISIBILITY "visibility" "m"
    28 SOLAR "solar" "W/m2"
    40 PH "ph" "[pH]"
    41 WATER_TEMPERATURE "water_temperature" "Cel"
    42 DISSOLVED_OXYGEN "dissolved_oxygen" "mg/L"
    43 CONDUCTIVITY "conductivity" "uS/cm"
    44 TURBIDITY "turbidity" "[NTU]"
    45 COD_MN "cod_mn" "mg/L"
    46 NH3_N "nh3_n" "mg/L"
    47 TP "tp" "mg/L"
    48 TN "tn" "mg/L"
    49 WATER_LEVEL "water_level" "m"
    60 VEHICLE_COUNT "vehicle_count" "{vehicle}"
    61 OCCUPANCY "occupancy" "%"
    62 SPEED "speed" "km/h"
    80 VIBRATION "vibration" "mm/s"
    81 BEARING_TEMPERATURE "bearing_temperature" "Cel"
    82 ROTATION "rotation" "/min"
    83 POWER "power" "kW"
    100 BATTERY "battery" "V"
    120 IAQI_PM2_5 "iaqi_pm2_5" "{IAQI}"
    121 RAINFALL_3H "rainfall_3h" "mm"
    122 QUEUE_DETECTORS "queue_detectors" "{detector}"
    123 TAG_READS "tag_reads" "{read}"
    124 TAGS_MISSING "tags_missing" "{tag}"
}

const NONE: u8 = u8::MAX;
/// Code → place in the table.
static INDEX: [u8; 128] = index();
/// Hash of a name → place in the table, open addressing; a third full, so a miss ends at once.
static SLOTS: [u8; 128] = slots();

const fn index() -> [u8; 128] {
    let mut index = [NONE; 128];
    let mut i = 0;
    while i < QUANTITIES.len() {
        index[QUANTITIES[i].code as usize] = i as u8;
        i += 1;
    }
    index
}

const fn slots() -> [u8; 128] {
    let mut slots = [NONE; 128];
    let mut i = 0;
    while i < QUANTITIES.len() {
        let mut slot = slot_of(QUANTITIES[i].name.as_bytes());
        while slots[slot] != NONE {
            slot = (slot + 1) % slots.len();
        }
        slots[slot] = i as u8;
        i += 1;
    }
    slots
}

const fn slot_of(name: &[u8]) -> usize {
    let mut hash = name.len() as u32;
    let mut i = 0;
    while i < name.len() {
        hash = (hash.rotate_left(5) ^ name[i] as u32).wrapping_mul(0x9e37_79b1);
        i += 1;
    }
    (hash >> 25) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_by_code_and_by_name() {
        assert!(QUANTITIES.is_sorted_by(|a, b| a.code < b.code));
        for quantity in QUANTITIES {
            assert_eq!(Quantity::from_code(quantity.code), Some(quantity));
            assert_eq!(Quantity::from_name(quantity.name), Some(quantity));
        }
    }

    #[test]
    fn what_is_not_in_the_table_is_not_found() {
        for code in (0..=u16::MAX).filter(|code| QUANTITIES.iter().all(|q| q.code != *code)) {
            assert_eq!(Quantity::from_code(code), None);
        }
        for name in ["", "PM2_5", "pm2_5 ", "radon", "temperaturf"] {
            assert_eq!(Quantity::from_name(name), None, "{name}");
        }
    }
}
