//! What counts: files, series, latest values, offsets. Changed in one transaction or not at all.

use crate::StoreError;
use crate::catalog::{SeriesId, SeriesName};
use crate::day::{Day, Kind, file_name};
use crate::index;
use crate::point::RawPoint;
use crate::sealed::{Checks, SealedFile};
use crate::store::Damaged;
use records::{Flag, Offset, Quality, Topic, TopicPartition};
use rusqlite::{Connection, OpenFlags, Row, Transaction, TransactionBehavior, params};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What this program writes and reads.
const FORMAT: i64 = 2;

const SCHEMA: &str = "
    CREATE TABLE files (
        id INTEGER PRIMARY KEY, kind TEXT NOT NULL, day INTEGER NOT NULL, level INTEGER NOT NULL,
        age INTEGER NOT NULL, path TEXT NOT NULL, rows INTEGER NOT NULL, bytes INTEGER NOT NULL,
        tail_start INTEGER NOT NULL, tail INTEGER NOT NULL, pages BLOB NOT NULL, series BLOB NOT NULL
    ) STRICT;
    CREATE TABLE damaged (path TEXT NOT NULL, day TEXT NOT NULL, rows INTEGER NOT NULL, detail TEXT NOT NULL) STRICT;
    CREATE TABLE series (id INTEGER PRIMARY KEY, subject TEXT NOT NULL, quantity TEXT NOT NULL) STRICT;
    CREATE TABLE latest (
        series INTEGER PRIMARY KEY, event_time INTEGER NOT NULL, ingest_time INTEGER NOT NULL,
        value REAL NOT NULL, flag INTEGER NOT NULL, tests INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE offsets (
        topic TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL, PRIMARY KEY (topic, partition)
    ) STRICT, WITHOUT ROWID;
";

/// What format 2 added: which files the roll-ups hold, before which days rows were removed, and of which folders of
/// roll-ups a file was lost.
const ROLL_UPS: &str = "
    CREATE TABLE rolled (file INTEGER PRIMARY KEY) STRICT;
    CREATE TABLE horizons (kind TEXT PRIMARY KEY, day INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE holes (kind TEXT NOT NULL, day INTEGER NOT NULL, PRIMARY KEY (kind, day)) STRICT, WITHOUT ROWID;
";

/// What becomes true together.
#[derive(Default)]
pub(crate) struct Change<'a> {
    pub added: &'a [Arc<SealedFile>],
    pub gone: &'a [Arc<SealedFile>],
    /// Files, by number, whose rows are in the roll-ups from now on, and such whose rows no longer are.
    pub rolled: &'a [u64],
    pub unrolled: &'a [u64],
    /// Days before which rows are gone.
    pub horizons: &'a [(Kind, Day)],
    /// Folders of roll-ups that lose a file, and such that are whole again.
    pub torn: &'a [(Kind, Day)],
    pub mended: &'a [(Kind, Day)],
    pub series: &'a [(SeriesId, SeriesName)],
    pub latest: &'a [(SeriesId, RawPoint)],
    pub offsets: &'a [(TopicPartition, Offset)],
    pub damaged: Option<&'a Damaged>,
    /// What was damaged and was written anew.
    pub damaged_no_more: &'a [Damaged],
}

/// What was true when the store was opened.
#[derive(Default)]
pub(crate) struct Contents {
    pub files: Vec<SealedFile>,
    /// By number, without holes.
    pub series: Vec<SeriesName>,
    pub latest: Vec<(SeriesId, RawPoint)>,
    pub offsets: Vec<(TopicPartition, Offset)>,
    pub damaged: Vec<Damaged>,
    pub rolled: Vec<u64>,
    pub horizons: Vec<(Kind, Day)>,
    pub holes: Vec<(Kind, Day)>,
}

/// The database behind it.
pub(crate) struct Manifest {
    connection: Connection,
    root: PathBuf,
    /// Files of a change whose commit failed in a way that may come true after a crash. The next commit rules
    /// that out; until then they stay.
    suspects: Vec<Arc<SealedFile>>,
}

impl Manifest {
    pub fn open(root: &Path) -> Result<Manifest, StoreError> {
        let connection = Connection::open(root.join("manifest.db"))?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found > FORMAT {
            return Err(StoreError::Version { dir: root.to_owned(), found });
        }
        let mut manifest = Manifest { connection, root: root.to_owned(), suspects: Vec::new() };
        if found < FORMAT {
            let transaction = manifest.begin()?;
            if found == 0 {
                transaction.execute_batch(SCHEMA)?;
            }
            transaction.execute_batch(ROLL_UPS)?;
            transaction.pragma_update(None, "user_version", FORMAT)?;
            transaction.commit()?;
        }
        Ok(manifest)
    }

    /// The same to look at, beside whoever writes. Nothing is changed or made.
    pub fn open_to_read(root: &Path) -> Result<Manifest, StoreError> {
        let connection =
            Connection::open_with_flags(root.join("manifest.db"), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if found > FORMAT {
            return Err(StoreError::Version { dir: root.to_owned(), found });
        }
        Ok(Manifest { connection, root: root.to_owned(), suspects: Vec::new() })
    }

    /// Writes what it says now to a new file.
    pub fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        self.connection.execute("VACUUM INTO ?1", [path.to_string_lossy()])?;
        Ok(())
    }

    /// Makes a change durable. Files that are gone by it are unlinked with the last who holds them; on an error
    /// nothing has changed, and so are those that were to be added.
    pub fn commit(&mut self, change: &Change<'_>) -> Result<(), StoreError> {
        let transaction = self.begin()?;
        apply(&transaction, change)?;
        if let Err(error) = transaction.commit() {
            let error = StoreError::from(error);
            if !matches!(error, StoreError::Full(_)) {
                change.added.iter().for_each(|file| file.set_doomed(false));
                self.suspects.extend(change.added.iter().cloned());
            }
            return Err(error);
        }
        self.suspects.drain(..).for_each(|file| file.set_doomed(true));
        change.added.iter().for_each(|file| file.set_doomed(false));
        change.gone.iter().for_each(|file| file.set_doomed(true));
        Ok(())
    }

    pub fn load(&self) -> Result<Contents, StoreError> {
        Ok(Contents {
            files: self.rows("SELECT * FROM files ORDER BY id", |row| self.file(row))?,
            series: self.rows("SELECT id, subject, quantity FROM series ORDER BY id", series_name)?,
            latest: self.rows("SELECT * FROM latest", latest)?,
            offsets: self.rows("SELECT topic, partition, next FROM offsets", offset)?,
            damaged: self.rows("SELECT path, day, rows, detail FROM damaged ORDER BY day, path", damaged)?,
            rolled: self.rows_since_2("SELECT file FROM rolled", |row| {
                Ok(Some(row.get::<_, i64>(0)?.cast_unsigned()))
            })?,
            horizons: self.rows_since_2("SELECT kind, day FROM horizons", place)?,
            holes: self.rows_since_2("SELECT kind, day FROM holes", place)?,
        })
    }

    fn begin(&mut self) -> Result<Transaction<'_>, StoreError> {
        Ok(self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
    }

    /// Rows of a table that format 1 has not: whoever only reads meets it as it is.
    fn rows_since_2<T>(
        &self,
        query: &str,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<Option<T>>,
    ) -> Result<Vec<T>, StoreError> {
        let format: i64 = self.connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if format < 2 { Ok(Vec::new()) } else { self.rows(query, read) }
    }

    fn rows<T>(
        &self,
        query: &str,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<Option<T>>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.connection.prepare(query)?;
        let mut rows = statement.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            match read(row)? {
                Some(value) => found.push(value),
                None => {
                    let detail = format!("row {} of \"{query}\" makes no sense", found.len());
                    return Err(StoreError::Unavailable(detail.into()));
                }
            }
        }
        Ok(found)
    }

    fn file(&self, row: &Row<'_>) -> rusqlite::Result<Option<SealedFile>> {
        let id: i64 = row.get("id")?;
        let kind = Kind::from_name(row.get_ref("kind")?.as_str()?);
        let pages = numbers(row.get_ref("pages")?.as_blob()?);
        let index = index::decode(row.get_ref("series")?.as_blob()?);
        let (Some(kind), Some(pages), Some(index)) = (kind, pages, index) else { return Ok(None) };
        let day = Day(row.get("day")?);
        let checks = Checks {
            bytes: row.get::<_, i64>("bytes")?.cast_unsigned(),
            tail_start: row.get::<_, i64>("tail_start")?.cast_unsigned(),
            tail: row.get("tail")?,
            pages,
        };
        Ok(Some(SealedFile::new(
            id.cast_unsigned(),
            (kind, day),
            row.get("level")?,
            row.get::<_, i64>("age")?.cast_unsigned(),
            kind.dir(&self.root, day).join(file_name(id.cast_unsigned())),
            row.get::<_, i64>("rows")?.cast_unsigned(),
            checks,
            index,
        )))
    }
}

