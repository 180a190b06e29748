//! What one answer is made from: the rows of some series in memory and the files, as they were at one instant.

use crate::bucket::Buckets;
use crate::catalog::SeriesId;
use crate::columns::{Buffered, ValuePoint};
use crate::cover::{Part, cover};
use crate::day::Kind;
use crate::index::{Entry, entries_of};
use crate::point::{Point, RawPoint, WindowPoint};
use crate::reading::{ReadError, Runs, Stored};
use crate::rolled::RollPoint;
use crate::sealed::{FileSet, SealedFile};
use crate::store::{Store, Tables};
use crate::{SeriesInfo, SeriesKind, StoreError};
use records::{Name, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// Rows that are read at a time: then it is asked whether the answer is still wanted.
pub(crate) const READ_ROWS: u32 = 16_384;

/// The rows of some series within a span of event time.
pub(crate) struct View<'a, P> {
    /// Each with its place in the answer, which several may share.
    series: Vec<(SeriesId, usize)>,
    from: i64,
    to: i64,
    /// With their place; of a series in the order of writing, all of it later than the files.
    memory: Vec<(usize, P)>,
    files: Arc<FileSet>,
    /// With `false` the answer is not wanted any more.
    go_on: &'a dyn Fn() -> bool,
}

/// What a view shows.
pub(crate) struct Scope<'a> {
    /// Subject, quantity, and the place in the answer.
    pub series: &'a [(&'a str, &'a str, usize)],
    pub from: Timestamp,
    pub to: Timestamp,
    pub go_on: &'a dyn Fn() -> bool,
}

