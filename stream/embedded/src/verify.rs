//! Is everything as it was written?

use std::fmt;
use std::path::Path;

use records::{Offset, TopicPartition};
use rusqlite::Connection;

use crate::error::{Fault, InspectError};
use crate::layout::table;
use crate::lock::FolderLock;
use crate::partition::Extent;
use crate::row::Row;
use crate::schema::{self, from_sql, to_sql};
use crate::stored::{Stored, storage};
use crate::{ReaderName, notes, range, wal};

/// So many of SQLite's own complaints are told at most.
const COMPLAINTS: usize = 20;
/// So many rows at the end of each partition are looked at when a log is opened: the last that were written before it
/// was closed, or was not.
const NEWEST_ROWS: u64 = 4;

/// What [`verify`] has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Records that are as they were written.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Notes that are as they were written.
    pub notes: u64,
    /// Everything that is not, in the order of partitions and offsets.
    pub damages: Vec<Damage>,
}

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Records that can't be given to a reader.
    Records {
        /// Where.
        partition: TopicPartition,
        /// The first of them.
        offset: Offset,
        /// What was found.
        detail: String,
    },
    /// A job's state that can't be given to it.
    Snapshot {
        /// Whose.
        job: String,
        /// Of which partition.
        partition: TopicPartition,
    },
    /// What was remembered under a key and can't be told any more.
    Note {
        /// Which.
        key: Vec<u8>,
    },
    /// A reader that has committed more than is there: the end of the partition is gone.
    Ahead {
        /// Who.
        reader: ReaderName,
        /// Where.
        partition: TopicPartition,
        /// What it would read next.
        next: Offset,
        /// Where the partition ends.
        end: Offset,
    },
    /// What SQLite says of its pages.
    File(String),
}

/// Reads everything, also while the log is open elsewhere: every page, every row with its checksum, every snapshot;
/// and the write-ahead file that a crash has left.
///
/// Takes as long as reading the file; while SQLite looks at its pages the write-ahead file of a busy log grows.
///
/// # Errors
/// There is no log, or it can't be read at all.
pub fn verify(dir: &Path) -> Result<Verification, InspectError> {
    let mut found = Verification::default();
    found.left_behind(dir);
    let stored = match Stored::open(dir) {
        Ok(stored) => stored,
        // Without what is damaged there, SQLite may find nothing at all.
        Err(_) if !found.damages.is_empty() => return Ok(found),
        Err(error) => return Err(error),
    };
    for at in stored.partitions(None) {
        match stored.extent(at) {
            Ok(extent) => found.partition(&stored, at, extent),
            Err(error) => found.damages.push(Damage::File(format!("{at}: {error}"))),
        }
    }
    found.snapshots(&stored).map_err(storage(&stored.path))?;
    found.notes(&stored).map_err(storage(&stored.path))?;
    found.readers(&stored).map_err(storage(&stored.path))?;
    found.pages(&stored);
    Ok(found)
}

impl Verification {
    /// What SQLite would pass over in silence. While somebody writes, the file is his.
    fn left_behind(&mut self, dir: &Path) {
        let is_left = dir.join("log.lock").exists();
        if is_left
            && let Ok(_lock) = FolderLock::take(dir)
            && let Err(error) = wal::check(&dir.join("log.db"))
        {
            self.damages.push(Damage::File(error.to_string()));
        }
    }

    fn partition(&mut self, stored: &Stored, at: TopicPartition, extent: Extent) {
        let mut position = extent.first;
        loop {
            let fault = match stored.rows(at, position, extent.next) {
                Ok(rows) => {
                    let Some(last) = rows.last() else { return };
                    position = last.next();
                    self.records += rows.iter().map(|row| row.batch.len() as u64).sum::<u64>();
                    self.bytes += rows.iter().map(|row| row.bytes() as u64).sum::<u64>();
                    continue;
                }
                Err(fault) => fault,
            };
            let (offset, detail) = match fault {
                Fault::Damaged { offset, detail, .. } => (offset, detail),
                other => (position, other.to_string()),
            };
            self.damages.push(Damage::Records { partition: at, offset, detail });
            match row_behind(&stored.conn, at, offset) {
                Some(first) => position = first,
                None => return,
            }
        }
    }

