//! Answers by event time, from the files and from memory as they were at one instant.

use crate::bucket::{Bucket, Buckets, is_usable, width_for};
use crate::columns::ValuePoint;
use crate::point::{RawPoint, WindowPoint};
use crate::reading::ReadError;
use crate::store::Store;
use crate::view::{View, describe};
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
    /// into at most that many buckets of one of the usual widths, aligned with the epoch. Fewer than two points
    /// can't always be had: they count as two.
    ///
    /// Where the values are gone because of their age, there are buckets, none narrower than the roll-ups left.
    pub fn range(
        &self,
        subject: &str,
        quantity: &str,
        from: Timestamp,
        to: Timestamp,
        max_points: usize,
    ) -> Result<Points, StoreError> {
        let max_points = max_points.max(2);
        self.answer(subject, quantity, from, to, |view: &View<'_, RawPoint>| {
            let Some(extent) = view.extent() else { return Ok(Points::default()) };
            let width = width_for(extent.first, extent.last, max_points);
            let width = width.max(Duration::from_millis(extent.width.unsigned_abs()));
            if extent.width == 0
                && extent.rows <= max_points as u64
                && let Some(points) = values(view, max_points)?
            {
                return Ok(points);
            }
            let mut buckets = [Buckets::new(width, Duration::ZERO, max_points)];
            view.gather(&mut buckets)?;
            let [buckets] = buckets;
            Ok(Points::of_buckets(width, &buckets.finish()?))
        })
    }

    /// Count, min, mean and max of a series per span of `width` within `[from, to)`, spans beginning at
    /// `offset + k × width` since the epoch; empty ones are left out.
    ///
    /// Days of a clock that is eight hours ahead of UTC have the offset 16 h. Where the values are gone because of
    /// their age, what is left of them counts: each minute, hour or day as if it were all at its start.
    pub fn buckets(
        &self,
        subject: &str,
        quantity: &str,
        from: Timestamp,
        to: Timestamp,
        width: Duration,
        offset: Duration,
    ) -> Result<Vec<Bucket>, StoreError> {
        self.answer(subject, quantity, from, to, |view: &View<'_, RawPoint>| {
            let mut buckets = [Buckets::new(width, offset, self.options().answer_rows)];
            view.gather(&mut buckets)?;
            let [buckets] = buckets;
            Ok(buckets.finish()?)
        })
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
        self.answer(subject, quantity, from, to, |view: &View<'_, WindowPoint>| {
            let points = view.windows(window, self.options().answer_rows)?;
            Ok(points.into_iter().map(|point| point.into_row(subject, quantity)).collect())
        })
    }
}

/// All values by time, or `None` when there are more than `max_points`.
fn values(view: &View<'_, RawPoint>, max_points: usize) -> Result<Option<Points>, ReadError> {
    let (mut values, mut rows) = (Vec::new(), 0);
    view.for_each_value(|point| {
        rows += 1;
        if rows <= max_points {
            values.push(*point);
        }
        Ok(())
    })?;
    values.sort_by_key(|point| point.at);
    Ok((rows <= max_points).then(|| Points::of_values(&values)))
}

impl Points {
    fn of_values(points: &[ValuePoint]) -> Points {
        let mut columns = Points::default();
        for point in points {
            let is_there = point.flag != Flag::Missing;
            let value = if is_there { point.value } else { f64::NAN };
            let good = u64::from(is_usable(point.flag));
            columns.push(Timestamp(point.at), [value; 3], u64::from(is_there), good);
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
