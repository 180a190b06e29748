//! The store: opening, writing, and what the sink's loop calls.

use crate::catalog::{Catalog, SeriesId, SeriesName};
use crate::day::Kind;
use crate::happened::HappeningPoint;
use crate::latest::LatestTable;
use crate::manifest::{Change, Contents, Manifest};
use crate::memory::Memory;
use crate::point::{RawPoint, WindowPoint};
use crate::sealed::{FileSet, SealedFile};
use crate::steps::{Step, Steps};
use crate::upkeep::remove_strays;
use crate::writing::sync_dir;
use crate::{AggregateRow, HappeningRow, RawRow, StoreError, Written};
use records::{Name, Offset, Timestamp, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

/// How a store behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Rows in memory that make a seal due.
    pub seal_rows: usize,
    /// How long rows stay in memory before a seal is due.
    pub seal_age: Duration,
    /// Bytes of rows in memory above which [`Written::is_over_bound`] is set. A value takes 56, a window 80 and what
    /// happened about 150.
    pub memory_bytes: usize,
    /// Whole days of values, windows and what happened older than this are removed by [`Store::maintain`]; `None` keeps
    /// everything.
    pub retention: Option<Duration>,
    /// The same for the roll-ups of a minute (whole days), …
    pub minutes_retention: Option<Duration>,
    /// … of an hour (whole months) …
    pub hours_retention: Option<Duration>,
    /// … and of a day (whole months).
    pub days_retention: Option<Duration>,
    /// A day is rolled up by the minute when that makes at most one row of so many: else its values, which are hardly
    /// more to read, serve until they go.
    pub minutes_shrink: u64,
    /// What the files may take on disk; what is beyond it is removed by [`Store::maintain`], the oldest first and
    /// never what the current day belongs to: first observations and windows, then the roll-ups, the finest first.
    /// `None` for no bound.
    pub budget_bytes: Option<u64>,
    /// Rows or buckets that an answer may have.
    pub answer_rows: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            seal_rows: 1_000_000,
            seal_age: Duration::from_secs(60),
            memory_bytes: 160 << 20,
            retention: None,
            minutes_retention: None,
            hours_retention: None,
            days_retention: None,
            minutes_shrink: 8,
            budget_bytes: None,
            answer_rows: 1_000_000,
        }
    }
}

/// What a seal made durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    /// Rows that left memory.
    pub rows: usize,
    /// Files written.
    pub files: usize,
    /// Their size.
    pub bytes: u64,
}

/// A file that is not what was written. It was set aside; the rest serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Where it lies now; it may be gone altogether.
    pub path: PathBuf,
    /// The UTC day whose rows it held, as `2026-11-22`.
    pub day: String,
    /// How many rows are missing from answers now.
    pub rows: u64,
    /// What was found.
    pub detail: String,
}

/// A local store of time series. Clones share it; all methods may be called from any thread, and block.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
    go_on: GoOn,
}

/// Asked every now and then; with `false` an answer is not wanted any more.
type GoOn = Arc<dyn Fn() -> bool + Send + Sync>;

struct Shared {
    root: PathBuf,
    options: Options,
    steps: Steps,
    /// One seal at a time, and one merge; each may take long. Taken before the two below.
    sealing: Mutex<()>,
    merging: Mutex<()>,
    /// Taken before the tables.
    manifest: Mutex<Manifest>,
    tables: RwLock<Tables>,
    next_file: AtomicU64,
    /// Held while the store is open.
    _lock: File,
}

/// What an answer is made from; one lock, so that an answer sees one instant.
pub(crate) struct Tables {
    pub catalog: Catalog,
    /// Series below this number are in the manifest.
    pub persisted_series: usize,
    pub latest: LatestTable,
    /// Where rows are written.
    pub memory: Memory,
    /// Full tables on their way into files, oldest first.
    pub frozen: Vec<Arc<Memory>>,
    pub files: Arc<FileSet>,
    pub damaged: Vec<Damaged>,
    pub offsets: BTreeMap<TopicPartition, Offset>,
    pub filling_since: Option<Timestamp>,
}

impl Store {
    /// Opens the store in a folder, which is made when it is not there. One process at a time.
    ///
    /// Removes files that no seal or compaction finished, and sets damaged ones aside ([`Store::damaged`]).
    pub fn open(dir: &Path, options: Options) -> Result<Store, StoreError> {
        Store::open_with(dir, options, Steps::default())
    }

