//! What is remembered by key, in the transactions of the records that it belongs to.

use records::{Note, Noted};
use rusqlite::{Connection, OptionalExtension, Row, Rows, Statement};

use crate::NoteStats;
use crate::schema::from_sql;

/// The table with its prepared statements.
pub(crate) struct Notes<'c> {
    conn: &'c Connection,
    put: Statement<'c>,
    get: Statement<'c>,
    remove: Statement<'c>,
    remove_same: Statement<'c>,
    remove_range: Statement<'c>,
}

impl<'c> Notes<'c> {
    pub fn new(conn: &'c Connection) -> rusqlite::Result<Notes<'c>> {
        Ok(Notes {
            conn,
            put: conn.prepare("INSERT OR REPLACE INTO notes VALUES (?1, ?2, ?3)")?,
            get: conn.prepare("SELECT value FROM notes WHERE key = ?1")?,
            remove: conn.prepare("DELETE FROM notes WHERE key = ?1")?,
            remove_same: conn.prepare("DELETE FROM notes WHERE key = ?1 AND value = ?2")?,
            remove_range: conn.prepare("DELETE FROM notes WHERE key >= ?1 AND key < ?2")?,
        })
    }

    /// Whether the append that these belong to was carried out before. One of its claims tells for all: they became
    /// durable together.
    pub fn are_known(&mut self, notes: &[Note]) -> rusqlite::Result<bool> {
        let claim = notes.iter().find_map(|note| match note {
            Note::Claim { key, value } => Some((key, value)),
            _ => None,
        });
        let Some((key, value)) = claim else { return Ok(false) };
        let stands: Option<Vec<u8>> = self.get.query_row([key], |row| row.get(0)).optional()?;
        Ok(stands.as_ref() == Some(value))
    }

    pub fn carry_out(&mut self, notes: &[Note]) -> rusqlite::Result<()> {
        for note in notes {
            match note {
                Note::Put { key, value } | Note::Claim { key, value } => {
                    self.put.execute((key, crc32(key, value), value))?
                }
                Note::Remove { key } => self.remove.execute([key])?,
                Note::RemoveSame { key, value } => self.remove_same.execute((key, value))?,
                Note::RemoveUnder { prefix } => self.remove_under(prefix)?,
            };
        }
        Ok(())
    }

    fn remove_under(&mut self, prefix: &[u8]) -> rusqlite::Result<usize> {
        match behind(prefix) {
            Some(end) => self.remove_range.execute((prefix, end)),
            None => self.conn.execute("DELETE FROM notes WHERE key >= ?1", [prefix]),
        }
    }
}

/// Those whose keys begin with `prefix`; none of a file that is too old to have any.
pub(crate) fn under(conn: &Connection, prefix: &[u8]) -> rusqlite::Result<Noted> {
    if !has_any(conn)? {
        return Ok(Noted::default());
    }
    let all = "SELECT key, crc32, value FROM notes WHERE key >= ?1";
    match behind(prefix) {
        Some(end) => read(conn.prepare(&format!("{all} AND key < ?2 ORDER BY key"))?.query((prefix, end))?),
        None => read(conn.prepare(&format!("{all} ORDER BY key"))?.query([prefix])?),
    }
}

/// How much there is.
pub(crate) fn stats(conn: &Connection) -> rusqlite::Result<NoteStats> {
    if !has_any(conn)? {
        return Ok(NoteStats::default());
    }
    let sum = "SELECT count(*), coalesce(sum(length(key) + length(value)), 0) FROM notes";
    let columns =
        |row: &Row<'_>| Ok(NoteStats { count: from_sql(row.get(0)?), bytes: from_sql(row.get(1)?) });
    conn.query_row(sum, [], columns)
}

/// Whether the file is new enough.
fn has_any(conn: &Connection) -> rusqlite::Result<bool> {
    let found = conn.query_row("SELECT 1 FROM sqlite_schema WHERE name = 'notes'", [], |_| Ok(()));
    Ok(found.optional()?.is_some())
}

fn read(mut rows: Rows<'_>) -> rusqlite::Result<Noted> {
    let mut noted = Noted::default();
    while let Some(row) = rows.next()? {
        let (key, sum, value): (Vec<u8>, i64, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        match i64::from(crc32(&key, &value)) == sum {
            true => noted.pairs.push((key, value)),
            false => noted.damaged.push(key),
        }
    }
    Ok(noted)
}

/// Covers the key and where it ends, so that a value in the wrong place is noticed.
fn crc32(key: &[u8], value: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&(key.len() as u64).to_le_bytes());
    crc.update(key);
    crc.update(value);
    crc.finalize()
}

/// The first key behind all that begin with `prefix`; `None` when nothing is behind them.
fn behind(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut behind = prefix[..=last].to_vec();
    behind[last] += 1;
    Some(behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_behind_a_prefix() {
        let check = |prefix: &[u8], expected: Option<&[u8]>| {
            assert_eq!(behind(prefix).as_deref(), expected, "{prefix:?}");
        };
        check(b"", None);
        check(b"a", Some(b"b"));
        check(b"a\xff\xff", Some(b"b"));
        check(b"\xff", None);
    }
}
