//! Which rows of a file belong to which series.

use crate::catalog::SeriesId;
use crate::day::Day;
use crate::point::Point;

/// The rows of one series (and one length of window) in a file: they lie together, by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub series: SeriesId,
    /// First row.
    pub start: u32,
    /// How many.
    pub rows: u32,
    /// Time of the first, milliseconds into the day.
    pub first: u32,
    /// Time of the last.
    pub last: u32,
    /// Length of the windows, milliseconds; 0 for raw values.
    pub length: u64,
}

/// Adds the entries of one series' points, sorted, that begin at row `start`.
pub(crate) fn push_entries<P: Point>(
    index: &mut Vec<Entry>,
    series: SeriesId,
    day: Day,
    start: u32,
    points: &[P],
) {
    let into_day = |point: &P| u32::try_from(point.time() - day.start()).expect("a row of this day");
    let mut row = start;
    for run in points.chunk_by(|a, b| a.length() == b.length()) {
        let rows = u32::try_from(run.len()).expect("a part of a file, which has fewer rows");
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        let entry = Entry {
            series,
            start: row,
            rows,
            first: into_day(first),
            last: into_day(last),
            length: first.length(),
        };
        index.push(entry);
        row += rows;
    }
}

/// The entries of `series` in an index sorted by series.
pub(crate) fn entries_of(index: &[Entry], series: SeriesId) -> &[Entry] {
    let start = index.partition_point(|entry| entry.series < series);
    let end = start + index[start..].partition_point(|entry| entry.series == series);
    &index[start..end]
}

/// Bytes for the manifest: per entry, in the order of rows, five numbers in LEB128; a series number is written as
/// its difference to the one before, because neighbours in a file tend to have neighbouring numbers.
pub(crate) fn encode(index: &[Entry]) -> Vec<u8> {
    let mut by_row: Vec<&Entry> = index.iter().collect();
    by_row.sort_by_key(|entry| entry.start);
    let mut bytes = Vec::with_capacity(index.len() * 12);
    let mut before = 0;
    for entry in by_row {
        let step = i64::from(entry.series.0) - before;
        before = i64::from(entry.series.0);
        write_number(&mut bytes, ((step << 1) ^ (step >> 63)).cast_unsigned());
        write_number(&mut bytes, entry.rows.into());
        write_number(&mut bytes, entry.first.into());
        write_number(&mut bytes, (entry.last - entry.first).into());
        write_number(&mut bytes, entry.length);
    }
    bytes
}

/// The index again, sorted by series; `None` when the bytes are not one.
pub(crate) fn decode(mut bytes: &[u8]) -> Option<Vec<Entry>> {
    let mut index = Vec::new();
    let mut before = 0i64;
    let mut start = 0u32;
    while !bytes.is_empty() {
        let step = read_number(&mut bytes)?;
        before = before.checked_add((step >> 1).cast_signed() ^ -(step & 1).cast_signed())?;
        let series = SeriesId(u32::try_from(before).ok()?);
        let rows = u32::try_from(read_number(&mut bytes)?).ok()?;
        let first = u32::try_from(read_number(&mut bytes)?).ok()?;
        let last = first.checked_add(u32::try_from(read_number(&mut bytes)?).ok()?)?;
        let length = read_number(&mut bytes)?;
        index.push(Entry { series, start, rows, first, last, length });
        start = start.checked_add(rows)?;
    }
    index.sort_by_key(|entry| (entry.series, entry.start));
    Some(index)
}

fn write_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        if part << shift >> shift != part {
            return None;
        }
        number |= part << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_index() -> impl Strategy<Value = Vec<Entry>> {
        let entry = (any::<u32>(), 1..1000u32, 0..86_400_000u32, 0..1000u32, any::<u64>());
        prop::collection::vec(entry, 0..50).prop_map(|parts| {
            let mut start = 0;
            let mut index = Vec::new();
            for (series, rows, first, span, length) in parts {
                index.push(Entry {
                    series: SeriesId(series),
                    start,
                    rows,
                    first,
                    last: first + span,
                    length,
                });
                start += rows;
            }
            index.sort_by_key(|entry| (entry.series, entry.start));
            index
        })
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(index in any_index()) {
            prop_assert_eq!(decode(&encode(&index)), Some(index));
        }

        #[test]
        fn any_bytes_are_an_index_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn entries_of_a_series_are_found(index in any_index(), other in any::<u32>()) {
            let wanted = index.first().map_or(SeriesId(other), |entry| entry.series);
            for series in [wanted, SeriesId(other)] {
                let expected: Vec<Entry> = index.iter().filter(|e| e.series == series).copied().collect();
                prop_assert_eq!(entries_of(&index, series), expected.as_slice());
            }
        }
    }
}
