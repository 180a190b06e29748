//! From memory to files.

use crate::StoreError;
use crate::catalog::{SeriesId, SeriesName};
use crate::columns::Buffered;
use crate::day::Day;
use crate::happened::HappeningPoint;
use crate::manifest::Change;
use crate::memory::Memory;
use crate::point::{RawPoint, WindowPoint};
use crate::sealed::SealedFile;
use crate::steps::Step;
use crate::store::{Sealed, Store, Tables};
use crate::writing::{Draft, FileWriter};
use records::{Offset, TopicPartition};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Store {
    /// Makes everything written so far durable, and with it `offsets`, in one step: of each partition the offset
    /// of the next record to read. Partitions not named keep theirs.
    ///
    /// The caller sees to it that `offsets` stand for exactly the rows written before this call. Queries and
    /// writes go on meanwhile. On an error nothing changed and the rows stay in memory; the next seal tries them
    /// again, with the offsets it is given then.
    pub fn seal(&self, offsets: &[(TopicPartition, Offset)]) -> Result<Sealed, StoreError> {
        let _one_at_a_time = self.sealing();
        let frozen = self.freeze();
        self.steps().reach(Step::Frozen)?;
        let rows = frozen.memory.iter().map(|memory| memory.len()).sum();
        let raw = frozen.series::<RawPoint>();
        let latest: Vec<(SeriesId, RawPoint)> =
            raw.iter().filter_map(|series| Some((series.id, *series.points.last()?))).collect();
        let mut files = self.write_days(raw)?;
        files.extend(self.write_days(frozen.series::<WindowPoint>())?);
        files.extend(self.write_days(frozen.series::<HappeningPoint>())?);
        let change = Change {
            added: &files,
            series: &frozen.new_series,
            latest: &latest,
            offsets,
            ..Change::default()
        };
        self.commit(&change, |tables| {
            tables.frozen.clear();
            tables.persisted_series += frozen.new_series.len();
            tables.offsets.extend(offsets.iter().copied());
        })?;
        let bytes = files.iter().map(|file| file.checks.bytes).sum();
        Ok(Sealed { rows, files: files.len(), bytes })
    }

    /// Moves the rows in memory to where nobody writes. What a failed seal left there stays before them.
    fn freeze(&self) -> Frozen {
        let mut tables = self.tables_mut();
        if tables.memory.len() > 0 {
            let full = std::mem::replace(&mut tables.memory, Memory::new());
            tables.frozen.push(Arc::new(full));
        }
        tables.filling_since = None;
        let frozen = Frozen::of(tables.frozen.clone(), &tables);
        drop(tables);
        frozen
    }

    /// A file for every day that has points.
    pub(crate) fn write_days<P: Buffered>(
        &self,
        mut series: Vec<Series<P>>,
    ) -> Result<Vec<Arc<SealedFile>>, StoreError> {
        let mut days = BTreeSet::new();
        for series in &mut series {
            series.points.sort_by_key(|point| Day::of(point.time()));
            days.extend(series.points.chunk_by(|a, b| day(a) == day(b)).map(|run| day(&run[0])));
        }
        days.into_iter().map(|day| self.write_day(day, &mut series)).collect()
    }

    fn write_day<P: Buffered>(
        &self,
        on: Day,
        series: &mut [Series<P>],
    ) -> Result<Arc<SealedFile>, StoreError> {
        let id = self.next_file();
        let (root, steps) = (self.root(), self.steps());
        let draft = Draft { root, steps, id, kind: P::KIND, day: on, level: 0, age: id };
        let mut file = FileWriter::create(draft)?;
        for series in series {
            let rest = &series.points[series.written..];
            let rows = rest.iter().take_while(|point| day(*point) == on).count();
            if rows > 0 {
                file.push(series.id, &series.name, &rest[..rows])?;
                series.written += rows;
            }
        }
        file.finish()
    }
}

fn day<P: Buffered>(point: &P) -> Day {
    Day::of(point.time())
}

/// What a seal is about.
pub(crate) struct Frozen {
    memory: Vec<Arc<Memory>>,
    /// Series that the manifest does not know.
    new_series: Vec<(SeriesId, SeriesName)>,
    /// Series that have rows here.
    names: Vec<(SeriesId, SeriesName)>,
}

/// The points of one series, settled.
pub(crate) struct Series<P> {
    id: SeriesId,
    name: SeriesName,
    points: Vec<P>,
    written: usize,
}

impl Frozen {
    pub fn of(memory: Vec<Arc<Memory>>, tables: &Tables) -> Frozen {
        let named = |id: SeriesId| (id, tables.catalog.name(id).clone());
        let mut ids: Vec<SeriesId> = memory.iter().flat_map(|memory| memory.series()).collect();
        ids.sort_unstable();
        ids.dedup();
        Frozen { memory, new_series: tables.new_series(), names: ids.into_iter().map(named).collect() }
    }

    /// The series of one kind that have points, in the order of names.
    pub fn series<P: Buffered>(&self) -> Vec<Series<P>> {
        let mut series = Vec::new();
        for (id, name) in &self.names {
            let mut points = Vec::new();
            self.memory.iter().for_each(|memory| P::table(memory).copy_to(*id, &mut points));
            if !points.is_empty() {
                P::settle(&mut points);
                series.push(Series { id: *id, name: name.clone(), points, written: 0 });
            }
        }
        series.sort_by(|a, b| a.name.cmp(&b.name));
        series
    }
}
