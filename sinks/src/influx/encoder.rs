//! From records to lines: which series a value belongs to, and which fields it has.

use super::ledger::{Pages, Refused};
use super::left_out::WindowKey;
use super::line::Line;
use super::lines::Lines;
use super::series::{Place, Series};
use super::{InfluxOptions, Tags};
use crate::series::raw_rows;
use records::{Aggregate, Body, Family, Flag, Name, Observation, Quality, Quantity, Subject, Timestamp};
use rustc_hash::FxHashMap;
use store::RawRow;

/// Writes lines, and keeps the beginning of each series' lines so that it is put together once.
pub struct Encoder {
    tags: Tags,
    max_series: usize,
    devices: FxHashMap<Name, DeviceSeries>,
    areas: FxHashMap<Name, Vec<Series>>,
    rows: Vec<RawRow>,
}

/// The series of a device, and what the registry says of it.
#[derive(Default)]
struct DeviceSeries {
    /// When it was looked up: see [`Pages::learnt`].
    learnt: u64,
    family: Option<Family>,
    area: Name,
    series: Vec<Series>,
}

impl DeviceSeries {
    fn look_up(&mut self, device: &Name, pages: &Pages) {
        if self.learnt != pages.learnt() {
            let known = pages.device(device);
            self.learnt = pages.learnt();
            self.family = known.map(|known| known.family);
            self.area = known.map(|known| known.area.clone()).unwrap_or_default();
        }
    }
}

/// What came of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// Lines written.
    pub lines: u64,
    /// Points left out because their series would be one too many.
    pub over_budget: u64,
}

impl Encoded {
    /// Counts what came of a part.
    pub fn add(&mut self, part: Encoded) {
        self.lines += part.lines;
        self.over_budget += part.over_budget;
    }
}

/// A device whose values are written.
struct Speaker<'a> {
    device: &'a Name,
    family: Option<Family>,
    area: Name,
    series: &'a mut Vec<Series>,
    tags: Tags,
    max_series: usize,
}

impl Speaker<'_> {
    fn value_line(
        &mut self,
        quantity: &Quantity,
        value: (Timestamp, f64, Quality),
        pages: &mut Pages,
        lines: &mut Lines,
    ) -> Encoded {
        let family = self.family.unwrap_or_else(|| family_of(quantity));
        let place = Place { family: Some(family), area: &self.area, quantity, window_ms: 0 };
        let series = find((self.device, true), self.series, place, self.tags, (pages, self.max_series));
        value_line(series, value, pages, lines)
    }
}

impl Encoder {
    /// An encoder that has seen nothing.
    pub fn new(options: &InfluxOptions) -> Encoder {
        let InfluxOptions { tags, max_series, .. } = *options;
        let (devices, areas) = (FxHashMap::default(), FxHashMap::default());
        Encoder { tags, max_series, devices, areas, rows: Vec::new() }
    }

    /// Writes a closed window.
    pub fn window(&mut self, window: &Aggregate, pages: &mut Pages, lines: &mut Lines) -> Encoded {
        let series = self.series_of_window(window, pages);
        if !series.is_admitted {
            return over_budget(series, pages, lines);
        }
        let (start, revision) = (window.window.start, window.revision);
        let [mean, min, max, sum, count, good, revision_name] = &series.names;
        let mut line = Line::begin(&mut lines.bytes, &series.head);
        if window.good > 0 {
            line.float(mean, window.mean);
            line.float(min, window.min);
            line.float(max, window.max);
            line.float(sum, window.sum);
        }
        line.integer(count, window.count);
        line.integer(good, window.good);
        line.integer(revision_name, revision);
        line.end(start);
        lines.close_line();
        Encoded { lines: 1, over_budget: 0 }
    }

    /// What tells a window from all others, in every process.
    pub fn key(&mut self, window: &Aggregate, pages: &mut Pages) -> WindowKey {
        (self.series_of_window(window, pages).hash, window.window.start.millis())
    }

