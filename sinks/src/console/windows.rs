//! Stored windows per span of event time.

use super::table::Row;
use std::collections::BTreeMap;
use std::time::Duration;
use store::{AggregateRow, Spans};

/// Windows of one or several series, by the start of the span that they begin in.
#[derive(Default)]
pub struct Windows {
    spans: BTreeMap<i64, Vec<Window>>,
    count: usize,
}

/// What statistics need of a window.
#[derive(Clone, Copy)]
pub struct Window {
    mean: f64,
    min: f64,
    max: f64,
    count: u32,
    good: u32,
    revision: u32,
}

impl Window {
    /// That of a row.
    pub fn of(row: &AggregateRow) -> Window {
        let AggregateRow { mean, min, max, count, good, revision, .. } = *row;
        Window { mean, min, max, count, good, revision }
    }
}

/// What several windows amount to. NaN, which reads as "no value", until one of them is usable.
pub struct Total {
    pub mean: f64,
    pub min: f64,
    pub max: f64,
    pub count: u64,
    pub good: u64,
}

impl Total {
    /// The total of some windows.
    pub fn of(windows: &[Window]) -> Total {
        let usable = || windows.iter().filter(|window| window.good > 0);
        let good: u64 = usable().map(|window| u64::from(window.good)).sum();
        let sum: f64 = usable().map(|window| window.mean * f64::from(window.good)).sum();
        Total {
            mean: sum / good as f64,
            min: usable().map(|window| window.min).fold(f64::NAN, f64::min),
            max: usable().map(|window| window.max).fold(f64::NAN, f64::max),
            count: windows.iter().map(|window| u64::from(window.count)).sum(),
            good,
        }
    }
}

impl Windows {
    /// Bytes that are held.
    pub fn bytes(&self) -> usize {
        self.count * size_of::<Window>()
    }

    /// Adds the windows of one series, of one `length`, by start. Where they overlap each other, those count that
    /// begin at `offset + k × length`, so that nothing is counted twice; in spans narrower than a window, the last
    /// that begins in each.
    ///
    /// `windows` may reach back to before `spans.from`, where they only tell whether there is an overlap.
    pub fn add(&mut self, windows: &[AggregateRow], length: Duration, spans: &Spans<'_>) {
        let [width, offset, length] = [spans.width, spans.offset, length].map(millis);
        let overlap = windows.windows(2).any(|two| two[1].window.start < two[0].window.end);
        for (index, row) in windows.iter().enumerate() {
            let at = row.window.start.millis();
            let start = start_of(at, width, offset);
            let is_aligned = (at - offset).rem_euclid(length) == 0;
            let next = windows.get(index + 1).map(|next| start_of(next.window.start.millis(), width, offset));
            let counts = if width < length { next != Some(start) } else { !overlap || is_aligned };
            if counts && row.window.start >= spans.from {
                self.spans.entry(start).or_default().push(Window::of(row));
                self.count += 1;
            }
        }
    }

    /// A row per span that has windows.
    pub fn finish(self, quantiles: &[f64]) -> impl Iterator<Item = Row> {
        self.spans.into_iter().map(move |(start, windows)| joined(start, &windows, quantiles))
    }
}

fn joined(start: i64, windows: &[Window], quantiles: &[f64]) -> Row {
    let usable = || windows.iter().filter(|window| window.good > 0);
    let total = Total::of(windows);
    let of = |value: fn(&Window) -> f64| Weighted::new(usable().map(|window| (value(window), window.good)));
    let (means, mins, maxs) = (of(|window| window.mean), of(|window| window.min), of(|window| window.max));
    let three = |quantile: &f64| [&means, &mins, &maxs].map(|values| values.quantile(*quantile));
    Row {
        start,
        // One window's mean is told as it was stored, without a division on the way.
        mean: if let [window] = windows { mean_of(window) } else { total.mean },
        min: total.min,
        max: total.max,
        count: total.count,
        good: total.good,
        revision: windows.iter().map(|window| window.revision).max(),
        more: quantiles.iter().flat_map(three).collect(),
    }
}

fn mean_of(window: &Window) -> f64 {
    if window.good > 0 { window.mean } else { f64::NAN }
}

/// Values that stand for several each, sorted.
struct Weighted {
    values: Vec<(f64, u32)>,
    count: u64,
}

impl Weighted {
    fn new(values: impl Iterator<Item = (f64, u32)>) -> Weighted {
        let mut values: Vec<_> = values.collect();
        values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let count = values.iter().map(|(_, weight)| u64::from(*weight)).sum();
        Weighted { values, count }
    }

    /// As of raw values (type 7 of Hyndman and Fan), with each value taken as often as it stands for.
    fn quantile(&self, quantile: f64) -> f64 {
        let Some(last) = self.count.checked_sub(1) else { return f64::NAN };
        let place = quantile.clamp(0.0, 1.0) * last as f64;
        let (below, part) = (place.floor(), place.fract());
        let low = self.value_at(below as u64);
        let high = self.value_at((below as u64 + 1).min(last));
        low + part * (high - low)
    }

    fn value_at(&self, place: u64) -> f64 {
        let mut passed = 0;
        let found = self.values.iter().find(|(_, weight)| {
            passed += u64::from(*weight);
            place < passed
        });
        found.map_or(f64::NAN, |(value, _)| *value)
    }
}

fn start_of(at: i64, width: i64, offset: i64) -> i64 {
    (at - offset).div_euclid(width) * width + offset
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
