//! What one answer is made from: the rows of a series in memory and the files, as they were at one instant.

use crate::catalog::SeriesId;
use crate::columns::{Layout, ValuePoint};
use crate::index::{Entry, entries_of};
use crate::point::{Point, RawPoint, WindowPoint, settle};
use crate::reading::{OpenFile, ReadError, Stored};
use crate::sealed::FileSet;
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
    pub(crate) fn answer<P: Layout, A: Default>(
        &self,
        subject: &str,
        quantity: &str,
        from: Timestamp,
        to: Timestamp,
        answer: impl Fn(&View<P>) -> Result<A, ReadError>,
    ) -> Result<A, StoreError> {
        loop {
            let Some(view) = View::of(&self.tables(), subject, quantity, from.millis(), to.millis()) else {
                return Ok(A::default());
            };
            match answer(&view) {
                Ok(found) => return Ok(found),
                Err(ReadError::Damaged { file, detail }) => self.set_aside(&file, &detail)?,
                Err(ReadError::Failed(error)) => return Err(error),
            }
        }
    }
}

impl<P: Layout> View<P> {
    fn of(tables: &Tables, subject: &str, quantity: &str, from: i64, to: i64) -> Option<View<P>> {
        let series = tables.catalog.find(subject, quantity)?;
        let mut memory = memory_of::<P>(tables, series);
        memory.retain(|point| (from..to).contains(&point.time()));
        Some(View { series, from, to, memory, files: Arc::clone(&tables.files) })
    }

    /// Calls `each` with the rows of every file that may lie in the span, in the order of writing within a day.
    fn for_each_part<S: Stored>(
        &self,
        is_wanted: impl Fn(&Entry) -> bool,
        mut each: impl FnMut(&[S]) -> Result<(), StoreError>,
    ) -> Result<(), ReadError> {
        let mut rows = Vec::new();
        for file in self.files.within(P::KIND, self.from, self.to) {
            let mut open = None;
            for entry in file.entries(self.series, self.from, self.to).filter(|entry| is_wanted(entry)) {
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
}

impl View<RawPoint> {
    /// The times between which all its rows lie, as far as that is known without reading.
    pub fn extent(&self) -> Option<(i64, i64)> {
        let in_memory = self.memory.iter().map(|point| (point.event_time, point.event_time));
        let in_files = self.files.within(RawPoint::KIND, self.from, self.to).flat_map(|file| {
            let day = file.day.start();
            let entries = file.entries(self.series, self.from, self.to);
            entries.map(move |entry| (day + i64::from(entry.first), day + i64::from(entry.last)))
        });
        in_memory
            .chain(in_files)
            .map(|(first, last)| (first.max(self.from), last.min(self.to.saturating_sub(1))))
            .reduce(|(first, last), (other_first, other_last)| (first.min(other_first), last.max(other_last)))
    }

    /// Calls `each` with every value, once.
    pub fn for_each_value(
        &self,
        mut each: impl FnMut(&ValuePoint) -> Result<(), StoreError>,
    ) -> Result<(), ReadError> {
        self.for_each_part::<ValuePoint>(
            |_| true,
            |values| {
                let mut inside = values.iter().filter(|value| (self.from..self.to).contains(&value.at));
                inside.try_for_each(&mut each)
            },
        )?;
        Ok(self.memory.iter().try_for_each(|point| each(&point.into()))?)
    }
}

impl View<WindowPoint> {
    /// The windows of one length or of all, settled, at most `limit`.
    pub fn windows(&self, window: Option<Duration>, limit: usize) -> Result<Vec<WindowPoint>, ReadError> {
        let is_wanted = |length| window.is_none_or(|wanted| wanted.as_millis() == u128::from(length));
        let mut found = Vec::new();
        let within_limit = |found: &mut Vec<WindowPoint>| {
            if found.len() > limit {
                settle(found);
            }
            if found.len() > limit { Err(StoreError::TooManyRows { limit }) } else { Ok(()) }
        };
        self.for_each_part::<WindowPoint>(
            |entry| is_wanted(entry.length),
            |windows| {
                let inside = windows.iter().filter(|window| (self.from..self.to).contains(&window.start));
                found.extend(inside);
                within_limit(&mut found)
            },
        )?;
        found.extend(self.memory.iter().filter(|point| is_wanted(point.length())));
        within_limit(&mut found)?;
        settle(&mut found);
        Ok(found)
    }
}

/// The points of a series in memory, in the order of writing.
fn memory_of<P: Layout>(tables: &Tables, series: SeriesId) -> Vec<P> {
    let mut points = Vec::new();
    tables.frozen.iter().for_each(|frozen| P::table(frozen).copy_to(series, &mut points));
    P::table(&tables.memory).copy_to(series, &mut points);
    points
}

/// What is stored of a series, by kind, without reading a file.
pub(crate) fn describe(tables: &Tables, series: SeriesId, found: &mut Vec<SeriesInfo>) {
    let quantity = &tables.catalog.name(series).quantity;
    for file in tables.files.all() {
        let day = file.day.start();
        for entry in entries_of(&file.index, series) {
            let span = (day + i64::from(entry.first), day + i64::from(entry.last));
            note(found, quantity, entry.length, span, entry.rows.into());
        }
    }
    let mut windows = memory_of::<WindowPoint>(tables, series);
    settle(&mut windows);
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
