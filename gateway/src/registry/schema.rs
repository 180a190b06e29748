//! The file's tables and their version.

use crate::RegistryError;
use rusqlite::{Connection, TransactionBehavior};
use std::path::Path;
use std::time::Duration;

/// What brings a file from each version to the next; the first makes it out of nothing. Never edited, only added to.
const STEPS: &[&str] = &[
    "CREATE TABLE device (
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
    ) STRICT",
    // The system of lon and lat, which stand here as they were stated, and of what the device states itself.
    "ALTER TABLE device ADD COLUMN crs TEXT NOT NULL DEFAULT 'wgs84'",
    "CREATE TABLE subscription (source TEXT NOT NULL, filter TEXT NOT NULL, PRIMARY KEY (source, filter)) STRICT",
    // Subscribers prove themselves as devices do. The filters of a subscriber, a line each; NULL for a device.
    "ALTER TABLE device ADD COLUMN filters TEXT",
];

/// How long one process waits for the other's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn open(path: &Path) -> Result<Connection, RegistryError> {
    keep_private(path);
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    bring_up_to_date(connection)
}

/// In one transaction that shuts out the other process, which may be doing the same.
fn bring_up_to_date(mut connection: Connection) -> Result<Connection, RegistryError> {
    match version(&connection)? {
        0 => connection.pragma_update(None, "journal_mode", "WAL")?,
        current if current == STEPS.len() as i64 => return Ok(connection),
        _ => {}
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction)?;
    let behind = usize::try_from(found).ok().and_then(|found| STEPS.get(found..));
    for step in behind.ok_or(RegistryError::Version(found))? {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", STEPS.len() as i64)?;
    transaction.commit()?;
    Ok(connection)
}

fn version(connection: &Connection) -> Result<i64, rusqlite::Error> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
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
