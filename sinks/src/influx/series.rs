//! A series as InfluxDB knows it: measurement and tags, put together once.

use super::Tags;
use super::line::escape_into;
use records::{Family, Name, Quantity};
use sha2::{Digest, Sha256};

/// Fields of a window, and of a raw value.
const WINDOW_FIELDS: [&str; 7] = ["mean", "min", "max", "sum", "count", "good", "revision"];
const VALUE_FIELDS: [&str; 7] = ["value", "flag", "tests", "", "", "", ""];

/// What tells the series of a subject apart.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// Of its device; none for an area's.
    pub family: Option<Family>,
    /// As a tag; of an area's series its name.
    pub area: &'a str,
    /// Of what.
    pub quantity: &'a Quantity,
    /// Length of its windows; 0 for raw values.
    pub window_ms: u64,
}

/// The same, kept.
pub struct OwnPlace {
    family: Option<Family>,
    area: Name,
    /// Of what.
    pub quantity: Quantity,
    window_ms: u64,
}

impl OwnPlace {
    /// Whether it is this one.
    pub fn is(&self, place: &Place<'_>) -> bool {
        self.quantity == *place.quantity
            && self.window_ms == place.window_ms
            && self.family == place.family
            && self.area == place.area
    }
}

/// A series and what its lines are made from.
pub struct Series {
    /// What tells it apart.
    pub place: OwnPlace,
    /// Measurement and tags, escaped.
    pub head: Box<[u8]>,
    /// Its fields' names, escaped, each between a comma and an equals sign.
    pub names: [Box<[u8]>; 7],
    /// The same in every run of every version.
    pub hash: u64,
    /// Whether the budget has room for it.
    pub is_admitted: bool,
    /// Whether it was noted as one too many.
    pub is_told: bool,
}

impl Series {
    /// Puts it together.
    pub fn new(device: Option<&Name>, place: &Place<'_>, tags: Tags) -> Series {
        let mut head = Vec::new();
        head.extend_from_slice(place.family.map_or("area", Family::name).as_bytes());
        let mut tag = |name: &str, value: &str| {
            if !value.is_empty() {
                head.extend_from_slice(format!(",{name}=").as_bytes());
                escape_into(&mut head, value);
            }
        };
        // In the order of names, in which the server would put them otherwise.
        tag("area", place.area);
        tag("device", device.map_or("", Name::as_str));
        if tags.quantity {
            tag("quantity", place.quantity.name());
        }
        if place.window_ms > 0 {
            tag("window", &length(place.window_ms));
        }
        let names = if place.window_ms > 0 { WINDOW_FIELDS } else { VALUE_FIELDS };
        let names = names.map(|name| field(name, place.quantity, tags));
        let mut digest = Sha256::new();
        digest.update(&head);
        digest.update(&names[0][1..]);
        let digest = digest.finalize();
        let hash = u64::from_le_bytes(digest[..8].try_into().expect("a digest has 32 bytes"));
        let Place { family, area, quantity, window_ms } = *place;
        let place = OwnPlace { family, area: area.into(), quantity: quantity.clone(), window_ms };
        Series { place, head: head.into(), names, hash, is_admitted: false, is_told: false }
    }
}

fn field(name: &str, quantity: &Quantity, tags: Tags) -> Box<[u8]> {
    let mut field = vec![b','];
    if !tags.quantity {
        escape_into(&mut field, quantity.name());
        field.push(b'_');
    }
    field.extend_from_slice(name.as_bytes());
    field.push(b'=');
    field.into()
}

/// A length of time as people write it: `10m`, `1h`, `1d`.
fn length(millis: u64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let unit = units.into_iter().find(|(unit, _)| millis.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{millis}ms"), |(unit, name)| format!("{}{name}", millis / unit))
}
