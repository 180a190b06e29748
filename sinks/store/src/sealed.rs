//! A finished file, and which files count.

use crate::catalog::SeriesId;
use crate::day::{Day, Kind};
use crate::index::{self, Entry};
use crate::manifest::Change;
use crate::pages::Footer;
use records::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// A Parquet file, sorted by (series, time), all of one day or month.
///
/// Readers hold it by an `Arc`; when it was replaced it is unlinked with the last of these.
#[derive(Debug)]
pub(crate) struct SealedFile {
    pub id: u64,
    pub kind: Kind,
    /// The first day of its folder.
    pub day: Day,
    /// How often its rows have been merged.
    pub level: u32,
    /// Its place among the files of the day in the order of writing: a merged file has that of its newest part.
    pub age: u64,
    pub path: PathBuf,
    pub rows: u64,
    pub checks: Checks,
    /// Sorted by series.
    pub index: Vec<Entry>,
    /// The footer, once it has been read and found right.
    pub footer: OnceLock<Arc<Footer>>,
    is_doomed: AtomicBool,
}

/// What the bytes of a file must be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checks {
    /// Size of the file.
    pub bytes: u64,
    /// Where the pages end and the page index and the footer begin.
    pub tail_start: u64,
    /// CRC-32 of these.
    pub tail: u32,
    /// CRC-32 of every page, column by column and row group by row group.
    pub pages: Vec<u32>,
}

impl SealedFile {
    #[expect(clippy::too_many_arguments, reason = "a plain record, built in two places")]
    pub fn new(
        id: u64,
        (kind, day): (Kind, Day),
        level: u32,
        age: u64,
        path: PathBuf,
        rows: u64,
        checks: Checks,
        index: Vec<Entry>,
    ) -> SealedFile {
        let (footer, is_doomed) = (OnceLock::new(), AtomicBool::new(false));
        SealedFile { id, kind, day, level, age, path, rows, checks, index, footer, is_doomed }
    }

    /// From now on the file goes when nobody reads it any more; or, on second thoughts, stays.
    pub fn set_doomed(&self, is_doomed: bool) {
        self.is_doomed.store(is_doomed, Ordering::Release);
    }

    /// Event times of the first and the last row.
    pub fn extent(&self) -> (Timestamp, Timestamp) {
        let first = self.index.iter().map(|entry| entry.first).min().unwrap_or(0);
        let last = self.index.iter().map(|entry| entry.last).max().unwrap_or(0);
        let at = |into_day| Timestamp(self.day.start() + i64::from(into_day));
        (at(first), at(last))
    }

    /// The rows of a series that may lie within `[from, to)`, milliseconds since the epoch.
    pub fn entries(&self, series: SeriesId, from: i64, to: i64) -> impl Iterator<Item = &Entry> {
        let start = self.day.start();
        index::entries_of(&self.index, series)
            .iter()
            .filter(move |entry| start + i64::from(entry.last) >= from && start + i64::from(entry.first) < to)
    }
}

impl Drop for SealedFile {
    fn drop(&mut self) {
        if self.is_doomed.load(Ordering::Acquire)
            && let Err(error) = std::fs::remove_file(&self.path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "a merged file can't be removed; the next start tries again");
        }
    }
}

/// The files that count, by kind and folder, each folder's in the order of writing; and what roll-ups they make
/// unnecessary to read. Changed by making a new one.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileSet {
    days: BTreeMap<(Kind, Day), Vec<Arc<SealedFile>>>,
    /// Files of raw values that are in the roll-ups, by number.
    rolled: BTreeSet<u64>,
    /// Before these days rows were removed because of their age.
    horizons: BTreeMap<Kind, Day>,
    /// Folders of roll-ups of which a file was lost.
    holes: BTreeSet<(Kind, Day)>,
}

impl FileSet {
    /// The set after a change.
    pub fn changed(&self, change: &Change<'_>) -> FileSet {
        let mut set = self.clone();
        for file in change.gone {
            if let Some(files) = set.days.get_mut(&(file.kind, file.day)) {
                files.retain(|other| other.id != file.id);
            }
            set.rolled.remove(&file.id);
        }
        set.days.retain(|_, files| !files.is_empty());
        for file in change.added {
            let files = set.days.entry((file.kind, file.day)).or_default();
            files.push(Arc::clone(file));
            files.sort_by_key(|file| (file.age, file.id));
        }
        set.rolled.extend(change.rolled);
        set.rolled.retain(|id| !change.unrolled.contains(id));
        set.horizons.extend(change.horizons.iter().copied());
        set.holes.extend(change.torn);
        set.holes.retain(|hole| !change.mended.contains(hole));
        set
    }

    /// Whether the roll-ups hold the rows of a file.
    pub fn is_rolled(&self, file: &SealedFile) -> bool {
        self.rolled.contains(&file.id)
    }

    /// The first day of which all rows are there that were written.
    pub fn horizon(&self, kind: Kind) -> Day {
        self.horizons.get(&kind).copied().unwrap_or(Day(i32::MIN))
    }

    /// Folders of roll-ups of which a file was lost.
    pub fn holes(&self) -> &BTreeSet<(Kind, Day)> {
        &self.holes
    }

    pub fn contains(&self, file: &SealedFile) -> bool {
        self.of_day(file.kind, file.day).iter().any(|other| other.id == file.id)
    }

    pub fn of_day(&self, kind: Kind, day: Day) -> &[Arc<SealedFile>] {
        self.days.get(&(kind, day)).map_or(&[], Vec::as_slice)
    }

    /// The days that have files, with these.
    pub fn days(&self) -> impl Iterator<Item = (Kind, Day, &[Arc<SealedFile>])> {
        self.days.iter().map(|(&(kind, day), files)| (kind, day, files.as_slice()))
    }

    /// The files of one kind with rows in `[from, to)`, by day and in the order of writing.
    pub fn within(&self, kind: Kind, from: i64, to: i64) -> impl Iterator<Item = &Arc<SealedFile>> {
        let first = kind.folder_of(from);
        let last = kind.folder_of(to.saturating_sub(1)).max(first);
        let days = self.days.range((kind, first)..=(kind, last));
        days.flat_map(|(_, files)| files).filter(move |_| from < to)
    }

    /// All files.
    pub fn all(&self) -> impl Iterator<Item = &Arc<SealedFile>> {
        self.days.values().flatten()
    }
}
