//! The book: one row per device and hour in SQLite, bounded.

use super::view::{COLUMNS, LedgerQuery, LedgerView, columns};
use crate::alerts::BookError;
use records::{Account, AccountItem, Name, Offset, Origin, Quarantined, Reason, Timestamp, TopicPartition};
use rusqlite::{Connection, OptionalExtension, Transaction, params, params_from_iter};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
/// Hours older than this go.
const KEPT: Duration = Duration::from_secs(31 * 24 * 3600);
/// Most rows: a day of 100,000 devices, or a month of 4,000. Beyond that the oldest hours go first.
const MOST_ROWS: i64 = 3_000_000;

/// Hours of all devices. What was entered is durable.
pub struct LedgerBook {
    database: Mutex<Connection>,
}

/// What a batch of one partition adds.
#[derive(Default)]
pub(super) struct Changes {
    pub accounts: Vec<Account>,
    pub quarantined: Vec<SetAside>,
}

/// Messages of a device that the gateway set aside.
pub(super) struct SetAside {
    device: Name,
    at: Timestamp,
    reason: Reason,
    count: u32,
    brought: Option<Brought>,
}

/// Where it stood on a gateway's spool, when a forwarder has brought it.
struct Brought {
    gateway: String,
    spool: u64,
    offset: Offset,
}

impl SetAside {
    /// What the gateway said, and whence.
    pub fn new(said: Quarantined, origin: Option<Origin<'_>>) -> SetAside {
        let brought =
            |Origin { gateway, spool, offset }| Brought { gateway: gateway.to_owned(), spool, offset };
        let Quarantined { device, ingest_time: at, reason, count, .. } = said;
        SetAside { device, at, reason, count, brought: origin.map(brought) }
    }
}

/// Gives a book of an older version the columns that it does not have yet.
fn add_columns(database: &Connection) -> rusqlite::Result<()> {
    let mut known = database.prepare("SELECT name FROM pragma_table_info('hour')")?;
    let known: Vec<String> = known.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let missing = columns().filter(|column| !known.iter().any(|name| name == column));
    missing
        .map(|column| format!("ALTER TABLE hour ADD COLUMN {}", definition(column)))
        .try_for_each(|statement| database.execute_batch(&statement))
}

