//! The file: its settings, its tables, and what it says when it is opened.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use records::{Offset, Timestamp, Topic, TopicPartition};
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use crate::OpenError;
use crate::layout::{Layout, table};
use crate::options::{Options, OverBudget};
use crate::partition::Extent;
use crate::roster::{Place, Position};
use crate::seat::ReaderName;

/// `SLUC`, where the `file` tool and we look for it.
const APPLICATION_ID: i64 = 0x534C_5543;
/// Version 1 had no notes. A program that knows none would let them grow old, so it is not to open a file that has them.
const VERSION: i64 = 2;
pub(crate) const PAGE_BYTES: u64 = 4096;

/// Set once, before there is a page.
const CREATE: &str = "PRAGMA page_size = 4096; PRAGMA auto_vacuum = NONE; PRAGMA journal_mode = WAL;";

/// Set at every opening. A checkpoint every 250 pages keeps the write-ahead file small enough to stay in the page
/// cache; larger ones stall the writer for longer than they save.
const WRITER: &str = "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 250; PRAGMA mmap_size = 0;
    PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF;
    PRAGMA journal_size_limit = 67108864;";

const TABLES: &str = "
    CREATE TABLE topics(topic TEXT PRIMARY KEY, partitions INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE offsets(kind TEXT, reader TEXT, topic TEXT, partition INTEGER, next INTEGER NOT NULL,
        keep INTEGER NOT NULL, PRIMARY KEY(kind, reader, topic, partition)) WITHOUT ROWID;
    CREATE TABLE snapshots(job TEXT, topic TEXT, partition INTEGER, offset INTEGER NOT NULL,
        crc32 INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY(job, topic, partition));";

/// One row: which log this is. Apart from the others, because the first logs were made without it.
const ABOUT: &str = "CREATE TABLE IF NOT EXISTS about(made_ms INTEGER NOT NULL)";

/// What is remembered by key.
const NOTES: &str =
    "CREATE TABLE IF NOT EXISTS notes(key BLOB PRIMARY KEY, crc32 INTEGER NOT NULL, value BLOB NOT NULL)
    WITHOUT ROWID";

/// What groups have noted beside their offsets; nothing stands there for an empty note. Apart for the same reason.
const STANDING_NOTES: &str =
    "CREATE TABLE IF NOT EXISTS standing_notes(reader TEXT, topic TEXT, partition INTEGER, note TEXT NOT NULL,
    PRIMARY KEY(reader, topic, partition)) WITHOUT ROWID";

/// Opens the file for the writer, making it when there is none. `now`: for a log that does not know when it was made.
pub(crate) fn open(path: &Path, options: &Options, now: Timestamp) -> Result<Connection, OpenError> {
    let layout = layout(options)?;
    let storage = |source| OpenError::Storage { path: path.to_owned(), source };
    let mut conn = Connection::open(path).map_err(storage)?;
    conn.busy_timeout(Duration::from_secs(1)).map_err(storage)?;
    // Looked at before anything is set: a file of somebody else stays as it is.
    let is_new = is_new(&conn, path)?;
    configure(&conn, options).map_err(storage)?;
    if is_new {
        create(&mut conn).map_err(storage)?;
    }
    sign(&conn, now).map_err(storage)?;
    bring_up(&conn).map_err(storage)?;
    match_topics(&mut conn, &layout).map_err(storage)?.map_or(Ok(conn), Err)
}

/// Opens the file for one that only reads.
pub(crate) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(Duration::from_secs(5))?;
    conn.execute_batch("PRAGMA mmap_size = 0; PRAGMA cache_size = -512;")?;
    Ok(conn)
}

/// The number of partitions as asked for, when it is possible.
pub(crate) fn layout(options: &Options) -> Result<Layout, OpenError> {
    for topic in Topic::ALL {
        let asked = options[topic].partitions;
        if !(1..=1024).contains(&asked) {
            return Err(OpenError::PartitionCount { topic, asked });
        }
    }
    Ok(Layout::new(|topic| options[topic].partitions))
}

fn configure(conn: &Connection, options: &Options) -> rusqlite::Result<()> {
    conn.execute_batch(CREATE)?;
    conn.execute_batch(WRITER)?;
    if let (Some(bytes), OverBudget::Refuse) = (options.budget_bytes, options.over_budget) {
        let pages = i64::try_from(bytes / PAGE_BYTES).unwrap_or(i64::MAX).max(1);
        conn.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
    }
    Ok(())
}

/// Whether there is nothing yet.
///
/// # Errors
/// There is something else.
pub(crate) fn is_new(conn: &Connection, path: &Path) -> Result<bool, OpenError> {
    match identity(conn).map_err(|source| not_a_log(path, source))? {
        (0, 0, 0) => Ok(true),
        (APPLICATION_ID, 1..=VERSION, _) => Ok(false),
        (APPLICATION_ID, version, _) => Err(different(path, format!("version {version}"))),
        _ => Err(different(path, "a database of something else".to_owned())),
    }
}

/// The partitions that the file says it has.
pub(crate) fn stored_layout(conn: &Connection) -> rusqlite::Result<Layout> {
    let mut counts = [0; Topic::ALL.len()];
    let mut statement = conn.prepare("SELECT topic, partitions FROM topics")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(topic) = topic(&row.get::<_, String>(0)?) {
            counts[topic as usize] = row.get(1)?;
        }
    }
    Ok(Layout::new(|topic| counts[topic as usize]))
}

/// A topic by its name.
pub(crate) fn topic(name: &str) -> Option<Topic> {
    Topic::ALL.into_iter().find(|known| known.name() == name)
}

