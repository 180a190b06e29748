//! From records to lines: which series a value belongs to, and which fields it has.

use super::ledger::{Pages, Refused};
use super::line::{Line, escape_into};
use super::lines::Lines;
use super::{InfluxOptions, Tags};
use crate::series::raw_rows;
use records::{Aggregate, Family, Flag, Name, Observation, Quantity, Subject};
use rustc_hash::FxHashMap;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use store::RawRow;

/// Writes lines, and keeps the beginning of each series' lines so that it is put together once.
pub struct Encoder {
    tags: Tags,
    max_series: usize,
    series: FxHashMap<SeriesKey, Series>,
    rows: Vec<RawRow>,
}

/// What tells series apart here.
#[derive(Clone, PartialEq, Eq, Hash)]
struct SeriesKey {
    /// A device; of an area there is only `area`.
    device: Option<Name>,
    area: Name,
    quantity: Name,
    /// Length of its windows; 0 for raw values.
    window_ms: u64,
    family: Option<Family>,
}

/// The beginning of a series' lines.
struct Series {
    /// Measurement and tags, escaped.
    head: Arc<[u8]>,
    /// What stands before the names of its fields.
    prefix: Arc<[u8]>,
    /// The same in every run of every version.
    hash: u64,
    /// Whether the budget has room for it.
    is_admitted: bool,
    /// Whether it was noted as one too many.
    is_told: bool,
}

/// What came of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// Lines written.
    pub lines: u64,
    /// Points left out because their series would be one too many.
    pub over_budget: u64,
}

impl Encoder {
    /// An encoder that has seen nothing.
    pub fn new(options: &InfluxOptions) -> Encoder {
        let InfluxOptions { tags, max_series, .. } = *options;
        Encoder { tags, max_series, series: FxHashMap::default(), rows: Vec::new() }
    }

    /// Writes a closed window; one that the live lane has written in a later revision is passed over.
    pub fn window(&mut self, window: &Aggregate, pages: &mut Pages, lines: &mut Lines) -> Encoded {
        let series = self.series_of_window(window, pages);
        if !series.is_admitted {
            return over_budget(series, pages, lines);
        }
        let (start, revision) = (window.window.start, window.revision);
        if pages.is_outdated(series.hash, start, revision) {
            return Encoded::default();
        }
        let mut line = Line::begin(&mut lines.bytes, &series.head, &series.prefix);
        if window.good > 0 {
            line.float("mean", window.mean);
            line.float("min", window.min);
            line.float("max", window.max);
            line.float("sum", window.sum);
        }
        line.integer("count", window.count);
        line.integer("good", window.good);
        line.integer("revision", revision);
        line.end(start);
        lines.close_line();
        Encoded { lines: 1, over_budget: 0 }
    }

    /// Writes what the live lane must keep from being overwritten by an older revision out of a gap.
    pub fn note_revision(&mut self, window: &Aggregate, pages: &mut Pages) {
        if window.revision > 0 {
            let hash = self.series_of_window(window, pages).hash;
            pages.note_revision(hash, window.window.start, window.revision);
        }
    }

    /// Writes a value per reading, and of tag reads and passages what the local store keeps of them.
    pub fn values(&mut self, observation: Observation, pages: &mut Pages, lines: &mut Lines) -> Encoded {
        let mut rows = std::mem::take(&mut self.rows);
        raw_rows(&mut rows, observation);
        let mut encoded = Encoded::default();
        for row in rows.drain(..) {
            let one = self.value(&row, pages, lines);
            encoded.lines += one.lines;
            encoded.over_budget += one.over_budget;
        }
        self.rows = rows;
        encoded
    }

    /// Whose series are the most, and how many: the likely reason when there are too many.
    pub fn largest(&self) -> Option<(Name, usize)> {
        let mut counts: FxHashMap<&Name, usize> = FxHashMap::default();
        for key in self.series.keys() {
            *counts.entry(key.device.as_ref().unwrap_or(&key.area)).or_default() += 1;
            *counts.entry(&key.quantity).or_default() += 1;
        }
        let largest = counts.into_iter().max_by(|a, b| (a.1, b.0).cmp(&(b.1, a.0)));
        largest.map(|(name, count)| (name.clone(), count))
    }

