//! The file's tables and their version.

use crate::RegistryError;
use rusqlite::Connection;
use std::path::Path;
use std::time::Duration;

const VERSION: i64 = 1;

const TABLES: &str = "
    BEGIN IMMEDIATE;
    CREATE TABLE IF NOT EXISTS device (
        id         TEXT PRIMARY KEY,
        family     TEXT NOT NULL,
        label      TEXT NOT NULL,
        area       TEXT NOT NULL,
        rank       INTEGER NOT NULL,
        lon        REAL,
        lat        REAL,
        is_enabled INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        credential TEXT NOT NULL,
        revision   INTEGER NOT NULL UNIQUE
    ) STRICT;
    PRAGMA user_version = 1;
    COMMIT;";

/// How long one process waits for the other's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn open(path: &Path) -> Result<Connection, RegistryError> {
    keep_private(path);
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match version {
        VERSION => {}
        0 => create(&connection)?,
        newer => return Err(RegistryError::Version(newer)),
    }
    Ok(connection)
}

fn create(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.execute_batch(TABLES)
}

/// Makes a new file that its owner alone may read: it holds hashes of passwords. SQLite gives its side files the
/// same mode. Where this fails, opening fails as well and says why.
fn keep_private(path: &Path) {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let _ = options.open(path);
}
