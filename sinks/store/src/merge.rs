//! Many small files of a day become one.

use crate::StoreError;
use crate::catalog::{SeriesId, SeriesName};
use crate::columns::Layout;
use crate::day::{Day, Kind};
use crate::happened::HappeningPoint;
use crate::index::Entry;
use crate::manifest::Change;
use crate::point::{RawPoint, WindowPoint};
use crate::reading::{OpenFile, ReadError, Stored};
use crate::rolled::RollPoint;
use crate::sealed::{FileSet, SealedFile};
use crate::store::Store;
use crate::writing::{Draft, FILE_ROWS, FileWriter};
use std::sync::Arc;

/// Files of one level that a folder may have: the twelfth makes them one of the next, so that a row is written again
/// once per level, not once per merge.
const SIBLINGS: usize = 12;

/// Files that a folder may have when its days are over.
const REMAINS: usize = 4;

/// Rows that are read from a file at a time.
const BATCH_ROWS: usize = 16_384;

impl Store {
    /// Merges small files of a folder when there are many. Returns how many files went. Cheap when there is nothing
    /// to do; a failure changes nothing.
    pub fn compact(&self) -> Result<usize, StoreError> {
        let _one_at_a_time = self.merging();
        self.merge_all(|_, _| false)
    }

    /// Merges until nothing is left to merge.
    pub(crate) fn merge_all(&self, is_over: impl Fn(Kind, Day) -> bool) -> Result<usize, StoreError> {
        let mut gone = 0;
        loop {
            let files = Arc::clone(&self.tables().files);
            let parts = plan(&files, &is_over);
            let Some(first) = parts.first() else { return Ok(gone) };
            let (rolled, unrolled): (Vec<_>, Vec<_>) =
                parts.iter().cloned().partition(|file| files.is_rolled(file));
            if !rolled.is_empty() && !unrolled.is_empty() {
                // One file can't be half in the roll-ups.
                self.heed(self.roll_up(&unrolled))?;
                continue;
            }
            let merged = match first.kind {
                Kind::Observations => self.merge::<RawPoint>(&parts, !rolled.is_empty()),
                Kind::Aggregates => self.merge::<WindowPoint>(&parts, false),
                Kind::Happenings => self.merge::<HappeningPoint>(&parts, false),
                Kind::Minutes | Kind::Hours | Kind::Days => self.merge::<RollPoint>(&parts, false),
            };
            if self.heed(merged)? {
                gone += parts.len() - 1;
            }
        }
    }

    /// What came of work on files: `false` when it is to be planned anew, because a file went or was found damaged.
    pub(crate) fn heed(&self, done: Result<bool, ReadError>) -> Result<bool, StoreError> {
        match done {
            Ok(is_done) => Ok(is_done),
            Err(ReadError::Damaged { file, detail }) => self.set_aside(&file, &detail).map(|()| false),
            Err(ReadError::Failed(error)) => Err(error),
        }
    }

    /// One file instead of several, which are given in the order of writing. `false` when one of these went
    /// meanwhile.
    fn merge<P: Layout>(&self, parts: &[Arc<SealedFile>], is_rolled: bool) -> Result<bool, ReadError> {
        let names = self.tables().catalog.names().to_vec();
        let mut file = FileWriter::create(self.merged(parts))?;
        for_each_series(parts, &names, |id, points: &mut Vec<P>| {
            P::settle(points);
            Ok(file.push(id, &names[id.index()], points)?)
        })?;
        let merged = [file.finish()?];
        let rolled = [merged[0].id];
        let rolled = if is_rolled { &rolled[..] } else { &[] };
        let change = Change { added: &merged, gone: parts, rolled, ..Change::default() };
        Ok(self.commit(&change, |_| ())?)
    }

    fn merged(&self, parts: &[Arc<SealedFile>]) -> Draft<'_> {
        let newest = parts.iter().max_by_key(|part| part.age).expect("a plan has parts");
        let level = 1 + parts.iter().map(|part| part.level).max().unwrap_or(0);
        let (id, kind, day) = (self.next_file(), newest.kind, newest.day);
        Draft { root: self.root(), steps: self.steps(), id, kind, day, level, age: newest.age }
    }
}

/// The files to merge next, neighbours in the order of writing; none when all is well.
fn plan(files: &FileSet, is_over: impl Fn(Kind, Day) -> bool) -> Vec<Arc<SealedFile>> {
    files
        .days()
        .map(|(kind, day, files)| plan_day(files, is_over(kind, day)))
        .find(|plan| !plan.is_empty())
        .unwrap_or_default()
}

fn plan_day(files: &[Arc<SealedFile>], is_over: bool) -> Vec<Arc<SealedFile>> {
    let mut rows = 0;
    let small = files.iter().rev().take_while(|file| {
        rows += file.rows;
        rows <= FILE_ROWS
    });
    let small = &files[files.len() - small.count()..];
    if is_over && small.len() > REMAINS {
        return small.to_vec();
    }
    let mut levels: Vec<u32> = small.iter().map(|file| file.level).collect();
    levels.sort_unstable();
    levels.dedup();
    let siblings = |level| small.iter().filter(move |file| file.level == level);
    let crowded = levels.into_iter().find(|level| siblings(*level).count() >= SIBLINGS);
    crowded.map_or_else(Vec::new, |level| siblings(level).cloned().collect())
}

