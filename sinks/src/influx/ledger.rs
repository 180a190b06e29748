//! What the sink must remember: which devices and series there are, what was left out, and what was refused.

use super::gaps::Gaps;
use crate::alerts::BookError;
use records::{Device, Family, Name, Offset, Timestamp, Topic, TopicPartition};
use rusqlite::{Connection, Transaction, params};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Refused lines that are kept for people to look at.
const MOST_REFUSED: u32 = 10_000;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS device (
    id TEXT PRIMARY KEY, family INTEGER NOT NULL, area TEXT NOT NULL, updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS series (hash INTEGER PRIMARY KEY) STRICT;
CREATE TABLE IF NOT EXISTS gap (
    topic INTEGER NOT NULL, partition INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS live (
    topic INTEGER NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL, PRIMARY KEY (topic, partition)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS revised (
    series INTEGER NOT NULL, start INTEGER NOT NULL, revision INTEGER NOT NULL, PRIMARY KEY (series, start)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS refused (
    id INTEGER PRIMARY KEY, topic INTEGER NOT NULL, partition INTEGER NOT NULL, record INTEGER NOT NULL,
    line TEXT NOT NULL, reason TEXT NOT NULL
) STRICT;
";

/// Both lanes share one; kept in SQLite, saved before the log's offsets are committed.
#[derive(Clone)]
pub struct Ledger {
    pages: Arc<Mutex<Pages>>,
    /// Up to where the live lane has come.
    live: watch::Sender<BTreeMap<TopicPartition, Offset>>,
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
    series: FxHashSet<u64>,
    /// What the live lane left out.
    pub gaps: Gaps,
    /// Windows that the live lane wrote as a revision while there were gaps: an older revision out of a gap must
    /// not come on top.
    revised: FxHashMap<(u64, i64), u32>,
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
        let live = read_live(&connection)?;
        let pages = Pages {
            devices: read_devices(&connection)?,
            series: read_series(&connection)?,
            gaps: read_gaps(&connection)?,
            revised: read_revised(&connection)?,
            connection,
            new_devices: FxHashSet::default(),
            new_series: Vec::new(),
            new_refused: Vec::new(),
        };
        Ok(Ledger { pages: Arc::new(Mutex::new(pages)), live: watch::Sender::new(live) })
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

    /// Makes what is new durable, with how far the live lane has come, and lets the backfill lane follow.
    pub(super) fn save_live(&self, next: &BTreeMap<TopicPartition, Offset>) -> Result<(), BookError> {
        self.pages().save(next)?;
        self.live.send_modify(|live| live.extend(next));
        Ok(())
    }

    /// Makes what is new durable; what lies below these offsets is written and no gap any more.
    pub(super) fn save_backfill(&self, next: &BTreeMap<TopicPartition, Offset>) -> Result<(), BookError> {
        let mut pages = self.pages();
        for (partition, offset) in next {
            pages.gaps.close_below(*partition, *offset);
        }
        if pages.gaps.records() == 0 {
            pages.revised.clear();
        }
        pages.save(&BTreeMap::new())
    }

    /// Below this everything is written or a gap, as far as the ledger is saved.
    pub(super) fn live_next(&self, partition: TopicPartition) -> Offset {
        self.live.borrow().get(&partition).copied().unwrap_or(0)
    }

    /// Told whenever the live lane has come further.
    pub(super) fn follow_live(&self) -> watch::Receiver<BTreeMap<TopicPartition, Offset>> {
        self.live.subscribe()
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
        self.new_devices.insert(device.id.clone());
        self.devices.insert(device.id.clone(), known);
        true
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

    /// Notes a revision that the live lane wrote past a gap.
    pub fn note_revision(&mut self, series: u64, start: Timestamp, revision: u32) {
        if revision > 0 && self.gaps.records() > 0 {
            self.revised.insert((series, start.millis()), revision);
        }
    }

    /// Whether the live lane has written a later revision of this window than `revision`.
    pub fn is_outdated(&self, series: u64, start: Timestamp, revision: u32) -> bool {
        self.revised.get(&(series, start.millis())).is_some_and(|written| *written > revision)
    }

    /// Notes a line that was left out for good.
    pub fn refuse(&mut self, refused: Refused) {
        if self.new_refused.len() < MOST_REFUSED as usize {
            self.new_refused.push(refused);
        }
    }

    fn save(&mut self, live: &BTreeMap<TopicPartition, Offset>) -> Result<(), BookError> {
        let transaction = self.connection.unchecked_transaction()?;
        self.save_known(&transaction)?;
        save_progress(&transaction, &self.gaps, &self.revised, live)?;
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

fn save_progress(
    transaction: &Transaction<'_>,
    gaps: &Gaps,
    revised: &FxHashMap<(u64, i64), u32>,
    live: &BTreeMap<TopicPartition, Offset>,
) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM gap", [])?;
    let mut insert = transaction.prepare("INSERT INTO gap VALUES (?1, ?2, ?3, ?4)")?;
    for (TopicPartition { topic, partition }, range) in gaps.iter() {
        insert.execute(params![
            topic as u8,
            partition,
            range.start.cast_signed(),
            range.end.cast_signed()
        ])?;
    }
    transaction.execute("DELETE FROM revised", [])?;
    let mut insert = transaction.prepare("INSERT INTO revised VALUES (?1, ?2, ?3)")?;
    for ((series, start), revision) in revised {
        insert.execute(params![series.cast_signed(), start, revision])?;
    }
    let mut insert = transaction.prepare("INSERT OR REPLACE INTO live VALUES (?1, ?2, ?3)")?;
    for (TopicPartition { topic, partition }, next) in live {
        insert.execute(params![*topic as u8, partition, next.cast_signed()])?;
    }
    Ok(())
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

fn read_gaps(connection: &Connection) -> rusqlite::Result<Gaps> {
    let mut select = connection.prepare("SELECT topic, partition, start, end FROM gap ORDER BY start")?;
    let mut rows = select.query([])?;
    let mut gaps = Gaps::default();
    while let Some(row) = rows.next()? {
        let partition = TopicPartition { topic: topic(row.get(0)?), partition: row.get(1)? };
        gaps.open(partition, row.get::<_, i64>(2)?.cast_unsigned()..row.get::<_, i64>(3)?.cast_unsigned());
    }
    Ok(gaps)
}

fn read_revised(connection: &Connection) -> rusqlite::Result<FxHashMap<(u64, i64), u32>> {
    let mut select = connection.prepare("SELECT series, start, revision FROM revised")?;
    let rows = select
        .query_map([], |row| Ok(((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?), row.get(2)?)))?;
    rows.collect()
}

fn read_live(connection: &Connection) -> rusqlite::Result<BTreeMap<TopicPartition, Offset>> {
    let mut select = connection.prepare("SELECT topic, partition, next FROM live")?;
    let rows = select.query_map([], |row| {
        let partition = TopicPartition { topic: topic(row.get(0)?), partition: row.get(1)? };
        Ok((partition, row.get::<_, i64>(2)?.cast_unsigned()))
    })?;
    rows.collect()
}

/// The topic of that number. Only the two that the sink reads are ever written.
fn topic(code: u8) -> Topic {
    if code == Topic::Observations as u8 { Topic::Observations } else { Topic::Aggregates }
}
