//! Answers by event time, from the files and from memory as they were at one instant.

use crate::bucket::{Bucket, Buckets, width_for};
use crate::catalog::SeriesId;
use crate::point::{RawPoint, WindowPoint, settle};
use crate::store::{Store, Tables};
use crate::{AggregateRow, Latest, StoreError};
use records::{Flag, Name, Timestamp};
use std::time::Duration;

/// What a series holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SeriesKind {
    /// Values as they were cleaned.
    Raw,
    /// Windows of this length.
    Window(Duration),
}

/// A series of a subject.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesInfo {
    /// Of what.
    pub quantity: Name,
    /// Values or windows.
    pub kind: SeriesKind,
    /// Event time of the first row (start of the first window).
    pub first: Timestamp,
    /// Event time of the last row (start of the last window).
    pub last: Timestamp,
    /// Rows stored. A window with several revisions counts once per file until these are merged.
    pub count: u64,
}

/// A curve, one entry of each column per point, by time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Points {
    /// Width of the buckets that the values were gathered in; `None` when every point is one value as stored.
    pub width: Option<Duration>,
    /// Event time of the value, or start of the bucket.
    pub t: Vec<Timestamp>,
    /// Smallest usable value; NaN when there is none. For a single value: it, whatever its quality (NaN when it
    /// is missing), as with the next two.
    pub min: Vec<f64>,
    /// Mean of the usable values.
    pub mean: Vec<f64>,
    /// Greatest usable value.
    pub max: Vec<f64>,
    /// Values that are not missing.
    pub count: Vec<u64>,
    /// Share of these that is usable, 0…1.
    pub good_share: Vec<f64>,
}

impl Store {
    /// The newest value of each quantity of a subject, by quantity. Bad values count too: their quality says so.
    pub fn latest(&self, subject: &str) -> Vec<Latest> {
        let tables = self.tables();
        tables.latest.of(tables.catalog.of_subject(subject), &tables.catalog)
    }

    /// The same for every subject that has a value, in no particular order.
    pub fn latest_all(&self) -> Vec<(Name, Vec<Latest>)> {
        let tables = self.tables();
        let of = |series| tables.latest.of(series, &tables.catalog);
        let all = tables.catalog.subjects().map(|(name, series)| (name.clone(), of(series)));
        all.filter(|(_, latest)| !latest.is_empty()).collect()
    }

    /// What is stored of a subject, by quantity and kind.
    pub fn series(&self, subject: &str) -> Vec<SeriesInfo> {
        let tables = self.tables();
        let mut found = Vec::new();
        for id in tables.catalog.of_subject(subject) {
            describe(&tables, id, &mut found);
        }
        found.sort_by(|a, b| (&a.quantity, a.kind).cmp(&(&b.quantity, b.kind)));
        found
    }

    /// The values of a series in `[from, to)`: as they are when there are at most `max_points`, else gathered
    /// into at most that many buckets of one of the usual widths, aligned with the epoch.
    pub fn range(
        &self,
        subject: &str,
        quantity: &str,
        from: Timestamp,
        to: Timestamp,
        max_points: usize,
    ) -> Result<Points, StoreError> {
        let points = self.raw_points(subject, quantity, from, to)?;
        let (Some(first), Some(last)) = (points.first(), points.last()) else {
            return Ok(Points::default());
        };
        if points.len() <= max_points {
            return Ok(Points::of_values(&points));
        }
        let width = width_for(first.event_time, last.event_time, max_points);
        let mut buckets = Buckets::new(width, Duration::ZERO, max_points);
        for point in &points {
            buckets.add(point.event_time, point.value, point.quality)?;
        }
        Ok(Points::of_buckets(width, &buckets.finish()?))
    }

