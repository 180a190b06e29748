//! Units that devices state, and their way into the unit of the quantity registry.

use records::Quantity;

/// A unit: `value × numerator / denominator + offset` is the same in `primary`.
struct Unit {
    symbol: &'static str,
    primary: &'static str,
    numerator: f64,
    denominator: f64,
    offset: f64,
}

const fn primary(symbol: &'static str) -> Unit {
    scaled(symbol, symbol, 1.0, 1.0)
}

const fn scaled(symbol: &'static str, primary: &'static str, numerator: f64, denominator: f64) -> Unit {
    Unit { symbol, primary, numerator, denominator, offset: 0.0 }
}

/// The units of SenML (RFC 8428 section 12.1, RFC 8798 sections 2 and 3, and what IANA has registered since),
/// and below them the UCUM units of the quantity registry that SenML doesn't have.
static UNITS: &[Unit] = &[
    primary("m"),
    primary("kg"),
    scaled("g", "kg", 1.0, 1e3),
    primary("s"),
    primary("A"),
    primary("K"),
    primary("cd"),
    primary("mol"),
    primary("Hz"),
    primary("rad"),
    primary("sr"),
    primary("N"),
    primary("Pa"),
    primary("J"),
    primary("W"),
    primary("C"),
    primary("V"),
    primary("F"),
    primary("Ohm"),
    primary("S"),
    primary("Wb"),
    primary("T"),
    primary("H"),
    primary("Cel"),
    primary("lm"),
    primary("lx"),
    primary("Bq"),
    primary("Gy"),
    primary("Sv"),
    primary("kat"),
    primary("m2"),
    primary("m3"),
    scaled("l", "m3", 1.0, 1e3),
    primary("m/s"),
    primary("m/s2"),
    primary("m3/s"),
    scaled("l/s", "m3/s", 1.0, 1e3),
    primary("W/m2"),
    primary("cd/m2"),
    primary("bit"),
    primary("bit/s"),
    primary("lat"),
    primary("lon"),
    primary("pH"),
    primary("dB"),
    primary("dBW"),
    primary("Bspl"),
    primary("count"),
    primary("/"),
    scaled("%", "/", 1.0, 1e2),
    primary("%RH"),
    primary("%EL"),
    primary("EL"),
    primary("1/s"),
    scaled("1/min", "1/s", 1.0, 60.0),
    primary("beat/min"),
    primary("beats"),
    primary("S/m"),
    primary("B"),
    primary("VA"),
    primary("VAs"),
    primary("var"),
    primary("vars"),
    primary("J/m"),
    primary("kg/m3"),
    primary("deg"),
    primary("NTU"),
    scaled("ms", "s", 1.0, 1e3),
    scaled("min", "s", 60.0, 1.0),
    scaled("h", "s", 3600.0, 1.0),
    scaled("MHz", "Hz", 1e6, 1.0),
    scaled("kW", "W", 1e3, 1.0),
    scaled("kVA", "VA", 1e3, 1.0),
    scaled("kvar", "var", 1e3, 1.0),
    scaled("Ah", "C", 3600.0, 1.0),
    scaled("Wh", "J", 3600.0, 1.0),
    scaled("kWh", "J", 3_600_000.0, 1.0),
    scaled("varh", "vars", 3600.0, 1.0),
    scaled("kvarh", "vars", 3_600_000.0, 1.0),
    scaled("kVAh", "VAs", 3_600_000.0, 1.0),
    scaled("Wh/km", "J/m", 3600.0, 1e3),
    scaled("KiB", "B", 1024.0, 1.0),
    scaled("GB", "B", 1e9, 1.0),
    scaled("Mbit/s", "bit/s", 1e6, 1.0),
    scaled("B/s", "bit/s", 8.0, 1.0),
    scaled("MB/s", "bit/s", 8e6, 1.0),
    scaled("mV", "V", 1.0, 1e3),
    scaled("mA", "A", 1.0, 1e3),
    Unit { symbol: "dBm", primary: "dBW", numerator: 1.0, denominator: 1.0, offset: -30.0 },
    scaled("ug/m3", "kg/m3", 1.0, 1e9),
    scaled("mm/h", "m/s", 1.0, 3_600_000.0),
    scaled("m/h", "m/s", 1.0, 3600.0),
    scaled("ppm", "/", 1.0, 1e6),
    scaled("ppb", "/", 1.0, 1e9),
    scaled("/100", "/", 1.0, 1e2),
    scaled("/1000", "/", 1.0, 1e3),
    scaled("hPa", "Pa", 1e2, 1.0),
    scaled("mm", "m", 1.0, 1e3),
    scaled("cm", "m", 1.0, 1e2),
    scaled("km", "m", 1e3, 1.0),
    scaled("km/h", "m/s", 1e3, 3600.0),
    scaled("mg/l", "kg/m3", 1.0, 1e3),
    scaled("ug/l", "kg/m3", 1.0, 1e6),
    scaled("mg/m3", "kg/m3", 1.0, 1e6),
    scaled("mg/L", "kg/m3", 1.0, 1e3),
    scaled("uS/cm", "S/m", 1.0, 1e4),
    scaled("mm/s", "m/s", 1.0, 1e3),
    scaled("/min", "1/s", 1.0, 60.0),
    scaled("[pH]", "pH", 1.0, 1.0),
    scaled("[NTU]", "NTU", 1.0, 1.0),
    scaled("{vehicle}", "count", 1.0, 1.0),
];

