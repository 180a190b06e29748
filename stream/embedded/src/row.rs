//! Rows: how batches that came together are merged, and how rows are joined again for a reader.

use std::sync::Arc;

use records::{Batch, Offset};

/// A row holds about this many records at most.
pub(crate) const ROW_RECORDS: usize = 1000;
/// And this many bytes, when its records are not larger.
pub(crate) const ROW_BYTES: usize = 256 << 10;

/// Consecutive records, stored as one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub first: Offset,
    pub batch: Arc<Batch>,
}

impl Row {
    pub fn next(&self) -> Offset {
        self.first + self.batch.len() as Offset
    }

    pub fn bytes(&self) -> usize {
        self.batch.as_bytes().len()
    }

    /// Covers the offset, so that a row in the wrong place is noticed.
    pub fn crc32(first: Offset, bytes: &[u8]) -> u32 {
        let mut crc = crc32fast::Hasher::new();
        crc.update(&first.to_le_bytes());
        crc.update(bytes);
        crc.finalize()
    }
}

/// Merges what one transaction appends to one partition.
#[derive(Debug)]
pub(crate) struct Merger<'a> {
    next: Offset,
    pieces: Vec<&'a [u8]>,
    records: usize,
    bytes: usize,
    rows: Vec<Row>,
}

impl<'a> Merger<'a> {
    pub fn new(next: Offset) -> Merger<'a> {
        Merger { next, pieces: Vec::new(), records: 0, bytes: 0, rows: Vec::new() }
    }

    /// Puts `batch` behind what is there and returns the offset of its first record.
    pub fn add(&mut self, batch: &'a Batch) -> Offset {
        let first = self.next;
        if batch.len() <= ROW_RECORDS && batch.as_bytes().len() <= ROW_BYTES {
            self.piece(batch.as_bytes(), batch.len());
        } else {
            self.pieces_of(batch);
        }
        first
    }

    pub fn finish(mut self) -> Vec<Row> {
        self.seal();
        self.rows
    }

    fn piece(&mut self, bytes: &'a [u8], records: usize) {
        if self.records + records > ROW_RECORDS || self.bytes + bytes.len() > ROW_BYTES {
            self.seal();
        }
        self.pieces.push(bytes);
        self.records += records;
        self.bytes += bytes.len();
        self.next += records as Offset;
    }

    fn pieces_of(&mut self, batch: &'a Batch) {
        let (mut start, mut end, mut records) = (0, 0, 0);
        for entry in batch.entries() {
            let len = entry.len();
            if records == ROW_RECORDS || (end + len - start > ROW_BYTES && records > 0) {
                self.piece(&batch.as_bytes()[start..end], records);
                (start, records) = (end, 0);
            }
            end += len;
            records += 1;
        }
        self.piece(&batch.as_bytes()[start..end], records);
    }

    fn seal(&mut self) {
        if self.records > 0 {
            let first = self.next - self.records as Offset;
            self.rows.push(Row { first, batch: Arc::new(concatenate(&self.pieces, self.bytes)) });
        }
        self.pieces.clear();
        (self.records, self.bytes) = (0, 0);
    }
}

/// As many rows from the front as make one good batch for a reader, beginning at `position` when that lies inside
/// the first row. Small rows are joined: whoever catches up should not do so two records at a time.
pub(crate) fn join(rows: &[Row], position: Offset) -> Option<(usize, Row)> {
    let used = fitting(rows);
    let head = rows.first()?;
    if used == 1 && position <= head.first {
        return Some((1, head.clone()));
    }
    let skipped = skip(&head.batch, position.saturating_sub(head.first));
    let mut pieces = vec![&head.batch.as_bytes()[skipped..]];
    pieces.extend(rows[1..used].iter().map(|row| row.batch.as_bytes()));
    let bytes = pieces.iter().map(|piece| piece.len()).sum();
    let batch = Arc::new(concatenate(&pieces, bytes));
    Some((used, Row { first: position.max(head.first), batch }))
}

/// How many rows, at least one, are joined into one batch.
fn fitting(rows: &[Row]) -> usize {
    let (mut records, mut bytes) = (0, 0);
    let fits = rows.iter().take_while(|row| {
        records += row.batch.len();
        bytes += row.bytes();
        records <= ROW_RECORDS && bytes <= ROW_BYTES
    });
    fits.count().max(1)
}

fn skip(batch: &Batch, records: Offset) -> usize {
    let records = usize::try_from(records).unwrap_or(usize::MAX);
    batch.entries().take(records).map(|entry| entry.len()).sum()
}

fn concatenate(pieces: &[&[u8]], bytes: usize) -> Batch {
    let mut all = Vec::with_capacity(bytes);
    for piece in pieces {
        all.extend_from_slice(piece);
    }
    Batch::from_bytes(all).expect("pieces are cut between records")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(values: impl IntoIterator<Item = usize>) -> Batch {
        let mut batch = Batch::new();
        for len in values {
            batch.push(b"key", &vec![7; len]);
        }
        batch
    }

    fn check(batches: &[Batch], firsts: &[Offset], rows: &[(Offset, usize)]) {
        let mut merger = Merger::new(100);
        let given: Vec<_> = batches.iter().map(|batch| merger.add(batch)).collect();
        assert_eq!(given, firsts);
        let merged = merger.finish();
        assert_eq!(merged.iter().map(|row| (row.first, row.batch.len())).collect::<Vec<_>>(), rows);
        let before: Vec<u8> = batches.iter().flat_map(|batch| batch.as_bytes().to_vec()).collect();
        let after: Vec<u8> = merged.iter().flat_map(|row| row.batch.as_bytes().to_vec()).collect();
        assert_eq!(before, after);
    }

    #[test]
    fn batches_are_merged_up_to_the_limits() {
        check(&[], &[], &[]);
        check(&[batch([])], &[100], &[]);
        check(&[batch([5, 6]), batch([]), batch([7])], &[100, 102, 102], &[(100, 3)]);
        check(&[batch([5; 600]), batch([6; 600])], &[100, 700], &[(100, 600), (700, 600)]);
        check(&[batch([5; 2001])], &[100], &[(100, 1000), (1100, 1000), (2100, 1)]);
        let large = ROW_BYTES / 2;
        check(&[batch([large; 3])], &[100], &[(100, 1), (101, 1), (102, 1)]);
        check(&[batch([1, ROW_BYTES * 2, 1])], &[100], &[(100, 1), (101, 1), (102, 1)]);
    }

    #[test]
    fn small_rows_are_joined_and_a_position_inside_a_row_cuts_it() {
        let row = |first, values: &[usize]| Row { first, batch: Arc::new(batch(values.iter().copied())) };
        let rows = [row(10, &[1, 2, 3]), row(13, &[4]), row(14, &[ROW_BYTES])];
        let check = |position, used, first, values: &[usize]| {
            assert_eq!(join(&rows, position), Some((used, row(first, values))));
        };
        check(10, 2, 10, &[1, 2, 3, 4]);
        check(5, 2, 10, &[1, 2, 3, 4]);
        check(12, 2, 12, &[3, 4]);
        assert_eq!(join(&rows[2..], 0), Some((1, rows[2].clone())));
        assert_eq!(join(&[], 0), None);
    }
}
