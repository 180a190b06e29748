//! What this process must remember: which devices and series there are, and what was refused.
//!
//! What was left out stands on the log instead, where other processes see it.

use super::gaps::Gaps;
use super::left_out::LeftOut;
use crate::DeviceBook;
use crate::alerts::BookError;
use records::{Device, Family, Name, Offset, Timestamp, Topic, TopicPartition};
use rusqlite::{Connection, Transaction, params};
use rustc_hash::{FxHashMap, FxHashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Refused lines that are kept for people to look at.
const MOST_REFUSED: u32 = 10_000;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS device (
    id TEXT PRIMARY KEY, family INTEGER NOT NULL, area TEXT NOT NULL, updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS series (hash INTEGER PRIMARY KEY) STRICT;
CREATE TABLE IF NOT EXISTS refused (
    id INTEGER PRIMARY KEY, topic INTEGER NOT NULL, partition INTEGER NOT NULL, record INTEGER NOT NULL,
    line TEXT NOT NULL, reason TEXT NOT NULL
) STRICT;
";

/// Both lanes of a process share one; kept in SQLite, saved before the log's offsets are committed.
#[derive(Clone)]
pub struct Ledger {
    pages: Arc<Mutex<Pages>>,
}

/// A line that was left out for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The record that it came of.
    pub partition: TopicPartition,
    /// Its offset.
    pub offset: Offset,
    /// The line as it was sent, or the series that would have been one too many.
    pub line: String,
    /// The server's words, or ours.
    pub reason: String,
}

/// What is known of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Names the measurement.
    pub family: Family,
    /// What it rolls up into.
    pub area: Name,
    updated_at: Timestamp,
}

/// The contents, held by one lane at a time.
pub struct Pages {
    connection: Connection,
    devices: FxHashMap<Name, Known>,
    /// Goes up with everything that is learnt of devices.
    learnt: u64,
    series: FxHashSet<u64>,
    /// Where registry entries come from that were told before a partition was ours.
    book: Option<Arc<DeviceBook>>,
    /// Of the book, up to which entries are known.
    edition: u64,
    /// What the live lane leaves to the backfill lane.
    pub left_out: LeftOut,
    /// What the backfill lane, here or elsewhere, has to write.
    pub to_fill: Gaps,
    new_devices: FxHashSet<Name>,
    new_series: Vec<u64>,
    new_refused: Vec<Refused>,
}