    /// The same store, whose answers are given up with [`StoreError::Stopped`] when `go_on` says so. It is asked at
    /// every 16,384 rows that are read.
    #[must_use]
    pub fn asked_while(&self, go_on: impl Fn() -> bool + Send + Sync + 'static) -> Store {
        Store { go_on: Arc::new(go_on), ..self.clone() }
    }

    /// Takes rows into memory; queries see them when this returns. What was not sealed is gone with the process.
    pub fn write(&self, raw: &[RawRow], aggregates: &[AggregateRow]) -> Written {
        self.take(raw.len() + aggregates.len(), |tables| {
            tables.add_raw(raw);
            tables.add_aggregates(aggregates);
        })
    }

    /// The same for what happened once.
    pub fn write_happenings(&self, rows: &[HappeningRow]) -> Written {
        self.take(rows.len(), |tables| tables.add_happenings(rows))
    }

    fn take(&self, rows: usize, add: impl FnOnce(&mut Tables)) -> Written {
        let mut tables = self.tables_mut();
        let before = tables.rows();
        add(&mut tables);
        let accepted = tables.rows() - before;
        let is_over_bound = tables.bytes() > self.shared.options.memory_bytes;
        Written { accepted, refused: rows - accepted, is_over_bound }
    }

    /// Whether there are enough rows in memory, or old enough ones, to seal. Age counts from the first call that
    /// found rows, so call it at least every few seconds.
    pub fn is_seal_due(&self, now: Timestamp) -> bool {
        let options = &self.shared.options;
        let mut tables = self.tables_mut();
        if tables.rows() == 0 {
            tables.filling_since = None;
            return false;
        }
        let since = *tables.filling_since.get_or_insert(now);
        tables.rows() >= options.seal_rows || now.since(since) >= options.seal_age
    }

    /// Where to read on: the offsets of the last seal, by partition.
    pub fn offsets(&self) -> Vec<(TopicPartition, Offset)> {
        self.tables().offsets.iter().map(|(partition, offset)| (*partition, *offset)).collect()
    }

    /// Rows in memory, those included that a seal is writing out.
    pub fn rows_in_memory(&self) -> usize {
        self.tables().rows()
    }

