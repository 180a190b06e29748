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