    /// Writes a value per reading, and of tag reads and passages what the local store keeps of them.
    pub fn values(&mut self, observation: &Observation, pages: &mut Pages, lines: &mut Lines) -> Encoded {
        let mut encoded = Encoded::default();
        let mut rows = std::mem::take(&mut self.rows);
        let mut speaker = self.speaker(observation, pages);
        if let Body::Readings(readings) = &observation.body {
            for reading in readings {
                let value = (observation.event_time, reading.value, reading.quality);
                encoded.add(speaker.value_line(&reading.quantity, value, pages, lines));
            }
        } else {
            raw_rows(&mut rows, observation.clone());
            for row in rows.drain(..) {
                let value = (row.event_time, row.value, row.quality);
                encoded.add(speaker.value_line(&Quantity::from_name(&row.quantity), value, pages, lines));
            }
        }
        self.rows = rows;
        encoded
    }

    /// Whose series are the most, and how many: the likely reason when there are too many.
    pub fn largest(&self) -> Option<(Name, usize)> {
        let mut counts: FxHashMap<&str, usize> = FxHashMap::default();
        let devices = self.devices.iter().map(|(device, of_device)| (device, &of_device.series));
        for (subject, series) in devices.chain(&self.areas) {
            *counts.entry(subject).or_default() += series.len();
            for one in series {
                *counts.entry(one.place.quantity.name()).or_default() += 1;
            }
        }
        let largest = counts.into_iter().max_by(|a, b| (a.1, b.0).cmp(&(b.1, a.0)));
        largest.map(|(name, count)| (name.into(), count))
    }

    /// What the lines of an observation have in common.
    fn speaker<'a>(&'a mut self, observation: &'a Observation, pages: &Pages) -> Speaker<'a> {
        let device = &observation.device;
        let of_device = self.devices.entry(device.clone()).or_default();
        of_device.look_up(device, pages);
        Speaker {
            device,
            family: of_device.family,
            area: if self.tags.area { of_device.area.clone() } else { Name::default() },
            series: &mut of_device.series,
            tags: self.tags,
            max_series: self.max_series,
        }
    }

    fn series_of_window(&mut self, window: &Aggregate, pages: &mut Pages) -> &mut Series {
        let (tags, limit, quantity) = (self.tags, self.max_series, &window.quantity);
        let window_ms = window.window.end.millis().abs_diff(window.window.start.millis());
        match &window.subject {
            Subject::Device(device) => {
                let of_device = self.devices.entry(device.clone()).or_default();
                of_device.look_up(device, pages);
                let family = Some(of_device.family.unwrap_or_else(|| family_of(quantity)));
                let area = if tags.area { window.area.as_str() } else { "" };
                let place = Place { family, area, quantity, window_ms };
                find((device, true), &mut of_device.series, place, tags, (pages, limit))
            }
            Subject::Area(area) => {
                let place = Place { family: None, area, quantity, window_ms };
                find((area, false), self.areas.entry(area.clone()).or_default(), place, tags, (pages, limit))
            }
        }
    }
}

/// The series at `place` of a device, or of an area, which have few and are searched in a row; made and let in if there is room.
fn find<'a>(
    (subject, is_device): (&Name, bool),
    series: &'a mut Vec<Series>,
    place: Place<'_>,
    tags: Tags,
    (pages, limit): (&mut Pages, usize),
) -> &'a mut Series {
    let index = series.iter().position(|one| one.place.is(&place)).unwrap_or_else(|| {
        series.push(Series::new(is_device.then_some(subject), &place, tags));
        series.len() - 1
    });
    let found = &mut series[index];
    // Asked again until there is room: the other lane may have let it in.
    found.is_admitted = found.is_admitted || pages.admit(found.hash, limit);
    found
}

fn value_line(
    series: &mut Series,
    (at, value, quality): (Timestamp, f64, Quality),
    pages: &mut Pages,
    lines: &mut Lines,
) -> Encoded {
    if !series.is_admitted {
        return over_budget(series, pages, lines);
    }
    let [value_name, flag, tests, ..] = &series.names;
    let mut line = Line::begin(&mut lines.bytes, &series.head);
    if quality.flag != Flag::Missing {
        line.float(value_name, value);
    }
    line.integer(flag, u32::from(quality.flag as u8));
    line.integer(tests, u32::from(quality.tests));
    line.end(at);
    lines.close_line();
    Encoded { lines: 1, over_budget: 0 }
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
fn family_of(quantity: &Quantity) -> Family {
    let families = quantity.info().map_or(&[] as &[Family], |info| info.families);
    families.first().copied().unwrap_or(Family::Other)
}
