//! Rows without their names: what memory tables and files hold per series.

use crate::{AggregateRow, RawRow};
use records::{Quality, Timestamp, Window};
use std::cmp::Ordering;

/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999Z: what calendars on the reading side understand.
const REPRESENTABLE: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

pub(crate) fn is_representable(at: Timestamp) -> bool {
    REPRESENTABLE.contains(&at.millis())
}

/// What all rows have in common: a place in a series.
pub(crate) trait Point: Clone + Send + Sync + 'static {
    /// The time by which it is stored and found, milliseconds.
    fn time(&self) -> i64;
    /// Length of its window, milliseconds; 0 for a raw value.
    fn length(&self) -> u64;
    /// Bytes that it holds elsewhere.
    fn outside(&self) -> usize {
        0
    }
    /// The order within a series; what was written later stands behind its equals.
    fn order(&self, other: &Self) -> Ordering;
    /// Whether `self`, which stands behind `other`, takes its place.
    fn replaces(&self, other: &Self) -> bool;
    /// Sorts one series' points, given in the order of writing, and drops those that were replaced.
    fn settle(points: &mut Vec<Self>) {
        points.sort_by(Self::order);
        points.dedup_by(|later, earlier| {
            let is_replaced = later.replaces(earlier);
            if is_replaced {
                std::mem::swap(earlier, later);
            }
            is_replaced
        });
    }
}

/// A raw value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RawPoint {
    pub event_time: i64,
    pub ingest_time: i64,
    pub device_time: Option<i64>,
    pub value: f64,
    pub quality: Quality,
}

impl RawPoint {
    /// `None` when it can't be stored. A device time that no calendar knows is left out.
    pub fn new(row: &RawRow) -> Option<RawPoint> {
        let is_storable =
            row.value.is_finite() && is_representable(row.event_time) && is_representable(row.ingest_time);
        is_storable.then(|| RawPoint {
            event_time: row.event_time.millis(),
            ingest_time: row.ingest_time.millis(),
            device_time: row.device_time.filter(|at| is_representable(*at)).map(Timestamp::millis),
            value: row.value,
            quality: row.quality,
        })
    }
}

impl Point for RawPoint {
    fn time(&self) -> i64 {
        self.event_time
    }

    fn length(&self) -> u64 {
        0
    }

    fn order(&self, other: &RawPoint) -> Ordering {
        (self.event_time, self.ingest_time).cmp(&(other.event_time, other.ingest_time))
    }

    fn replaces(&self, _: &RawPoint) -> bool {
        false
    }
}

/// A window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct WindowPoint {
    pub start: i64,
    pub end: i64,
    pub revision: u32,
    pub count: u32,
    pub good: u32,
    pub sum: f64,
    pub mean: f64,
    pub min: f64,
    pub max: f64,
    pub as_of: i64,
    pub is_backfill: bool,
}

impl WindowPoint {
    /// `None` when it can't be stored.
    pub fn new(row: &AggregateRow) -> Option<WindowPoint> {
        let times = [row.window.start, row.window.end, row.as_of];
        let statistics = [row.sum, row.mean, row.min, row.max];
        let is_storable = times.into_iter().all(is_representable)
            && row.window.start < row.window.end
            && (row.good == 0 || statistics.iter().all(|value| value.is_finite()));
        let [sum, mean, min, max] = if row.good == 0 { [0.0; 4] } else { statistics };
        is_storable.then(|| WindowPoint {
            start: row.window.start.millis(),
            end: row.window.end.millis(),
            revision: row.revision,
            count: row.count,
            good: row.good,
            sum,
            mean,
            min,
            max,
            as_of: row.as_of.millis(),
            is_backfill: row.is_backfill,
        })
    }

    /// The row again.
    pub fn into_row(self, subject: &str, quantity: &str) -> AggregateRow {
        AggregateRow {
            subject: subject.into(),
            quantity: quantity.into(),
            window: Window { start: Timestamp(self.start), end: Timestamp(self.end) },
            revision: self.revision,
            count: self.count,
            good: self.good,
            sum: self.sum,
            mean: self.mean,
            min: self.min,
            max: self.max,
            as_of: Timestamp(self.as_of),
            is_backfill: self.is_backfill,
        }
    }
}

impl Point for WindowPoint {
    fn time(&self) -> i64 {
        self.start
    }

    fn length(&self) -> u64 {
        self.end.abs_diff(self.start)
    }

    fn order(&self, other: &WindowPoint) -> Ordering {
        (self.length(), self.start, self.revision).cmp(&(other.length(), other.start, other.revision))
    }

    fn replaces(&self, other: &WindowPoint) -> bool {
        (self.start, self.end) == (other.start, other.end)
    }
}
