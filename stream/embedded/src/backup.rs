//! A copy of a log while it runs.

use std::fs::File;
use std::path::Path;

use records::Timestamp;
use rusqlite::Connection;

use crate::error::InspectError;
use crate::stored::{Stored, storage};

/// Copies the log in `dir` into the folder `to`, which must not hold one: everything that is durable when the call
/// begins, with readers and snapshots of the same moment, without the pages that are free.
///
/// The log may be open, here or in another process; until the copy is done its write-ahead file grows. The copy is
/// there whole or not at all. It is another log, made at `now`: where it takes the place of a spool, its records
/// carry an origin of their own, because its offsets will be given to other records.
///
/// # Errors
/// There is no log, `to` holds one already, or the copy can't be written.
pub fn backup(dir: &Path, to: &Path, now: Timestamp) -> Result<(), InspectError> {
    let stored = Stored::open(dir)?;
    let (path, part) = (to.join("log.db"), to.join("log.db.part"));
    let output = InspectError::Output;
    std::fs::create_dir_all(to).map_err(output)?;
    if path.exists() {
        return Err(InspectError::Exists { path });
    }
    // What an earlier try has left.
    let _ = std::fs::remove_file(&part);
    let copied = copy(&stored, &part, now).and_then(|()| {
        File::open(&part).and_then(|file| file.sync_all()).map_err(output)?;
        std::fs::rename(&part, &path).map_err(output)?;
        File::open(to).and_then(|folder| folder.sync_all()).map_err(output)
    });
    if copied.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    copied
}

fn copy(stored: &Stored, part: &Path, now: Timestamp) -> Result<(), InspectError> {
    let name = part.to_string_lossy();
    stored.conn.execute("VACUUM INTO ?1", [name.as_ref()]).map_err(storage(part))?;
    let conn = Connection::open(part).map_err(storage(part))?;
    let sign = "CREATE TABLE IF NOT EXISTS about(made_ms INTEGER NOT NULL); DELETE FROM about;";
    conn.execute_batch(sign).map_err(storage(part))?;
    conn.execute("INSERT INTO about VALUES (?1)", [now.millis()]).map_err(storage(part))?;
    conn.close().map_err(|(_, source)| storage(part)(source))
}
