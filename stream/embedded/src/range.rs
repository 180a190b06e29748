//! Reading rows from the file, by range. What is not as it was written is named, never passed over.

use std::sync::Arc;

use records::{Batch, Offset, TopicPartition};
use rusqlite::{Connection, ErrorCode};

use crate::error::Fault;
use crate::layout::table;
use crate::row::Row;

/// Reads rows of `at` from the one that holds `position`, or from the oldest one when that is newer: about
/// `limit` bytes, at least one row.
///
/// `next` is an offset that was committed before the call: below it there must be rows.
pub(crate) fn read(
    conn: &Connection,
    at: TopicPartition,
    position: Offset,
    next: Offset,
    limit: usize,
) -> Result<Vec<Row>, Fault> {
    let rows = stored(conn, at, position, limit).map_err(|error| fault(at, position, &error))?;
    let mut read: Vec<Row> = Vec::with_capacity(rows.len());
    for row in rows {
        match row.check(at).and_then(|row| follows(read.last(), row, at, position)) {
            Ok(row) => read.push(row),
            Err(fault) if read.is_empty() => return Err(fault),
            // First hand out what is whole; the next call begins here.
            Err(_) => break,
        }
    }
    if read.is_empty() && position < next {
        return Err(missing(at, position));
    }
    Ok(read)
}

/// Checks that no record is missing before `row`. Only the oldest row of all may begin behind the position:
/// retention removes from the front, and then there is no row at or below the position to begin with.
fn follows(before: Option<&Row>, row: Row, at: TopicPartition, position: Offset) -> Result<Row, Fault> {
    match before {
        Some(before) if row.first != before.next() => Err(missing(at, before.next())),
        None if row.next() <= position => Err(missing(at, position)),
        _ => Ok(row),
    }
}

struct StoredRow {
    first: i64,
    count: i64,
    crc32: i64,
    batch: Vec<u8>,
}

/// From the row at or below the position; when there is none, from the oldest.
fn stored(
    conn: &Connection,
    at: TopicPartition,
    position: Offset,
    limit: usize,
) -> rusqlite::Result<Vec<StoredRow>> {
    let table = table(at);
    let sql = format!(
        "SELECT first, count, crc32, batch FROM {table}
         WHERE first >= ifnull((SELECT max(first) FROM {table} WHERE first <= ?1), 0) ORDER BY first"
    );
    let mut statement = conn.prepare(&sql)?;
    let mut rows = statement.query([crate::schema::to_sql(position)])?;
    let (mut read, mut bytes) = (Vec::new(), 0);
    while bytes < limit
        && let Some(row) = rows.next()?
    {
        let batch: Vec<u8> = row.get(3)?;
        bytes += batch.len();
        read.push(StoredRow { first: row.get(0)?, count: row.get(1)?, crc32: row.get(2)?, batch });
    }
    Ok(read)
}

impl StoredRow {
    fn check(self, at: TopicPartition) -> Result<Row, Fault> {
        let first = crate::schema::from_sql(self.first);
        let damaged = |detail: String| Fault::Damaged { at, offset: first, detail };
        let found = Row::crc32(first, &self.batch);
        if i64::from(found) != self.crc32 {
            return Err(damaged(format!("checksum {found:08x} instead of {:08x}", self.crc32)));
        }
        let batch = Batch::from_bytes(self.batch).ok_or_else(|| damaged("not whole records".to_owned()))?;
        if batch.is_empty() || batch.len() as i64 != self.count {
            return Err(damaged(format!("{} records instead of {}", batch.len(), self.count)));
        }
        Ok(Row { first, batch: Arc::new(batch) })
    }
}

fn missing(at: TopicPartition, offset: Offset) -> Fault {
    Fault::Damaged { at, offset, detail: "the row is missing".to_owned() }
}

fn fault(at: TopicPartition, offset: Offset, error: &rusqlite::Error) -> Fault {
    let detail = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Fault::Damaged { at, offset, detail },
        None => Fault::Damaged { at, offset, detail },
        Some(_) => Fault::Unavailable(detail),
    }
}