impl LedgerBook {
    /// Opens the book at `path`, or starts one.
    ///
    /// # Errors
    /// When the file can't be opened or holds something else.
    pub fn open(path: &Path) -> Result<LedgerBook, BookError> {
        let database = Connection::open(path)?;
        database.busy_timeout(Duration::from_secs(5))?;
        database.pragma_update(None, "journal_mode", "WAL")?;
        // What a loss of power takes is read from the log again, and so is its position: they go together.
        database.pragma_update(None, "synchronous", "FULL")?;
        let counts: Vec<String> = columns().map(definition).collect();
        database.execute_batch(&format!(
            "CREATE TABLE IF NOT EXISTS hour (
                 hour INTEGER NOT NULL, device TEXT NOT NULL, {}, PRIMARY KEY (hour, device)
             ) WITHOUT ROWID;
             CREATE INDEX IF NOT EXISTS hour_by_device ON hour (device, hour);
             CREATE TABLE IF NOT EXISTS brought (
                 gateway TEXT, spool INTEGER, device TEXT, offset INTEGER NOT NULL, hour INTEGER NOT NULL,
                 PRIMARY KEY (gateway, spool, device)
             ) WITHOUT ROWID;
             CREATE TABLE IF NOT EXISTS position (
                 place TEXT PRIMARY KEY, next INTEGER NOT NULL
             ) WITHOUT ROWID;",
            counts.join(", ")
        ))?;
        add_columns(&database)?;
        Ok(LedgerBook { database: Mutex::new(database) })
    }

    /// Hours that match, the newest first, and their sum. Blocks.
    ///
    /// # Errors
    /// When the book can't be read.
    pub fn find(&self, query: &LedgerQuery) -> Result<(Vec<LedgerView>, LedgerView), BookError> {
        let database = self.database();
        let filter = "hour >= ?1 AND hour < ?2 AND (?3 IS NULL OR device = ?3)";
        let range = (query.from.millis(), query.to.millis(), query.device.as_deref());
        let names: Vec<&str> = columns().collect();
        let mut select = database.prepare(&format!(
            "SELECT hour, device, {} FROM hour WHERE {filter} ORDER BY hour DESC, device LIMIT ?4",
            names.join(", ")
        ))?;
        let rows = select.query_map(params![range.0, range.1, range.2, query.limit], LedgerView::read)?;
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        let sums: Vec<String> = names.iter().map(|name| format!("COALESCE(SUM({name}), 0)")).collect();
        let sum = format!("SELECT ?1, '', {} FROM hour WHERE {filter}", sums.join(", "));
        let sum = database.query_row(&sum, params![range.0, range.1, range.2], LedgerView::read)?;
        Ok((rows, sum))
    }

    /// Where to go on reading a partition: what stands before has been entered.
    pub(super) fn next(&self, at: TopicPartition) -> Result<Offset, BookError> {
        Ok(next(&self.database(), at)?)
    }

    /// Enters what a partition said up to `to`, and that it was read so far: both or neither. Blocks.
    pub(super) fn enter(&self, at: TopicPartition, to: Offset, changes: &Changes) -> Result<(), BookError> {
        let mut database = self.database();
        let transaction = database.transaction()?;
        let newest = newest(&transaction)?;
        enter_accounts(&transaction, &changes.accounts)?;
        enter_quarantined(&transaction, &changes.quarantined)?;
        transaction.execute(
            "INSERT INTO position VALUES (?1, ?2) ON CONFLICT (place) DO UPDATE SET next = excluded.next",
            params![at.to_string(), i64::try_from(to).unwrap_or(i64::MAX)],
        )?;
        if self::newest(&transaction)? > newest {
            forget(&transaction)?;
        }
        Ok(transaction.commit()?)
    }

    fn database(&self) -> MutexGuard<'_, Connection> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn definition(column: &str) -> String {
    format!("{column} INTEGER NOT NULL DEFAULT 0")
}

fn next(database: &Connection, at: TopicPartition) -> rusqlite::Result<Offset> {
    let mut select = database.prepare("SELECT next FROM position WHERE place = ?1")?;
    let next: Option<i64> = select.query_row([at.to_string()], |row| row.get(0)).optional()?;
    Ok(next.unwrap_or(0).max(0).unsigned_abs())
}

fn newest(database: &Connection) -> rusqlite::Result<Option<i64>> {
    database.prepare("SELECT MAX(hour) FROM hour")?.query_row([], |row| row.get(0))
}

/// A row takes the place of an older one of its hour: counts only grow.
fn enter_accounts(transaction: &Transaction<'_>, accounts: &[Account]) -> rusqlite::Result<()> {
    let names: Vec<&str> = AccountItem::ALL.into_iter().map(|(_, name)| name).collect();
    let marks = vec!["?"; names.len()].join(", ");
    let set: Vec<String> = names.iter().map(|name| format!("{name} = excluded.{name}")).collect();
    let mut upsert = transaction.prepare(&format!(
        "INSERT INTO hour (hour, device, {}) VALUES (?, ?, {marks})
         ON CONFLICT (hour, device) DO UPDATE SET {} WHERE excluded.received >= received",
        names.join(", "),
        set.join(", ")
    ))?;
    for account in accounts {
        let counts = AccountItem::ALL.into_iter().map(|(item, _)| i64::from(account.counts.of(item)).into());
        let key: [rusqlite::types::Value; 2] =
            [account.hour.millis().into(), account.device.to_string().into()];
        upsert.execute(params_from_iter(key.into_iter().chain(counts)))?;
    }
    Ok(())
}

