//! What a log's file holds and who reads it.

use std::collections::BTreeMap;
use std::path::Path;

use records::{Offset, Timestamp, Topic, TopicPartition};
use rusqlite::OptionalExtension;

use crate::error::InspectError;
use crate::layout::table;
use crate::notes;
use crate::schema::{self, PAGE_BYTES, from_sql};
use crate::stats::{PartitionStats, ReaderStats};
use crate::stored::{Stored, storage};

/// A log's file at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// When the log was made, if it knows.
    pub made: Option<Timestamp>,
    /// Size of the main file.
    pub file_bytes: u64,
    /// Of these, pages that wait to be used again.
    pub free_bytes: u64,
    /// Size of the write-ahead file.
    pub wal_bytes: u64,
    /// How much is remembered by key.
    pub notes: NoteStats,
    /// Every partition, by topic and number.
    pub partitions: Vec<StoredPartition>,
}

/// What is remembered by key beside the records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoteStats {
    /// How many keys.
    pub count: u64,
    /// Bytes of keys and values.
    pub bytes: u64,
}

/// A partition in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPartition {
    /// Its extent and its readers.
    pub stats: PartitionStats,
    /// When its oldest row was appended.
    pub oldest: Option<Timestamp>,
    /// When its newest row was appended.
    pub newest: Option<Timestamp>,
}

/// Looks into the file, also while the log is open elsewhere. Reads no record.
///
/// # Errors
/// There is no log, or it can't be read.
pub fn stats(dir: &Path) -> Result<Survey, InspectError> {
    let stored = Stored::open(dir)?;
    let count = |pragma: &str| {
        let sql = format!("PRAGMA {pragma}");
        stored.conn.query_row(&sql, [], |row| row.get(0)).map(from_sql).map_err(storage(&stored.path))
    };
    let size = |name: &str| std::fs::metadata(dir.join(name)).map_or(0, |file| file.len());
    let readers = schema::positions(&stored.conn, &stored.layout).map_err(storage(&stored.path))?;
    let mut partitions = Vec::new();
    for (index, at) in stored.layout.all().enumerate() {
        let extent = stored.extent(at)?;
        let of_partition = readers.iter().filter(|((of, _), _)| *of == index);
        let readers = of_partition.map(|((_, name), position)| ReaderStats {
            name: name.clone(),
            next: position.next,
            lag: extent.next.saturating_sub(position.next),
        });
        let stats = PartitionStats {
            partition: at,
            first: extent.first,
            next: extent.next,
            bytes: extent.bytes(),
            readers: readers.collect(),
        };
        let (oldest, newest) = (appended(&stored, at, "ASC")?, appended(&stored, at, "DESC")?);
        partitions.push(StoredPartition { stats, oldest, newest });
    }
    Ok(Survey {
        made: stored.made(),
        file_bytes: size("log.db"),
        free_bytes: count("freelist_count")? * PAGE_BYTES,
        wal_bytes: size("log.db-wal"),
        notes: notes::stats(&stored.conn).map_err(storage(&stored.path))?,
        partitions,
    })
}

/// Per partition of `topic`, the offset of a row that was appended at `time` or later, or the end: where to begin to see
/// everything from `time` on. Looks also while the log is open elsewhere.
///
/// # Errors
/// There is no log, or it can't be read.
pub fn offsets_at(
    dir: &Path,
    topic: Topic,
    time: Timestamp,
) -> Result<BTreeMap<TopicPartition, Offset>, InspectError> {
    let stored = Stored::open(dir)?;
    let mut offsets = BTreeMap::new();
    for at in stored.partitions(Some(topic)) {
        let sql = format!("SELECT min(first) FROM {} WHERE appended_ms >= ?1", table(at));
        let found: Option<i64> =
            stored.conn.query_row(&sql, [time.millis()], |row| row.get(0)).map_err(storage(&stored.path))?;
        offsets.insert(at, found.map_or(stored.extent(at)?.next, from_sql));
    }
    Ok(offsets)
}

fn appended(stored: &Stored, at: TopicPartition, order: &str) -> Result<Option<Timestamp>, InspectError> {
    let sql = format!("SELECT appended_ms FROM {} ORDER BY first {order} LIMIT 1", table(at));
    let found = stored.conn.query_row(&sql, [], |row| row.get(0)).optional();
    Ok(found.map_err(storage(&stored.path))?.map(Timestamp))
}