impl Store {
    /// Answers from a view of one series.
    pub(crate) fn answer<P: Buffered, A: Default>(
        &self,
        subject: &str,
        quantity: &str,
        from: Timestamp,
        to: Timestamp,
        answer: impl Fn(&View<'_, P>) -> Result<A, ReadError>,
    ) -> Result<A, StoreError> {
        self.answer_of(&Scope { series: &[(subject, quantity, 0)], from, to, go_on: self.go_on() }, answer)
    }

    /// Answers from a view, and once more without a file that proves damaged on the way. Series that nobody has seen
    /// have the empty answer.
    pub(crate) fn answer_of<P: Buffered, A: Default>(
        &self,
        scope: &Scope<'_>,
        answer: impl Fn(&View<'_, P>) -> Result<A, ReadError>,
    ) -> Result<A, StoreError> {
        self.until_sound(|| {
            let view = View::of(&self.tables(), scope);
            if view.series.is_empty() { Ok(A::default()) } else { answer(&view) }
        })
    }

    /// Reads, if that is still wanted, and once more without a file that proves damaged on the way.
    pub(crate) fn until_sound<A>(&self, read: impl Fn() -> Result<A, ReadError>) -> Result<A, StoreError> {
        loop {
            if !(self.go_on())() {
                return Err(StoreError::Stopped);
            }
            match read() {
                Ok(found) => return Ok(found),
                Err(ReadError::Damaged { file, detail }) => self.set_aside(&file, &detail)?,
                Err(ReadError::Failed(error)) => return Err(error),
            }
        }
    }
}

impl<'a, P: Buffered> View<'a, P> {
    fn of(tables: &Tables, scope: &Scope<'a>) -> View<'a, P> {
        let (from, to) = (scope.from.millis(), scope.to.millis());
        let known = |&(subject, quantity, place): &(&str, &str, usize)| {
            Some((tables.catalog.find(subject, quantity)?, place))
        };
        let series: Vec<(SeriesId, usize)> = scope.series.iter().filter_map(known).collect();
        let mut memory = Vec::new();
        for (id, place) in &series {
            let points = memory_of::<P>(tables, *id).into_iter();
            memory.extend(
                points.filter(|point| (from..to).contains(&point.time())).map(|point| (*place, point)),
            );
        }
        View { series, from, to, memory, files: Arc::clone(&tables.files), go_on: scope.go_on }
    }

    /// Calls `each` with the rows of every file of a kind that may lie within `[from, to)` and the place of their
    /// series; those of one series in the order of writing within a day.
    fn for_each_part<S: Stored>(
        &self,
        Part { kind, from, to }: Part,
        is_wanted: impl Fn(&SealedFile, &Entry) -> bool,
        mut each: impl FnMut(usize, &[S]) -> Result<(), StoreError>,
    ) -> Result<(), ReadError> {
        let mut rows = Vec::new();
        for file in self.files.within(kind, from, to) {
            let entries = self.series.iter().flat_map(|(series, place)| {
                file.entries(*series, from, to).map(move |entry| (*place, entry))
            });
            let mut entries: Vec<_> = entries.filter(|(_, entry)| is_wanted(file, entry)).collect();
            // As they lie in the file, so that each page is read once.
            entries.sort_unstable_by_key(|(_, entry)| entry.start);
            let mut runs = None;
            for (place, entry) in entries {
                let runs = match &mut runs {
                    Some(runs) => runs,
                    None => runs.insert(Runs::open(file)?),
                };
                for start in (0..entry.rows).step_by(READ_ROWS as usize) {
                    if !(self.go_on)() {
                        return Err(StoreError::Stopped.into());
                    }
                    rows.clear();
                    runs.read(entry.start + start, READ_ROWS.min(entry.rows - start), &mut rows)?;
                    each(place, &rows)?;
                }
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

impl View<'_, RawPoint> {
    /// `None` when there are no values.
    pub fn extent(&self) -> Option<Extent> {
        let in_memory = self.memory.iter().map(|(_, point)| (point.event_time, point.event_time, 1));
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
        self.for_each_stored(self.all_of(Kind::Observations), |_| true, |_, value| each(value))?;
        Ok(self.memory.iter().try_for_each(|(_, point)| each(&point.into()))?)
    }

    /// Gathers the values in the buckets of their place, all of the same spans, from roll-ups where that makes no
    /// difference or nothing else is left.
    pub fn gather(&self, buckets: &mut [Buckets]) -> Result<(), ReadError> {
        let is_exact = |kind: Kind, buckets: &Buckets| buckets.takes(kind.width().max(1));
        self.gather_some(buckets, is_exact, |_, _, _| Ok(()))
    }

    /// The same from the values themselves wherever they are left, each of which `each` gets to see, with its place
    /// and the start of its span.
    pub fn gather_values(
        &self,
        buckets: &mut [Buckets],
        each: impl FnMut(usize, &ValuePoint, i64) -> Result<(), StoreError>,
    ) -> Result<(), ReadError> {
        self.gather_some(buckets, |kind, _| kind == Kind::Observations, each)
    }

    fn gather_some(
        &self,
        buckets: &mut [Buckets],
        is_exact: impl Fn(Kind, &Buckets) -> bool,
        mut each: impl FnMut(usize, &ValuePoint, i64) -> Result<(), StoreError>,
    ) -> Result<(), ReadError> {
        let parts = self.parts(|kind| buckets.iter().all(|buckets| is_exact(kind, buckets)));
        let mut add = |buckets: &mut [Buckets], place: usize, value: &ValuePoint| {
            each(place, value, buckets[place].start_of(value.at))?;
            buckets[place].add(value.at, value.value, value.flag)
        };
        let all = self.all_of(Kind::Observations);
        self.for_each_stored(
            all,
            |file| !self.files.is_rolled(file),
            |place, value| add(buckets, place, value),
        )?;
        self.memory.iter().try_for_each(|(place, point)| add(buckets, *place, &point.into()))?;
        for part in parts {
            if part.kind == Kind::Observations {
                let is_rolled = |file: &SealedFile| self.files.is_rolled(file);
                self.for_each_stored(part, is_rolled, |place, value| add(buckets, place, value))?;
            } else {
                self.join_rolled(part, buckets)?;
            }
        }
        Ok(())
    }

    fn join_rolled(&self, part: Part, buckets: &mut [Buckets]) -> Result<(), ReadError> {
        self.for_each_part::<RollPoint>(
            part,
            |_, _| true,
            |place, points| {
                let mut inside = points.iter().filter(|point| (part.from..part.to).contains(&point.start));
                inside.try_for_each(|point| buckets[place].join(point.start, |summary| point.add_to(summary)))
            },
        )
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
        mut each: impl FnMut(usize, &ValuePoint) -> Result<(), StoreError>,
    ) -> Result<(), ReadError> {
        self.for_each_part::<ValuePoint>(
            part,
            |file, _| is_wanted(file),
            |place, values| {
                let mut inside = values.iter().filter(|value| (part.from..part.to).contains(&value.at));
                inside.try_for_each(|value| each(place, value))
            },
        )
    }

    /// Kind, first and last time and number of rows of what files hold.
    fn entries(&self, part: Part) -> impl Iterator<Item = (Kind, (i64, i64, u64))> {
        self.files.within(part.kind, part.from, part.to).flat_map(move |file| {
            let day = file.day.start();
            let entries = self.series.iter().flat_map(move |(id, _)| file.entries(*id, part.from, part.to));
            entries.map(move |entry| {
                (part.kind, (day + i64::from(entry.first), day + i64::from(entry.last), entry.rows.into()))
            })
        })
    }
}

impl View<'_, RawPoint> {
    /// All of them as they were written, by time, at most `limit`.
    pub fn points(&self, limit: usize) -> Result<Vec<RawPoint>, ReadError> {
        let mut found: Vec<RawPoint> = Vec::new();
        self.for_each_part::<RawPoint>(
            self.all_of(Kind::Observations),
            |_, _| true,
            |_, points| {
                let inside = |point: &&RawPoint| (self.from..self.to).contains(&point.event_time);
                found.extend(points.iter().filter(inside));
                if found.len() > limit { Err(StoreError::TooManyRows { limit }) } else { Ok(()) }
            },
        )?;
        found.extend(self.memory.iter().map(|(_, point)| point));
        if found.len() > limit {
            return Err(StoreError::TooManyRows { limit }.into());
        }
        found.sort_by(RawPoint::order);
        Ok(found)
    }
}

impl View<'_, WindowPoint> {
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
            |_, windows| {
                let inside = windows.iter().filter(|window| (self.from..self.to).contains(&window.start));
                found.extend(inside);
                within_limit(&mut found)
            },
        )?;
        found.extend(self.memory.iter().map(|(_, point)| point).filter(|point| is_wanted(point.length())));
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
