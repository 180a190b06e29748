//! The rows that are not sealed yet.

use crate::catalog::SeriesId;
use crate::happened::HappeningPoint;
use crate::point::{Point, RawPoint, WindowPoint};

/// Rows in the order of writing; those of one series are chained from the newest to the oldest.
///
/// A chain instead of a vector per series: writing touches the end of one vector, nothing is allocated per
/// series, and no capacity lies idle in sixty thousand places.
pub(crate) struct Table<P> {
    rows: Vec<(P, u32)>,
    heads: Vec<u32>,
    /// What points hold outside of `rows`.
    outside: usize,
}

/// The end of a chain.
const NONE: u32 = u32::MAX;

impl<P: Point> Table<P> {
    pub fn new() -> Table<P> {
        Table { rows: Vec::new(), heads: Vec::new(), outside: 0 }
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Bytes that the rows take.
    pub fn bytes(&self) -> usize {
        self.rows.len() * size_of::<(P, u32)>() + self.heads.len() * size_of::<u32>() + self.outside
    }

    pub fn push(&mut self, series: SeriesId, point: P) {
        let row = u32::try_from(self.rows.len()).expect("a table is sealed long before 2^32 rows");
        if self.heads.len() <= series.index() {
            self.heads.resize(series.index() + 1, NONE);
        }
        let previous = std::mem::replace(&mut self.heads[series.index()], row);
        self.outside += point.outside();
        self.rows.push((point, previous));
    }

    /// Appends the points of `series` to `out`, in the order of writing.
    pub fn copy_to(&self, series: SeriesId, out: &mut Vec<P>) {
        let first = out.len();
        let mut row = self.heads.get(series.index()).copied().unwrap_or(NONE);
        while let Some((point, previous)) = self.rows.get(row as usize) {
            out.push(point.clone());
            row = *previous;
        }
        out[first..].reverse();
    }

    /// The series that have a row here, by number.
    pub fn series(&self) -> impl Iterator<Item = SeriesId> + '_ {
        (0..).zip(&self.heads).filter(|(_, head)| **head != NONE).map(|(id, _)| SeriesId(id))
    }
}

/// One table of each kind, filled and sealed together.
pub(crate) struct Memory {
    pub raw: Table<RawPoint>,
    pub windows: Table<WindowPoint>,
    pub happenings: Table<HappeningPoint>,
}

impl Memory {
    pub fn new() -> Memory {
        Memory { raw: Table::new(), windows: Table::new(), happenings: Table::new() }
    }

    /// The series that have rows, some more than once.
    pub fn series(&self) -> impl Iterator<Item = SeriesId> + '_ {
        self.raw.series().chain(self.windows.series()).chain(self.happenings.series())
    }

    pub fn bytes(&self) -> usize {
        self.raw.bytes() + self.windows.bytes() + self.happenings.bytes()
    }

    pub fn len(&self) -> usize {
        self.raw.len() + self.windows.len() + self.happenings.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AggregateRow, Happening, HappeningRow};
    use records::{Timestamp, Window};

    /// What the documentation of the bound says of each kind of row.
    #[test]
    fn rows_take_what_is_said_of_them() {
        assert_eq!(size_of::<(RawPoint, u32)>(), 56);
        assert_eq!(size_of::<(WindowPoint, u32)>(), 80);
        let row = HappeningRow {
            kind: Happening::TagRead,
            device: "r-1".into(),
            at: Timestamp(0),
            until: Timestamp(0),
            ingest_time: Timestamp(0),
            tag: Some("E2801160600002084C1D0001".into()),
            area: Some("line-1".into()),
            count: 1,
            place: 1,
            rssi: None,
            speed: None,
            class: 0,
        };
        let mut memory = Memory::new();
        memory.happenings.push(SeriesId(0), HappeningPoint::new(&row).expect("it can be stored"));
        let outside = 24 + 16;
        assert_eq!(memory.bytes(), size_of::<(HappeningPoint, u32)>() + 4 + outside);
        assert!((130..180).contains(&memory.bytes()), "{}", memory.bytes());
        let window = AggregateRow {
            subject: "a".into(),
            quantity: "b".into(),
            window: Window { start: Timestamp(0), end: Timestamp(60_000) },
            revision: 0,
            count: 1,
            good: 1,
            sum: 1.0,
            mean: 1.0,
            min: 1.0,
            max: 1.0,
            as_of: Timestamp(0),
            is_backfill: false,
        };
        let before = memory.bytes();
        memory.windows.push(SeriesId(3), WindowPoint::new(&window).expect("it can be stored"));
        assert_eq!(memory.bytes() - before, 80 + 4 * 4);
    }
}