/// What a forwarder brings again, because it has not heard that it came, does not count again.
fn enter_quarantined(transaction: &Transaction<'_>, quarantined: &[SetAside]) -> rusqlite::Result<()> {
    let mut fresh = Vec::with_capacity(quarantined.len());
    for aside in quarantined {
        if is_first(transaction, aside)? {
            fresh.push(aside);
        }
    }
    count_quarantined(transaction, &fresh)
}

/// Whether it was not here before. Of a device and spool the records come in the order of their offsets.
fn is_first(transaction: &Transaction<'_>, aside: &SetAside) -> rusqlite::Result<bool> {
    let Some(Brought { gateway, spool, offset }) = &aside.brought else { return Ok(true) };
    let mut note = transaction.prepare(
        "INSERT INTO brought VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE
         SET offset = excluded.offset, hour = max(hour, excluded.hour) WHERE excluded.offset > offset",
    )?;
    let (hour, device) = (aside.at.floor(HOUR).millis(), aside.device.as_str());
    let changed = note.execute(params![gateway, spool.cast_signed(), device, offset.cast_signed(), hour])?;
    Ok(changed > 0)
}

fn count_quarantined(transaction: &Transaction<'_>, quarantined: &[&SetAside]) -> rusqlite::Result<()> {
    for reason in Reason::ALL {
        let mut of_reason = quarantined.iter().filter(|aside| aside.reason == reason).peekable();
        if of_reason.peek().is_none() {
            continue;
        }
        let name = reason.name();
        let mut count = transaction.prepare(&format!(
            "INSERT INTO hour (hour, device, {name}) VALUES (?1, ?2, ?3)
             ON CONFLICT (hour, device) DO UPDATE SET {name} = {name} + excluded.{name}"
        ))?;
        for SetAside { device, at, count: messages, .. } in of_reason {
            count.execute(params![at.floor(HOUR).millis(), device.as_str(), messages])?;
        }
    }
    Ok(())
}

/// Whole hours go, the oldest first.
fn forget(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let kept = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
    transaction.execute("DELETE FROM hour WHERE hour < (SELECT MAX(hour) FROM hour) - ?1", [kept])?;
    let mut rows: i64 = transaction.query_row("SELECT COUNT(*) FROM hour", [], |row| row.get(0))?;
    while rows > MOST_ROWS {
        let gone = transaction.execute("DELETE FROM hour WHERE hour = (SELECT MIN(hour) FROM hour)", [])?;
        rows -= i64::try_from(gone.max(1)).unwrap_or(i64::MAX);
    }
    transaction.execute("DELETE FROM brought WHERE hour < (SELECT MIN(hour) FROM hour)", [])?;
    Ok(())
}

const _: () = assert!(COLUMNS < 30, "SQLite takes that many parameters");

#[cfg(test)]
mod tests {
    use super::*;

    /// A book that was begun when there were fewer reasons.
    #[test]
    fn an_older_book_gets_the_columns_that_it_lacks() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger.sqlite");
        let older: Vec<String> = columns()
            .filter(|column| *column != "too_many_devices")
            .map(|c| format!("{c} INTEGER"))
            .collect();
        let statement = format!(
            "CREATE TABLE hour (hour INTEGER, device TEXT, {}, PRIMARY KEY (hour, device)) WITHOUT ROWID;
             INSERT INTO hour (hour, device, received) VALUES (0, 'a', 7)",
            older.join(", ")
        );
        Connection::open(&path).and_then(|book| book.execute_batch(&statement)).expect("an older book");
        for _ in 0..2 {
            let book = LedgerBook::open(&path).expect("it is opened");
            let at = TopicPartition { topic: records::Topic::Quarantine, partition: 0 };
            let (device, at_ms, reason) = (Name::from("a"), Timestamp(5), Reason::TooManyDevices);
            let quarantined = vec![SetAside { device, at: at_ms, reason, count: 1, brought: None }];
            book.enter(at, 1, &Changes { accounts: Vec::new(), quarantined }).expect("it is entered");
        }
        let book = Connection::open(&path).expect("it is there");
        let counts = book.query_row("SELECT received, too_many_devices FROM hour", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
        });
        assert_eq!(counts, Ok((7, 2)));
    }
}