    /// Count, min, mean and max of a series per span of `width` within `[from, to)`, spans beginning at
    /// `offset + k × width` since the epoch; empty ones are left out.
    ///
    /// Days of a clock that is eight hours ahead of UTC have the offset 16 h.
    pub fn buckets(
        &self,
        subject: &str,
        quantity: &str,
        from: Timestamp,
        to: Timestamp,
        width: Duration,
        offset: Duration,
    ) -> Result<Vec<Bucket>, StoreError> {
        let mut buckets = Buckets::new(width, offset, self.options().answer_rows);
        for point in self.raw_points(subject, quantity, from, to)? {
            buckets.add(point.event_time, point.value, point.quality)?;
        }
        buckets.finish()
    }

    /// The windows of a series that start in `[from, to)`, highest revision only, of one length or of all, by
    /// length and start.
    pub fn aggregates(
        &self,
        subject: &str,
        quantity: &str,
        window: Option<Duration>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<AggregateRow>, StoreError> {
        let tables = self.tables();
        let Some(id) = tables.catalog.find(subject, quantity) else { return Ok(Vec::new()) };
        let name = tables.catalog.name(id);
        let mut points: Vec<WindowPoint> = Vec::new();
        tables.memory.windows.copy_to(id, &mut points);
        let length = window.map(|length| length.as_millis());
        points.retain(|point| {
            (from.0..to.0).contains(&point.start)
                && length.is_none_or(|length| u128::from(point.end.abs_diff(point.start)) == length)
        });
        settle(&mut points);
        let limit = self.options().answer_rows;
        if points.len() > limit {
            return Err(StoreError::TooManyRows { limit });
        }
        Ok(points.into_iter().map(|point| point.into_row(&name.subject, &name.quantity)).collect())
    }

    fn raw_points(
        &self,
        subject: &str,
        quantity: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<RawPoint>, StoreError> {
        let tables = self.tables();
        let mut points: Vec<RawPoint> = Vec::new();
        if let Some(id) = tables.catalog.find(subject, quantity) {
            tables.memory.raw.copy_to(id, &mut points);
        }
        points.retain(|point| (from.0..to.0).contains(&point.event_time));
        settle(&mut points);
        Ok(points)
    }
}

impl Points {
    fn of_values(points: &[RawPoint]) -> Points {
        let mut columns = Points::default();
        for point in points {
            let is_there = point.quality.flag != Flag::Missing;
            let value = if is_there { point.value } else { f64::NAN };
            let good = u64::from(point.quality.is_usable());
            columns.push(Timestamp(point.event_time), [value; 3], u64::from(is_there), good);
        }
        columns
    }

    fn of_buckets(width: Duration, buckets: &[Bucket]) -> Points {
        let mut columns = Points { width: Some(width), ..Points::default() };
        for bucket in buckets {
            columns.push(bucket.start, [bucket.min, bucket.mean, bucket.max], bucket.count, bucket.good);
        }
        columns
    }

    fn push(&mut self, t: Timestamp, [min, mean, max]: [f64; 3], count: u64, good: u64) {
        self.t.push(t);
        self.min.push(min);
        self.mean.push(mean);
        self.max.push(max);
        self.count.push(count);
        self.good_share.push(if count == 0 { 0.0 } else { good as f64 / count as f64 });
    }
}

fn describe(tables: &Tables, id: SeriesId, found: &mut Vec<SeriesInfo>) {
    let quantity = &tables.catalog.name(id).quantity;
    let mut note = |kind: SeriesKind, at: i64| match found
        .iter_mut()
        .find(|info| info.kind == kind && info.quantity == *quantity)
    {
        Some(info) => {
            info.first = info.first.min(Timestamp(at));
            info.last = info.last.max(Timestamp(at));
            info.count += 1;
        }
        None => found.push(SeriesInfo {
            quantity: quantity.clone(),
            kind,
            first: Timestamp(at),
            last: Timestamp(at),
            count: 1,
        }),
    };
    let mut raw = Vec::new();
    tables.memory.raw.copy_to(id, &mut raw);
    raw.iter().for_each(|point| note(SeriesKind::Raw, point.event_time));
    let mut windows = Vec::new();
    tables.memory.windows.copy_to(id, &mut windows);
    settle(&mut windows);
    for point in windows {
        let length = Duration::from_millis(point.end.abs_diff(point.start));
        note(SeriesKind::Window(length), point.start);
    }
}