/// Application, version, and how much else is there.
fn identity(conn: &Connection) -> rusqlite::Result<(i64, i64, i64)> {
    let one = |sql| conn.query_row(sql, [], |row| row.get::<_, i64>(0));
    let tables = one("SELECT count(*) FROM sqlite_schema")?;
    Ok((one("PRAGMA application_id")?, one("PRAGMA user_version")?, tables))
}

fn create(conn: &mut Connection) -> rusqlite::Result<()> {
    let transaction = conn.transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.execute_batch(&format!(
        "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};"
    ))?;
    transaction.commit()
}

fn sign(conn: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    conn.execute_batch(ABOUT)?;
    conn.execute_batch(STANDING_NOTES)?;
    conn.execute("INSERT INTO about SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM about)", [now.millis()])?;
    Ok(())
}

/// Gives a file of an older version what it lacks.
fn bring_up(conn: &Connection) -> rusqlite::Result<()> {
    let stored: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    conn.execute_batch(NOTES)?;
    if stored < VERSION { conn.execute_batch(&format!("PRAGMA user_version = {VERSION}")) } else { Ok(()) }
}

/// When the log was made, or a copy of it that is another log.
pub(crate) fn made(conn: &Connection) -> rusqlite::Result<Timestamp> {
    conn.query_row("SELECT made_ms FROM about", [], |row| row.get(0)).map(Timestamp)
}

/// Makes the tables of new topics, and compares those that are there with what is asked for.
fn match_topics(conn: &mut Connection, layout: &Layout) -> rusqlite::Result<Option<OpenError>> {
    let transaction = conn.transaction()?;
    for topic in Topic::ALL {
        let asked = layout.partitions(topic);
        let sql = "SELECT partitions FROM topics WHERE topic = ?1";
        match transaction.query_row(sql, [topic.name()], |row| row.get(0)).optional()? {
            None => create_topic(&transaction, layout, topic)?,
            Some(stored) if stored == asked => {}
            Some(stored) => return Ok(Some(OpenError::Partitions { topic, stored, asked })),
        }
    }
    transaction.commit()?;
    Ok(None)
}

fn create_topic(conn: &Connection, layout: &Layout, topic: Topic) -> rusqlite::Result<()> {
    for at in layout.of(topic) {
        conn.execute_batch(&format!(
            "CREATE TABLE {}(first INTEGER PRIMARY KEY, count INTEGER NOT NULL, crc32 INTEGER NOT NULL,
                appended_ms INTEGER NOT NULL, total_bytes INTEGER NOT NULL, batch BLOB NOT NULL)",
            table(at)
        ))?;
    }
    conn.execute("INSERT INTO topics VALUES (?1, ?2)", (topic.name(), layout.partitions(topic)))?;
    Ok(())
}

pub(crate) fn not_a_log(path: &Path, source: rusqlite::Error) -> OpenError {
    match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => different(path, "not a database".to_owned()),
        _ => OpenError::Storage { path: path.to_owned(), source },
    }
}

fn different(path: &Path, found: String) -> OpenError {
    OpenError::NotALog { path: path.to_owned(), found }
}

/// What is stored of a partition. The newest row is never removed, so it says where to go on, and each row holds
/// the count of bytes up to its end, so that nothing needs to be added up.
pub(crate) fn extent(conn: &Connection, at: TopicPartition) -> rusqlite::Result<Extent> {
    let table = table(at);
    let sql = format!("SELECT first, total_bytes - length(batch) FROM {table} ORDER BY first LIMIT 1");
    let oldest = conn.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let sql = format!("SELECT first + count, total_bytes FROM {table} ORDER BY first DESC LIMIT 1");
    let newest = conn.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let ((first, removed), (next, total)) = (oldest.unwrap_or((0, 0)), newest.unwrap_or((0, 0)));
    Ok(Extent {
        first: from_sql(first),
        next: from_sql(next),
        removed_bytes: from_sql(removed),
        total_bytes: from_sql(total),
    })
}

/// How far each known reader is. Places of partitions that do not exist are left out.
pub(crate) fn positions(conn: &Connection, layout: &Layout) -> rusqlite::Result<Vec<(Place, Position)>> {
    let mut statement = conn.prepare("SELECT kind, reader, topic, partition, next, keep FROM offsets")?;
    let mut rows = statement.query([])?;
    let mut positions = Vec::new();
    while let Some(row) = rows.next()? {
        let Some(topic) = topic(&row.get::<_, String>(2)?) else { continue };
        let Some(index) = layout.index(TopicPartition { topic, partition: row.get(3)? }) else { continue };
        let kind: String = row.get(0)?;
        let Some(reader) = ReaderName::from_table(&kind, row.get(1)?) else { continue };
        let position = Position { next: from_sql(row.get(4)?), keep: from_sql(row.get(5)?) };
        positions.push(((index, reader), position));
    }
    Ok(positions)
}

/// What groups have noted in partitions that exist.
pub(crate) fn standing_notes(conn: &Connection, layout: &Layout) -> rusqlite::Result<Vec<(Place, Arc<str>)>> {
    let mut statement = conn.prepare("SELECT reader, topic, partition, note FROM standing_notes")?;
    let mut rows = statement.query([])?;
    let mut notes = Vec::new();
    while let Some(row) = rows.next()? {
        let Some(topic) = topic(&row.get::<_, String>(1)?) else { continue };
        let Some(index) = layout.index(TopicPartition { topic, partition: row.get(2)? }) else { continue };
        notes.push(((index, ReaderName::Group(row.get(0)?)), row.get::<_, String>(3)?.into()));
    }
    Ok(notes)
}

/// SQLite's integers are signed; offsets and sizes stay far below.
pub(crate) fn to_sql(number: Offset) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The reverse of [`to_sql`].
pub(crate) fn from_sql(number: i64) -> Offset {
    Offset::try_from(number).unwrap_or(0)
}