fn apply(transaction: &Transaction<'_>, change: &Change<'_>) -> rusqlite::Result<()> {
    let mut remove = transaction.prepare("DELETE FROM files WHERE id = ?1")?;
    for file in change.gone {
        remove.execute([file.id.cast_signed()])?;
    }
    apply_roll_ups(transaction, change)?;
    change.added.iter().try_for_each(|file| add_file(transaction, file))?;
    let mut add = transaction.prepare("INSERT INTO series VALUES (?1, ?2, ?3)")?;
    for (id, name) in change.series {
        add.execute(params![id.0, name.subject.as_str(), name.quantity.as_str()])?;
    }
    let mut set = transaction.prepare(
        "INSERT INTO latest VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (series) DO UPDATE SET
            event_time = excluded.event_time, ingest_time = excluded.ingest_time, value = excluded.value,
            flag = excluded.flag, tests = excluded.tests
        WHERE (excluded.event_time, excluded.ingest_time) >= (event_time, ingest_time)",
    )?;
    for (id, point) in change.latest {
        let Quality { flag, tests } = point.quality;
        set.execute(params![id.0, point.event_time, point.ingest_time, point.value, flag as u8, tests])?;
    }
    let mut set = transaction.prepare("INSERT OR REPLACE INTO offsets VALUES (?1, ?2, ?3)")?;
    for (partition, next) in change.offsets {
        set.execute(params![partition.topic.name(), partition.partition, next.cast_signed()])?;
    }
    let mut forget = transaction.prepare("DELETE FROM damaged WHERE path = ?1")?;
    for file in change.damaged_no_more {
        forget.execute([file.path.to_string_lossy()])?;
    }
    if let Some(file) = change.damaged {
        transaction.execute(
            "INSERT INTO damaged VALUES (?1, ?2, ?3, ?4)",
            params![file.path.to_string_lossy(), file.day, file.rows.cast_signed(), file.detail],
        )?;
    }
    Ok(())
}