    fn snapshots(&mut self, stored: &Stored) -> rusqlite::Result<()> {
        let mut statement =
            stored.conn.prepare("SELECT job, topic, partition, offset, crc32, bytes FROM snapshots")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (job, topic, partition) = (row.get(0)?, row.get::<_, String>(1)?, row.get(2)?);
            let Some(topic) = schema::topic(&topic) else { continue };
            let (offset, crc32) = (from_sql(row.get(3)?), row.get::<_, i64>(4)?);
            if i64::from(Row::crc32(offset, &row.get::<_, Vec<u8>>(5)?)) != crc32 {
                self.damages.push(Damage::Snapshot { job, partition: TopicPartition { topic, partition } });
            }
        }
        Ok(())
    }

    fn notes(&mut self, stored: &Stored) -> rusqlite::Result<()> {
        let noted = notes::under(&stored.conn, &[])?;
        self.notes = noted.pairs.len() as u64;
        self.damages.extend(noted.damaged.into_iter().map(|key| Damage::Note { key }));
        Ok(())
    }

    fn readers(&mut self, stored: &Stored) -> rusqlite::Result<()> {
        for ((index, reader), position) in schema::positions(&stored.conn, &stored.layout)? {
            let Some(partition) = stored.layout.all().nth(index) else { continue };
            let end = schema::extent(&stored.conn, partition)?.next;
            if position.next > end {
                self.damages.push(Damage::Ahead { reader, partition, next: position.next, end });
            }
        }
        Ok(())
    }

    fn pages(&mut self, stored: &Stored) {
        let complaints = || -> rusqlite::Result<Vec<String>> {
            let mut statement = stored.conn.prepare(&format!("PRAGMA quick_check({COMPLAINTS})"))?;
            statement.query_map([], |row| row.get(0))?.collect()
        };
        match complaints() {
            Ok(lines) => self.damages.extend(lines.into_iter().filter(|line| line != "ok").map(Damage::File)),
            Err(error) => self.damages.push(Damage::File(error.to_string())),
        }
    }
}

/// Where the next row begins behind one that can't be read.
fn row_behind(conn: &Connection, at: TopicPartition, offset: Offset) -> Option<Offset> {
    let sql = format!("SELECT min(first) FROM {} WHERE first > ?1", table(at));
    conn.query_row(&sql, [to_sql(offset)], |row| row.get::<_, Option<i64>>(0)).ok()?.map(from_sql)
}

/// The newest rows of a partition, in bounded time: what a crash could have torn.
pub(crate) fn check_newest(conn: &Connection, at: TopicPartition, extent: Extent) -> Result<(), Fault> {
    let sql = format!("SELECT first FROM {} ORDER BY first DESC LIMIT {NEWEST_ROWS}", table(at));
    let firsts =
        || -> rusqlite::Result<Vec<i64>> { conn.prepare(&sql)?.query_map([], |row| row.get(0))?.collect() };
    let firsts = firsts().map_err(|error| Fault::Unavailable(error.to_string()))?;
    let Some(mut position) = firsts.last().map(|first| from_sql(*first)) else { return Ok(()) };
    while position < extent.next {
        let rows = range::read(conn, at, position, extent.next, usize::MAX)?;
        position = rows.last().map_or(extent.next, Row::next);
    }
    Ok(())
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::Records { partition, offset, detail } => {
                write!(f, "{partition} is damaged at offset {offset}: {detail}")
            }
            Damage::Snapshot { job, partition } => {
                write!(f, "the snapshot of {job} for {partition} does not match its checksum")
            }
            Damage::Note { key } => {
                write!(f, "the note {} does not match its checksum", key.escape_ascii())
            }
            Damage::Ahead { reader, partition, next, end } => {
                write!(f, "{reader} would read {partition} from {next}, which ends at {end}")
            }
            Damage::File(line) => f.write_str(line),
        }
    }
}