/// Calls `each` with every series of some files, in the order of names, and its points, file by file.
pub(crate) fn for_each_series<P: Stored>(
    files: &[Arc<SealedFile>],
    names: &[SeriesName],
    mut each: impl FnMut(SeriesId, &mut Vec<P>) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let mut readers: Vec<SeriesReader<P>> = Vec::with_capacity(files.len());
    for file in files {
        readers.push(SeriesReader::open(file)?);
    }
    let mut points = Vec::new();
    while let Some(id) = next_series(&readers, names) {
        points.clear();
        for reader in &mut readers {
            reader.take(id, &mut points)?;
        }
        each(id, &mut points)?;
    }
    Ok(())
}

/// The series that comes next in the order of names.
fn next_series<P: Stored>(readers: &[SeriesReader<P>], names: &[SeriesName]) -> Option<SeriesId> {
    readers.iter().filter_map(SeriesReader::next).min_by(|a, b| names[a.index()].cmp(&names[b.index()]))
}

/// Reads a file from front to back, series by series.
struct SeriesReader<P: Stored> {
    file: OpenFile,
    /// In the order of rows, the next one last.
    entries: Vec<Entry>,
    /// The row group that is being read and what is left of it.
    group: usize,
    left: usize,
    columns: Option<P::Columns>,
    batch: Vec<P>,
    taken: usize,
}

impl<P: Stored> SeriesReader<P> {
    fn open(file: &Arc<SealedFile>) -> Result<SeriesReader<P>, ReadError> {
        let mut entries = file.index.clone();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.start));
        let file = OpenFile::open(file)?;
        Ok(SeriesReader { file, entries, group: 0, left: 0, columns: None, batch: Vec::new(), taken: 0 })
    }

    fn next(&self) -> Option<SeriesId> {
        self.entries.last().map(|entry| entry.series)
    }

    /// Appends the points of `series` if it is the next one here.
    fn take(&mut self, series: SeriesId, out: &mut Vec<P>) -> Result<(), ReadError> {
        while let Some(entry) = self.entries.pop_if(|entry| entry.series == series) {
            let mut wanted = entry.rows as usize;
            while wanted > 0 {
                if self.taken == self.batch.len() {
                    self.refill()?;
                }
                let part = &self.batch[self.taken..];
                let part = &part[..wanted.min(part.len())];
                out.extend_from_slice(part);
                self.taken += part.len();
                wanted -= part.len();
            }
        }
        Ok(())
    }

    fn refill(&mut self) -> Result<(), ReadError> {
        self.batch.clear();
        self.taken = 0;
        if self.left == 0 {
            let group = self.file.groups().nth(self.group);
            let group = group.ok_or_else(|| self.file.damaged("it has fewer rows than its index"))?;
            (self.left, self.columns) = (group.rows(), Some(P::open(&group)?));
            self.group += 1;
        }
        let rows = self.left.min(BATCH_ROWS);
        let columns = self.columns.as_mut().expect("opened with the row group");
        P::read(columns, rows, &mut self.batch).map_err(|error| self.file.broken(error))?;
        self.left -= rows;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealed::Checks;

    fn files(levels_and_rows: &[(u32, u64)]) -> Vec<Arc<SealedFile>> {
        let place = (Kind::Observations, Day(0));
        let file = |(id, &(level, rows)): (u64, &(u32, u64))| {
            let checks = Checks::default();
            Arc::new(SealedFile::new(id, place, level, id, "".into(), rows, checks, Vec::new()))
        };
        (0..).zip(levels_and_rows).map(file).collect()
    }

    fn check(levels_and_rows: &[(u32, u64)], is_over: bool, expected: &[u64]) {
        let plan = plan_day(&files(levels_and_rows), is_over);
        let ids: Vec<u64> = plan.iter().map(|file| file.id).collect();
        assert_eq!(ids, expected, "{levels_and_rows:?}");
    }

    #[test]
    fn twelve_of_a_level_are_merged() {
        check(&[(0, 10); 11], false, &[]);
        check(&[(0, 10); 12], false, &(0..12).collect::<Vec<_>>());
        let mixed: Vec<(u32, u64)> = [(1, 100)].into_iter().chain([(0, 10); 12]).collect();
        check(&mixed, false, &(1..13).collect::<Vec<_>>());
    }

    #[test]
    fn a_day_that_is_over_keeps_few() {
        check(&[(1, 100), (0, 10), (0, 10), (0, 10)], true, &[]);
        check(&[(1, 100), (0, 10), (0, 10), (0, 10), (0, 10)], true, &[0, 1, 2, 3, 4]);
    }

    #[test]
    fn files_that_are_large_enough_stay() {
        check(&[(3, FILE_ROWS), (0, 1), (0, 1), (0, 1), (0, 1), (0, 1)], true, &[1, 2, 3, 4, 5]);
        check(&[(2, FILE_ROWS / 2 + 1); 12], false, &[]);
    }
}