fn apply_roll_ups(transaction: &Transaction<'_>, change: &Change<'_>) -> rusqlite::Result<()> {
    let gone = change.gone.iter().map(|file| file.id);
    let mut remove = transaction.prepare("DELETE FROM rolled WHERE file = ?1")?;
    for id in gone.chain(change.unrolled.iter().copied()) {
        remove.execute([id.cast_signed()])?;
    }
    let mut add = transaction.prepare("INSERT INTO rolled VALUES (?1)")?;
    for id in change.rolled {
        add.execute([id.cast_signed()])?;
    }
    let mut set = transaction.prepare("INSERT OR REPLACE INTO horizons VALUES (?1, ?2)")?;
    for (kind, day) in change.horizons {
        set.execute(params![kind.name(), day.0])?;
    }
    let mut tear = transaction.prepare("INSERT OR IGNORE INTO holes VALUES (?1, ?2)")?;
    for (kind, day) in change.torn {
        tear.execute(params![kind.name(), day.0])?;
    }
    let mut mend = transaction.prepare("DELETE FROM holes WHERE kind = ?1 AND day = ?2")?;
    for (kind, day) in change.mended {
        mend.execute(params![kind.name(), day.0])?;
    }
    Ok(())
}

/// The column `path` is for people and other programs: what counts, as DuckDB can read it.
fn add_file(transaction: &Transaction<'_>, file: &SealedFile) -> rusqlite::Result<()> {
    let path = format!("{}/{}/{}", file.kind.name(), file.kind.partition(file.day), file_name(file.id));
    let pages: Vec<u8> = file.checks.pages.iter().flat_map(|crc| crc.to_le_bytes()).collect();
    transaction
        .prepare("INSERT INTO files VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")?
        .execute(params![
            file.id.cast_signed(),
            file.kind.name(),
            file.day.0,
            file.level,
            file.age.cast_signed(),
            path,
            file.rows.cast_signed(),
            file.checks.bytes.cast_signed(),
            file.checks.tail_start.cast_signed(),
            file.checks.tail,
            pages,
            index::encode(&file.index),
        ])
        .map(|_| ())
}

fn series_name(row: &Row<'_>) -> rusqlite::Result<Option<SeriesName>> {
    let (subject, quantity) = (row.get_ref(1)?.as_str()?.into(), row.get_ref(2)?.as_str()?.into());
    Ok(Some(SeriesName { subject, quantity }))
}

fn latest(row: &Row<'_>) -> rusqlite::Result<Option<(SeriesId, RawPoint)>> {
    let Some(flag) = Flag::from_code(row.get("flag")?) else { return Ok(None) };
    let point = RawPoint {
        event_time: row.get("event_time")?,
        ingest_time: row.get("ingest_time")?,
        device_time: None,
        value: row.get("value")?,
        quality: Quality { flag, tests: row.get("tests")? },
    };
    Ok(Some((SeriesId(row.get("series")?), point)))
}

fn place(row: &Row<'_>) -> rusqlite::Result<Option<(Kind, Day)>> {
    let day = Day(row.get(1)?);
    Ok(Kind::from_name(row.get_ref(0)?.as_str()?).map(|kind| (kind, day)))
}

fn offset(row: &Row<'_>) -> rusqlite::Result<Option<(TopicPartition, Offset)>> {
    let name = row.get_ref(0)?.as_str()?;
    let Some(topic) = Topic::ALL.into_iter().find(|topic| topic.name() == name) else { return Ok(None) };
    let partition = TopicPartition { topic, partition: row.get(1)? };
    Ok(Some((partition, row.get::<_, i64>(2)?.cast_unsigned())))
}

fn damaged(row: &Row<'_>) -> rusqlite::Result<Option<Damaged>> {
    let path = PathBuf::from(row.get::<_, String>(0)?);
    let rows = row.get::<_, i64>(2)?.cast_unsigned();
    Ok(Some(Damaged { path, day: row.get(1)?, rows, detail: row.get(3)? }))
}

fn numbers(bytes: &[u8]) -> Option<Vec<u32>> {
    let (numbers, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| numbers.iter().map(|number| u32::from_le_bytes(*number)).collect())
}