    fn value(&mut self, row: &RawRow, pages: &mut Pages, lines: &mut Lines) -> Encoded {
        let known = pages.device(&row.subject);
        let family = known.map_or_else(|| family_of(&row.quantity), |known| known.family);
        let area = known.map(|known| known.area.clone()).filter(|_| self.tags.area).unwrap_or_default();
        let key = SeriesKey {
            device: Some(row.subject.clone()),
            area,
            quantity: row.quantity.clone(),
            window_ms: 0,
            family: Some(family),
        };
        let series = self.series(key, pages);
        if !series.is_admitted {
            return over_budget(series, pages, lines);
        }
        let mut line = Line::begin(&mut lines.bytes, &series.head, &series.prefix);
        if row.quality.flag != Flag::Missing {
            line.float("value", row.value);
        }
        line.integer("flag", u32::from(row.quality.flag as u8));
        line.integer("tests", u32::from(row.quality.tests));
        line.end(row.event_time);
        lines.close_line();
        Encoded { lines: 1, over_budget: 0 }
    }

    fn series_of_window(&mut self, window: &Aggregate, pages: &mut Pages) -> &mut Series {
        let quantity = Name::from(window.quantity.name());
        let (device, area, family) = match &window.subject {
            Subject::Device(device) => {
                let known = pages.device(device);
                let family = known.map_or_else(|| family_of(&quantity), |known| known.family);
                let area = if self.tags.area { window.area.clone() } else { Name::default() };
                (Some(device.clone()), area, Some(family))
            }
            Subject::Area(area) => (None, area.clone(), None),
        };
        let window_ms = window.window.end.millis().abs_diff(window.window.start.millis());
        self.series(SeriesKey { device, area, quantity, window_ms, family }, pages)
    }

    fn series(&mut self, key: SeriesKey, pages: &mut Pages) -> &mut Series {
        let (tags, limit) = (self.tags, self.max_series);
        let series = self.series.entry(key).or_insert_with_key(|key| Series::new(key, tags));
        // Asked again until there is room: the other lane may have let it in.
        series.is_admitted = series.is_admitted || pages.admit(series.hash, limit);
        series
    }
}

impl Series {
    fn new(key: &SeriesKey, tags: Tags) -> Series {
        let mut head = Vec::new();
        head.extend_from_slice(key.family.map_or("area", Family::name).as_bytes());
        let mut tag = |name: &str, value: &str| {
            if !value.is_empty() {
                head.extend_from_slice(format!(",{name}=").as_bytes());
                escape_into(&mut head, value);
            }
        };
        // In the order of names, in which the server would put them otherwise.
        tag("area", &key.area);
        tag("device", key.device.as_deref().unwrap_or_default());
        if tags.quantity {
            tag("quantity", &key.quantity);
        }
        if key.window_ms > 0 {
            tag("window", &length(key.window_ms));
        }
        let mut prefix = Vec::new();
        if !tags.quantity {
            escape_into(&mut prefix, &key.quantity);
            prefix.push(b'_');
        }
        let mut digest = Sha256::new();
        digest.update(&head);
        digest.update([0]);
        digest.update(&prefix);
        let digest = digest.finalize();
        let hash = u64::from_le_bytes(digest[..8].try_into().expect("a digest has 32 bytes"));
        Series { head: head.into(), prefix: prefix.into(), hash, is_admitted: false, is_told: false }
    }
}

/// Leaves a point out, and notes its series the first time.
fn over_budget(series: &mut Series, pages: &mut Pages, lines: &Lines) -> Encoded {
    if !series.is_told
        && let Some((partition, offset)) = lines.origin(lines.len())
    {
        let line = String::from_utf8_lossy(&series.head).into_owned();
        let reason = format!("would be one more than the {} series that are allowed", pages.series());
        pages.refuse(Refused { partition, offset, line, reason });
        series.is_told = true;
    }
    Encoded { lines: 0, over_budget: 1 }
}

/// The family of a device that no registry entry has told us: the first that has the quantity.
fn family_of(quantity: &str) -> Family {
    let families = Quantity::from_name(quantity).info().map_or(&[] as &[Family], |info| info.families);
    families.first().copied().unwrap_or(Family::Other)
}

/// A length of time as people write it: `10m`, `1h`, `1d`.
fn length(millis: u64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let unit = units.into_iter().find(|(unit, _)| millis.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{millis}ms"), |(unit, name)| format!("{}{name}", millis / unit))
}