impl Ledger {
    /// Opens the ledger at `path`, or starts one.
    ///
    /// # Errors
    /// When the file can't be opened or holds something else.
    pub fn open(path: &Path) -> Result<Ledger, BookError> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(TABLES)?;
        let pages = Pages {
            devices: read_devices(&connection)?,
            learnt: 1,
            series: read_series(&connection)?,
            book: None,
            edition: 0,
            left_out: LeftOut::default(),
            to_fill: Gaps::default(),
            connection,
            new_devices: FxHashSet::default(),
            new_series: Vec::new(),
            new_refused: Vec::new(),
        };
        Ok(Ledger { pages: Arc::new(Mutex::new(pages)) })
    }

    /// The same, which knows the devices of `book` as well: registry entries are told once, perhaps to a process that
    /// had the partition before.
    #[must_use]
    pub fn with_devices(self, book: Arc<DeviceBook>) -> Ledger {
        self.pages().book = Some(book);
        self
    }

    /// The newest refused lines, newest first.
    ///
    /// # Errors
    /// When the ledger can't be read.
    pub fn refused(&self, limit: u32) -> Result<Vec<Refused>, BookError> {
        let pages = self.pages();
        let mut select = pages.connection.prepare(
            "SELECT topic, partition, record, line, reason FROM refused ORDER BY id DESC LIMIT ?1",
        )?;
        let rows = select.query_map([limit], |row| {
            let partition = TopicPartition { topic: topic(row.get(0)?), partition: row.get(1)? };
            let offset = row.get::<_, i64>(2)?.cast_unsigned();
            Ok(Refused { partition, offset, line: row.get(3)?, reason: row.get(4)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Makes what is new durable.
    pub(super) fn save(&self) -> Result<(), BookError> {
        self.pages().save()
    }

    /// The contents, for whoever waits for nothing while holding them.
    #[doc(hidden)]
    pub fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    /// Takes in a registry entry; an older one than is known changes nothing. Whether something changed.
    pub fn learn(&mut self, device: &Device) -> bool {
        let known = Known { family: device.family, area: device.area.clone(), updated_at: device.updated_at };
        let before = self.devices.get(&device.id);
        if before.is_some_and(|before| before.updated_at > known.updated_at || *before == known) {
            return false;
        }
        self.learnt += 1;
        self.new_devices.insert(device.id.clone());
        self.devices.insert(device.id.clone(), known);
        true
    }

    /// Takes in what the device book has learnt.
    pub fn catch_up(&mut self) {
        let Some(book) = &self.book else { return };
        let entries = book.entries_since(&mut self.edition);
        for device in &entries {
            self.learn(device);
        }
    }

    /// Differs after everything that is learnt of devices; never 0.
    pub fn learnt(&self) -> u64 {
        self.learnt
    }

    /// What is known of a device.
    pub fn device(&self, id: &str) -> Option<&Known> {
        self.devices.get(id)
    }

    /// Lets a series in, unless there would be more than `limit`.
    pub fn admit(&mut self, series: u64, limit: usize) -> bool {
        if self.series.contains(&series) {
            return true;
        }
        if self.series.len() >= limit {
            return false;
        }
        self.series.insert(series);
        self.new_series.push(series);
        true
    }

    /// How many series there are.
    pub fn series(&self) -> usize {
        self.series.len()
    }

    /// Notes a line that was left out for good.
    pub fn refuse(&mut self, refused: Refused) {
        if self.new_refused.len() < MOST_REFUSED as usize {
            self.new_refused.push(refused);
        }
    }

    fn save(&mut self) -> Result<(), BookError> {
        let transaction = self.connection.unchecked_transaction()?;
        self.save_known(&transaction)?;
        save_refused(&transaction, &self.new_refused)?;
        transaction.commit()?;
        self.new_devices.clear();
        self.new_series.clear();
        self.new_refused.clear();
        Ok(())
    }

    fn save_known(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut insert = transaction.prepare("INSERT OR REPLACE INTO device VALUES (?1, ?2, ?3, ?4)")?;
        for id in &self.new_devices {
            let Some(Known { family, area, updated_at }) = self.devices.get(id) else { continue };
            insert.execute(params![id.as_str(), *family as u8, area.as_str(), updated_at.millis()])?;
        }
        let mut insert = transaction.prepare("INSERT OR IGNORE INTO series VALUES (?1)")?;
        for hash in &self.new_series {
            insert.execute([hash.cast_signed()])?;
        }
        Ok(())
    }
}

fn save_refused(transaction: &Transaction<'_>, refused: &[Refused]) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare(
        "INSERT INTO refused (topic, partition, record, line, reason) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for Refused { partition, offset, line, reason } in refused {
        let TopicPartition { topic, partition } = partition;
        insert.execute(params![*topic as u8, partition, offset.cast_signed(), line, reason])?;
    }
    if !refused.is_empty() {
        transaction
            .execute("DELETE FROM refused WHERE id <= (SELECT max(id) FROM refused) - ?1", [MOST_REFUSED])?;
    }
    Ok(())
}

fn read_devices(connection: &Connection) -> rusqlite::Result<FxHashMap<Name, Known>> {
    let mut select = connection.prepare("SELECT id, family, area, updated_at FROM device")?;
    let rows = select.query_map([], |row| {
        let family = Family::from_code(row.get(1)?).unwrap_or(Family::Other);
        let area = Name::from(row.get::<_, String>(2)?);
        let known = Known { family, area, updated_at: Timestamp(row.get(3)?) };
        Ok((Name::from(row.get::<_, String>(0)?), known))
    })?;
    rows.collect()
}

fn read_series(connection: &Connection) -> rusqlite::Result<FxHashSet<u64>> {
    let mut select = connection.prepare("SELECT hash FROM series")?;
    let rows = select.query_map([], |row| Ok(row.get::<_, i64>(0)?.cast_unsigned()))?;
    rows.collect()
}

/// The topic of that number. Only the two that the sink reads are ever written.
fn topic(code: u8) -> Topic {
    if code == Topic::Observations as u8 { Topic::Observations } else { Topic::Aggregates }
}
