//! Where a tag was, what a reader saw, what passed a detector.

use crate::catalog::SeriesId;
use crate::columns::Buffered;
use crate::day::Kind;
use crate::happened::HappeningPoint;
use crate::memory::Table;
use crate::point::Point;
use crate::reading::{ReadError, Runs};
use crate::sealed::FileSet;
use crate::store::{Store, Tables};
use crate::view::READ_ROWS;
use crate::{Happening, HappeningRow, StoreError};
use records::{Name, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What to look for. What is `None` is not asked for.
#[derive(Clone, Copy, Debug)]
pub struct Trace<'a> {
    /// What happened.
    pub kinds: &'a [Happening],
    /// EPC in upper-case hex.
    pub tag: Option<&'a str>,
    /// Readers or detectors.
    pub devices: Option<&'a [Name]>,
    /// Area of a sighting, as it was then.
    pub area: Option<&'a str>,
    /// Event time of its beginning, inclusive.
    pub from: Timestamp,
    /// Event time of its beginning, exclusive.
    pub to: Timestamp,
    /// Rows of the answer, at most.
    pub limit: usize,
}

/// What one answer is made from.
struct Scene {
    series: BTreeMap<SeriesId, (Happening, Name)>,
    memory: Vec<(SeriesId, HappeningPoint)>,
    files: Arc<FileSet>,
}

impl Store {
    /// What happened in a range of event time, by time.
    ///
    /// A question for a tag reads all that happened at the readers asked for: name these, or a short range, where
    /// much happens.
    ///
    /// # Errors
    /// [`StoreError::TooManyRows`] when there is more than `limit`; [`StoreError::Stopped`]: see
    /// [`Store::asked_while`].
    pub fn trace(&self, trace: Trace<'_>) -> Result<Vec<HappeningRow>, StoreError> {
        self.until_sound(|| {
            let scene = Scene::of(&self.tables(), &trace);
            scene.answer(&trace, self.go_on())
        })
    }
}

impl Scene {
    fn of(tables: &Tables, trace: &Trace<'_>) -> Scene {
        let mut series = BTreeMap::new();
        let mut note = |device: &Name| {
            for kind in trace.kinds {
                if let Some(id) = tables.catalog.find(device, kind.name()) {
                    series.insert(id, (*kind, device.clone()));
                }
            }
        };
        match trace.devices {
            Some(devices) => devices.iter().for_each(&mut note),
            None => tables.catalog.subjects().for_each(|(device, _)| note(device)),
        }
        let mut memory = Vec::new();
        let tables_in_memory = tables.frozen.iter().map(|frozen| &**frozen).chain([&tables.memory]);
        for table in tables_in_memory.map(HappeningPoint::table) {
            series.keys().for_each(|id| copy(table, *id, &mut memory));
        }
        Scene { series, memory, files: Arc::clone(&tables.files) }
    }

    fn answer(&self, trace: &Trace<'_>, go_on: &dyn Fn() -> bool) -> Result<Vec<HappeningRow>, ReadError> {
        let (from, to) = (trace.from.millis(), trace.to.millis());
        let mut found: Vec<(SeriesId, HappeningPoint)> = Vec::new();
        let mut rows = Vec::new();
        for file in self.files.within(Kind::Happenings, from, to) {
            let mut open = None;
            for id in self.series.keys() {
                for entry in file.entries(*id, from, to) {
                    let open = match &mut open {
                        Some(open) => open,
                        None => open.insert(Runs::open(file)?),
                    };
                    for start in (0..entry.rows).step_by(READ_ROWS as usize) {
                        if !go_on() {
                            return Err(StoreError::Stopped.into());
                        }
                        open.read(entry.start + start, READ_ROWS.min(entry.rows - start), &mut rows)?;
                        let wanted = rows.drain(..).filter(|point| trace.wants(point));
                        found.extend(wanted.map(|point| (*id, point)));
                        trace.bounded(&mut found)?;
                    }
                }
            }
        }
        found.extend(self.memory.iter().filter(|(_, point)| trace.wants(point)).cloned());
        trace.bounded(&mut found)?;
        settle(&mut found);
        found.sort_by(|(_, a), (_, b)| a.order(b));
        let row = |(id, point): (SeriesId, HappeningPoint)| {
            let (kind, device) = &self.series[&id];
            point.into_row(*kind, device.clone())
        };
        Ok(found.into_iter().map(row).collect())
    }
}

impl Trace<'_> {
    fn wants(&self, point: &HappeningPoint) -> bool {
        (self.from.millis()..self.to.millis()).contains(&point.at)
            && self.tag.is_none_or(|tag| point.tag.as_deref() == Some(tag))
            && self.area.is_none_or(|area| point.area.as_deref() == Some(area))
    }

    fn bounded(&self, found: &mut Vec<(SeriesId, HappeningPoint)>) -> Result<(), StoreError> {
        if found.len() > self.limit {
            settle(found);
        }
        if found.len() > self.limit { Err(StoreError::TooManyRows { limit: self.limit }) } else { Ok(()) }
    }
}

fn copy(table: &Table<HappeningPoint>, id: SeriesId, out: &mut Vec<(SeriesId, HappeningPoint)>) {
    let mut points = Vec::new();
    table.copy_to(id, &mut points);
    out.extend(points.into_iter().map(|point| (id, point)));
}

/// Of each series, given in the order of writing, drops what was replaced.
fn settle(found: &mut Vec<(SeriesId, HappeningPoint)>) {
    found.sort_by(|(one, a), (other, b)| one.cmp(other).then_with(|| a.order(b)));
    found.dedup_by(|later, earlier| {
        let is_replaced = later.0 == earlier.0 && later.1.replaces(&earlier.1);
        if is_replaced {
            std::mem::swap(earlier, later);
        }
        is_replaced
    });
}