/// From a stated unit to the one that `quantity` has on the log.
///
/// A quantity of the registry comes in the registry's unit. Any other is kept in the primary unit of SenML, so that
/// all devices that state a unit agree; in one that nobody knows, or without one, it stays as it was said.
///
/// # Errors
/// The quantity is the registry's and its unit can't be made of the stated one; the text says so.
pub(crate) fn convert(quantity: &Quantity, stated: Option<&str>, value: f64) -> Result<f64, String> {
    let Some(symbol) = stated else { return Ok(value) };
    let unit = find(symbol);
    let Some(info) = quantity.info() else { return Ok(unit.map_or(value, |unit| unit.to_primary(value))) };
    if symbol == info.unit {
        return Ok(value);
    }
    let converted = unit.zip(find(info.unit)).and_then(|(from, to)| match (from.primary, to.primary) {
        (a, b) if a == b => Some(from.to_unit(to, value)),
        ("K", "Cel") => Some(value - 273.15),
        ("rad", "deg") => Some(value.to_degrees()),
        ("Hz", "1/s") => Some(from.to_unit(to, value)),
        // The one percentage that is a relative humidity; an occupancy in %RH is a mistake.
        ("%RH", "/") if info.name == "humidity" => Some(value),
        _ => None,
    });
    converted.ok_or_else(|| {
        format!("{quantity} is measured in {}, which {symbol:?} can't be turned into", info.unit)
    })
}

fn find(symbol: &str) -> Option<&'static Unit> {
    UNITS.iter().find(|unit| unit.symbol == symbol)
}

impl Unit {
    fn to_primary(&self, value: f64) -> f64 {
        scale(value, self.numerator, self.denominator) + self.offset
    }

    /// The offset plays no part: no unit that has one is the registry's.
    fn to_unit(&self, to: &Unit, value: f64) -> f64 {
        scale(value, self.numerator * to.denominator, self.denominator * to.numerator)
    }
}

/// `value × numerator / denominator` with as few roundings as there can be: 1013.2 hPa stay 1013.2.
fn scale(value: f64, numerator: f64, denominator: f64) -> f64 {
    if numerator % denominator == 0.0 {
        value * (numerator / denominator)
    } else if denominator % numerator == 0.0 {
        value / (denominator / numerator)
    } else {
        value * numerator / denominator
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(quantity: &str, stated: &str, value: f64, expected: Option<f64>) {
        let converted = convert(&Quantity::from_name(quantity), Some(stated), value);
        assert_eq!(converted.ok(), expected, "{value} {stated} of {quantity}");
    }

    #[test]
    fn stated_units_become_the_registrys() {
        check("temperature", "Cel", 21.4, Some(21.4));
        check("temperature", "K", 300.0, Some(300.0 - 273.15));
        check("humidity", "%RH", 63.0, Some(63.0));
        check("humidity", "/", 0.5, Some(50.0));
        check("humidity", "%", 63.0, Some(63.0));
        check("occupancy", "/100", 12.5, Some(12.5));
        check("occupancy", "%RH", 12.5, None);
        check("pressure", "Pa", 101_320.0, Some(1013.2));
        check("pressure", "hPa", 1013.2, Some(1013.2));
        check("pm2_5", "ug/m3", 35.2, Some(35.2));
        check("pm2_5", "kg/m3", 2.0_f64.powi(-24), Some(1e9 / 2.0_f64.powi(24)));
        check("co", "ug/m3", 800.0, Some(0.8));
        check("wind_speed", "km/h", 36.0, Some(10.0));
        check("speed", "m/s", 10.0, Some(36.0));
        check("rainfall", "m", 0.0125, Some(12.5));
        check("rainfall", "mm/h", 4.0, None);
        check("wind_direction", "rad", std::f64::consts::PI, Some(180.0));
        check("dissolved_oxygen", "mg/l", 7.25, Some(7.25));
        check("conductivity", "S/m", 0.05, Some(500.0));
        check("turbidity", "NTU", 4.5, Some(4.5));
        check("ph", "pH", 7.1, Some(7.1));
        check("rotation", "1/s", 25.0, Some(1500.0));
        check("rotation", "Hz", 25.0, Some(1500.0));
        check("vibration", "m/s", 0.0028, Some(2.8));
        check("power", "W", 1500.0, Some(1.5));
        check("battery", "mV", 3700.0, Some(3.7));
        check("battery", "%EL", 80.0, None);
        check("vehicle_count", "count", 17.0, Some(17.0));
        check("o3", "ppm", 0.06, None);
        check("o3", "furlong", 0.06, None);
    }

    #[test]
    fn a_quantity_of_its_own_is_kept_in_the_primary_unit() {
        check("current", "mA", 1200.0, Some(1.2));
        check("rssi", "dBm", -70.0, Some(-100.0));
        check("radon", "Bq/m3", 12.0, Some(12.0));
        check("current", "furlong", 3.0, Some(3.0));
    }

    #[test]
    fn every_unit_of_the_registry_is_itself_and_symbols_are_unique() {
        for info in Quantity::registry() {
            check(info.name, info.unit, 12.5, Some(12.5));
        }
        for (index, unit) in UNITS.iter().enumerate() {
            assert!(UNITS[..index].iter().all(|other| other.symbol != unit.symbol), "{}", unit.symbol);
            assert!(
                find(unit.primary).is_some_and(|primary| primary.primary == primary.symbol),
                "{}",
                unit.symbol
            );
        }
    }
}