    pub(crate) fn open_with(dir: &Path, options: Options, steps: Steps) -> Result<Store, StoreError> {
        std::fs::create_dir_all(dir)?;
        let lock = lock(dir)?;
        let manifest = Manifest::open(dir)?;
        let contents = manifest.load()?;
        let named: BTreeSet<(Kind, u64)> = contents.files.iter().map(|file| (file.kind, file.id)).collect();
        let on_disk = remove_strays(dir, |kind, id| named.contains(&(kind, id)))?;
        sync_dir(&steps, dir)?;
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            sync_dir(&steps, parent)?;
        }
        let highest = contents.files.iter().map(|file| file.id).max().unwrap_or(0).max(on_disk);
        let store = Store {
            go_on: Arc::new(|| true),
            shared: Arc::new(Shared {
                root: dir.to_owned(),
                options,
                steps,
                sealing: Mutex::new(()),
                merging: Mutex::new(()),
                manifest: Mutex::new(manifest),
                tables: RwLock::new(Tables::load(contents)),
                next_file: AtomicU64::new(highest + 1),
                _lock: lock,
            }),
        };
        store.set_aside_misfits()?;
        Ok(store)
    }

    /// Commits a change to the manifest, and shows it to readers together with what `adjust` does. `false`, and
    /// nothing happens, when a file that it is about has gone already.
    pub(crate) fn commit(
        &self,
        change: &Change<'_>,
        adjust: impl FnOnce(&mut Tables),
    ) -> Result<bool, StoreError> {
        let mut manifest = self.manifest();
        let files = Arc::clone(&self.tables().files);
        let ids = |file: &Arc<SealedFile>| file.id;
        let known: BTreeSet<u64> = files.all().chain(change.added).map(ids).collect();
        if !change.gone.iter().map(ids).chain(change.rolled.iter().copied()).all(|id| known.contains(&id)) {
            return Ok(false);
        }
        self.steps().reach(Step::BeforeCommit)?;
        manifest.commit(change)?;
        // From here on nothing may fail: what is committed has happened.
        let _ = self.steps().reach(Step::Committed);
        let mut tables = self.tables_mut();
        tables.files = Arc::new(files.changed(change));
        adjust(&mut tables);
        drop(tables);
        let _ = self.steps().reach(Step::Swapped);
        Ok(true)
    }

    fn set_aside_misfits(&self) -> Result<(), StoreError> {
        let files = Arc::clone(&self.tables().files);
        for file in files.all() {
            let expected = file.checks.bytes;
            match std::fs::metadata(&file.path) {
                Ok(found) if found.len() == expected => (),
                Ok(found) => self.set_aside(file, &format!("{} bytes instead of {expected}", found.len()))?,
                Err(error) if error.kind() == ErrorKind::NotFound => self.set_aside(file, "it is gone")?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Whether an answer is still wanted.
    pub(crate) fn go_on(&self) -> &(dyn Fn() -> bool + Send + Sync) {
        &*self.go_on
    }

    pub(crate) fn root(&self) -> &Path {
        &self.shared.root
    }

    pub(crate) fn options(&self) -> &Options {
        &self.shared.options
    }

    pub(crate) fn steps(&self) -> &Steps {
        &self.shared.steps
    }

    pub(crate) fn next_file(&self) -> u64 {
        self.shared.next_file.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn tables(&self) -> RwLockReadGuard<'_, Tables> {
        self.shared.tables.read().expect(UNPOISONED)
    }

    pub(crate) fn tables_mut(&self) -> RwLockWriteGuard<'_, Tables> {
        self.shared.tables.write().expect(UNPOISONED)
    }

    pub(crate) fn manifest(&self) -> MutexGuard<'_, Manifest> {
        self.shared.manifest.lock().expect(UNPOISONED)
    }

    pub(crate) fn sealing(&self) -> MutexGuard<'_, ()> {
        self.shared.sealing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn merging(&self) -> MutexGuard<'_, ()> {
        self.shared.merging.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const UNPOISONED: &str = "no code panics while it holds this";

impl Tables {
    fn load(contents: Contents) -> Tables {
        let mut catalog = Catalog::default();
        for name in &contents.series {
            let subject = catalog.intern_subject(&name.subject);
            catalog.intern(subject, &name.subject, &name.quantity);
        }
        let mut latest = LatestTable::default();
        contents.latest.iter().for_each(|(id, point)| latest.offer(*id, point));
        let files: Vec<_> = contents.files.into_iter().map(Arc::new).collect();
        Tables {
            persisted_series: catalog.len(),
            catalog,
            latest,
            memory: Memory::new(),
            frozen: Vec::new(),
            files: Arc::new(FileSet::default().changed(&Change {
                added: &files,
                rolled: &contents.rolled,
                horizons: &contents.horizons,
                torn: &contents.holes,
                ..Change::default()
            })),
            damaged: contents.damaged,
            offsets: contents.offsets.into_iter().collect(),
            filling_since: None,
        }
    }

    fn rows(&self) -> usize {
        self.memory.len() + self.frozen.iter().map(|memory| memory.len()).sum::<usize>()
    }

    fn bytes(&self) -> usize {
        self.memory.bytes() + self.frozen.iter().map(|memory| memory.bytes()).sum::<usize>()
    }

    fn add_raw(&mut self, rows: &[RawRow]) {
        let mut subject: Option<(&Name, u32)> = None;
        for row in rows {
            let Some(point) = RawPoint::new(row) else { continue };
            let number = match subject {
                Some((name, number)) if *name == row.subject => number,
                _ => self.catalog.intern_subject(&row.subject),
            };
            subject = Some((&row.subject, number));
            let id = self.catalog.intern(number, &row.subject, &row.quantity);
            self.latest.offer(id, &point);
            self.memory.raw.push(id, point);
        }
    }

    fn add_aggregates(&mut self, rows: &[AggregateRow]) {
        for row in rows {
            let Some(point) = WindowPoint::new(row) else { continue };
            let id = self.series_of(&row.subject, &row.quantity);
            self.memory.windows.push(id, point);
        }
    }

    /// Series that the manifest does not know yet.
    pub(crate) fn new_series(&self) -> Vec<(SeriesId, SeriesName)> {
        let new = (0..).map(SeriesId).take(self.catalog.len()).skip(self.persisted_series);
        new.map(|id| (id, self.catalog.name(id).clone())).collect()
    }

    /// The number of a series, given one if it is new.
    pub(crate) fn series_of(&mut self, subject: &Name, quantity: &Name) -> SeriesId {
        let number = self.catalog.intern_subject(subject);
        self.catalog.intern(number, subject, quantity)
    }

    fn add_happenings(&mut self, rows: &[HappeningRow]) {
        for row in rows {
            let Some(point) = HappeningPoint::new(row) else { continue };
            let id = self.series_of(&row.device, &Name::new_static(row.kind.name()));
            self.memory.happenings.push(id, point);
        }
    }
}

fn lock(dir: &Path) -> Result<File, StoreError> {
    let file = File::options().create(true).truncate(false).write(true).open(dir.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { dir: dir.to_owned() }),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}
