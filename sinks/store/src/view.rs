//! What one answer is made from: the rows of a series in memory and the files, as they were at one instant.

use crate::bucket::Buckets;
use crate::catalog::SeriesId;
use crate::columns::{Buffered, ValuePoint};
use crate::cover::{Part, cover};
use crate::day::Kind;
use crate::index::{Entry, entries_of};
use crate::point::{Point, RawPoint, WindowPoint};
use crate::reading::{OpenFile, ReadError, Stored};
use crate::rolled::RollPoint;
use crate::sealed::{FileSet, SealedFile};
use crate::store::{Store, Tables};
use crate::{SeriesInfo, SeriesKind, StoreError};
use records::{Name, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// The rows of one series within a span of event time.
pub(crate) struct View<P> {
    series: SeriesId,
    from: i64,
    to: i64,
    /// In the order of writing, all of it later than the files.
    memory: Vec<P>,
    files: Arc<FileSet>,
}

impl Store {
    /// Answers from a view of a series, and once more without a file that proves damaged on the way. A series
    /// that nobody has seen has the empty answer.
    pub(crate) fn answer<P: Buffered, A: Default>(
        &self,
        subject: &str,
        quantity: &str,
        from: Timestamp,
        to: Timestamp,
        answer: impl Fn(&View<P>) -> Result<A, ReadError>,
    ) -> Result<A, StoreError> {
        self.until_sound(|| {
            let view = View::of(&self.tables(), subject, quantity, from.millis(), to.millis());
            view.map_or_else(|| Ok(A::default()), |view| answer(&view))
        })
    }

    /// Reads, and once more without a file that proves damaged on the way.
    pub(crate) fn until_sound<A>(&self, read: impl Fn() -> Result<A, ReadError>) -> Result<A, StoreError> {
        loop {
            match read() {
                Ok(found) => return Ok(found),
                Err(ReadError::Damaged { file, detail }) => self.set_aside(&file, &detail)?,
                Err(ReadError::Failed(error)) => return Err(error),
            }
        }
    }
}

impl<P: Buffered> View<P> {
    fn of(tables: &Tables, subject: &str, quantity: &str, from: i64, to: i64) -> Option<View<P>> {
        let series = tables.catalog.find(subject, quantity)?;
        let mut memory = memory_of::<P>(tables, series);
        memory.retain(|point| (from..to).contains(&point.time()));
        Some(View { series, from, to, memory, files: Arc::clone(&tables.files) })
    }

    /// Calls `each` with the rows of every file of a kind that may lie within `[from, to)`, in the order of writing
    /// within a day.
    fn for_each_part<S: Stored>(
        &self,
        Part { kind, from, to }: Part,
        is_wanted: impl Fn(&SealedFile, &Entry) -> bool,
        mut each: impl FnMut(&[S]) -> Result<(), StoreError>,
    ) -> Result<(), ReadError> {
        let mut rows = Vec::new();
        for file in self.files.within(kind, from, to) {
            let mut open = None;
            for entry in file.entries(self.series, from, to).filter(|entry| is_wanted(file, entry)) {
                let open = match &open {
                    Some(open) => open,
                    None => open.insert(OpenFile::open(file)?),
                };
                rows.clear();
                open.read(entry.start, entry.rows, &mut rows)?;
                each(&rows)?;
            }
        }
        Ok(())
    }

    fn all_of(&self, kind: Kind) -> Part {
        Part { kind, from: self.from, to: self.to }
    }
}

/// What is known of the values in a view without reading them.
pub(crate) struct Extent {
    /// Times between which all of them lie.
    pub first: i64,
    pub last: i64,
    /// How many there are at least.
    pub rows: u64,
    /// The width of the finest roll-ups that are left where the values themselves are gone; 0 when all are there.
    pub width: i64,
}

impl View<RawPoint> {
    /// `None` when there are no values.
    pub fn extent(&self) -> Option<Extent> {
        let in_memory = self.memory.iter().map(|point| (point.event_time, point.event_time, 1));
        let raw = self.entries(self.all_of(Kind::Observations)).map(|(_, span)| span);
        let gone = self.parts(|kind| kind == Kind::Observations);
        let gone = gone.into_iter().filter(|part| part.kind != Kind::Observations);
        let rolled: Vec<(Kind, (i64, i64, u64))> = gone.flat_map(|part| self.entries(part)).collect();
        let width = rolled.iter().map(|(kind, _)| kind.width()).max().unwrap_or(0);
        in_memory
            .chain(raw)
            .chain(rolled.into_iter().map(|(_, span)| span))
            .map(|(first, last, rows)| {
                let is_inside = self.from <= first && last < self.to;
                let (first, last) = (first.max(self.from), last.min(self.to.saturating_sub(1)));
                (first, last, if is_inside { rows } else { 0 })
            })
            .reduce(|one, other| (one.0.min(other.0), one.1.max(other.1), one.2 + other.2))
            .map(|(first, last, rows)| Extent { first, last, rows, width })
    }

    /// Calls `each` with every value, once.
    pub fn for_each_value(
        &self,
        mut each: impl FnMut(&ValuePoint) -> Result<(), StoreError>,
    ) -> Result<(), ReadError> {
        self.for_each_stored(self.all_of(Kind::Observations), |_| true, &mut each)?;
        Ok(self.memory.iter().try_for_each(|point| each(&point.into()))?)
    }

    /// Gathers the values in buckets, from roll-ups where that makes no difference or nothing else is left.
    pub fn gather(&self, buckets: &mut Buckets) -> Result<(), ReadError> {
        self.gather_some(buckets, |kind, buckets| buckets.takes(kind.width().max(1)), |_, _| Ok(()))
    }

    /// The same from the values themselves wherever they are left, each of which `each` gets to see.
    pub fn gather_values(
        &self,
        buckets: &mut Buckets,
        each: impl FnMut(&ValuePoint, i64) -> Result<(), StoreError>,
    ) -> Result<(), ReadError> {
        self.gather_some(buckets, |kind, _| kind == Kind::Observations, each)
    }

    fn gather_some(
        &self,
        buckets: &mut Buckets,
        is_exact: impl Fn(Kind, &Buckets) -> bool,
        mut each: impl FnMut(&ValuePoint, i64) -> Result<(), StoreError>,
    ) -> Result<(), ReadError> {
        let parts = self.parts(|kind| is_exact(kind, buckets));
        let mut add = |buckets: &mut Buckets, value: &ValuePoint| {
            each(value, buckets.start_of(value.at))?;
            buckets.add(value.at, value.value, value.flag)
        };
        let all = self.all_of(Kind::Observations);
        self.for_each_stored(all, |file| !self.files.is_rolled(file), |value| add(buckets, value))?;
        self.memory.iter().try_for_each(|point| add(buckets, &point.into()))?;
        for part in parts {
            if part.kind == Kind::Observations {
                self.for_each_stored(part, |file| self.files.is_rolled(file), |value| add(buckets, value))?;
            } else {
                self.for_each_part::<RollPoint>(
                    part,
                    |_, _| true,
                    |points| {
                        let mut inside =
                            points.iter().filter(|point| (part.from..part.to).contains(&point.start));
                        inside
                            .try_for_each(|point| buckets.join(point.start, |summary| point.add_to(summary)))
                    },
                )?;
            }
        }
        Ok(())
    }

    /// What the rolled-up part of the view is made from.
    fn parts(&self, is_exact: impl Fn(Kind) -> bool) -> Vec<Part> {
        // Beyond the calendar there are no rows, and there the arithmetic of spans is safe.
        let edge = i64::MAX / 4;
        cover(&self.files, self.from.clamp(-edge, edge), self.to.clamp(-edge, edge), is_exact)
    }

    fn for_each_stored(
        &self,
        part: Part,
        is_wanted: impl Fn(&SealedFile) -> bool,
        mut each: impl FnMut(&ValuePoint) -> Result<(), StoreError>,
    ) -> Result<(), ReadError> {
        self.for_each_part::<ValuePoint>(
            part,
            |file, _| is_wanted(file),
            |values| {
                let mut inside = values.iter().filter(|value| (part.from..part.to).contains(&value.at));
                inside.try_for_each(&mut each)
            },
        )
    }

    /// Kind, first and last time and number of rows of what files hold of the series.
    fn entries(&self, part: Part) -> impl Iterator<Item = (Kind, (i64, i64, u64))> {
        self.files.within(part.kind, part.from, part.to).flat_map(move |file| {
            let day = file.day.start();
            let entries = file.entries(self.series, part.from, part.to);
            entries.map(move |entry| {
                (part.kind, (day + i64::from(entry.first), day + i64::from(entry.last), entry.rows.into()))
            })
        })
    }
}

impl View<RawPoint> {
    /// All of them as they were written, by time, at most `limit`.
    pub fn points(&self, limit: usize) -> Result<Vec<RawPoint>, ReadError> {
        let mut found: Vec<RawPoint> = Vec::new();
        self.for_each_part::<RawPoint>(
            self.all_of(Kind::Observations),
            |_, _| true,
            |points| {
                let inside = |point: &&RawPoint| (self.from..self.to).contains(&point.event_time);
                found.extend(points.iter().filter(inside));
                if found.len() > limit { Err(StoreError::TooManyRows { limit }) } else { Ok(()) }
            },
        )?;
        found.extend(&self.memory);
        if found.len() > limit {
            return Err(StoreError::TooManyRows { limit }.into());
        }
        found.sort_by(RawPoint::order);
        Ok(found)
    }
}

impl View<WindowPoint> {
    /// The windows of one length or of all, settled, at most `limit`.
    pub fn windows(&self, window: Option<Duration>, limit: usize) -> Result<Vec<WindowPoint>, ReadError> {
        let is_wanted = |length| window.is_none_or(|wanted| wanted.as_millis() == u128::from(length));
        let mut found = Vec::new();
        let within_limit = |found: &mut Vec<WindowPoint>| {
            if found.len() > limit {
                WindowPoint::settle(found);
            }
            if found.len() > limit { Err(StoreError::TooManyRows { limit }) } else { Ok(()) }
        };
        self.for_each_part::<WindowPoint>(
            self.all_of(Kind::Aggregates),
            |_, entry| is_wanted(entry.length),
            |windows| {
                let inside = windows.iter().filter(|window| (self.from..self.to).contains(&window.start));
                found.extend(inside);
                within_limit(&mut found)
            },
        )?;
        found.extend(self.memory.iter().filter(|point| is_wanted(point.length())));
        within_limit(&mut found)?;
        WindowPoint::settle(&mut found);
        Ok(found)
    }
}

/// The points of a series in memory, in the order of writing.
fn memory_of<P: Buffered>(tables: &Tables, series: SeriesId) -> Vec<P> {
    let mut points = Vec::new();
    tables.frozen.iter().for_each(|frozen| P::table(frozen).copy_to(series, &mut points));
    P::table(&tables.memory).copy_to(series, &mut points);
    points
}

/// What is stored of a series, by kind, without reading a file.
pub(crate) fn describe(tables: &Tables, series: SeriesId, found: &mut Vec<SeriesInfo>) {
    let quantity = &tables.catalog.name(series).quantity;
    for file in tables.files.all().filter(|file| matches!(file.kind, Kind::Observations | Kind::Aggregates)) {
        let day = file.day.start();
        for entry in entries_of(&file.index, series) {
            let span = (day + i64::from(entry.first), day + i64::from(entry.last));
            note(found, quantity, entry.length, span, entry.rows.into());
        }
    }
    let mut windows = memory_of::<WindowPoint>(tables, series);
    WindowPoint::settle(&mut windows);
    let windows = windows.iter().map(|point| (point.length(), point.start));
    let raw = memory_of::<RawPoint>(tables, series).into_iter().map(|point| (0, point.event_time));
    for (length, at) in raw.chain(windows) {
        note(found, quantity, length, (at, at), 1);
    }
}

fn note(found: &mut Vec<SeriesInfo>, quantity: &Name, length: u64, (first, last): (i64, i64), count: u64) {
    let kind = if length == 0 { SeriesKind::Raw } else { SeriesKind::Window(Duration::from_millis(length)) };
    let (first, last) = (Timestamp(first), Timestamp(last));
    match found.iter_mut().find(|info| info.kind == kind && info.quantity == *quantity) {
        Some(info) => {
            info.first = info.first.min(first);
            info.last = info.last.max(last);
            info.count += count;
        }
        None => found.push(SeriesInfo { quantity: quantity.clone(), kind, first, last, count }),
    }
}
