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
}

/// The end of a chain.
const NONE: u32 = u32::MAX;

impl<P: Point> Table<P> {
    pub fn new() -> Table<P> {
        Table { rows: Vec::new(), heads: Vec::new() }
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn push(&mut self, series: SeriesId, point: P) {
        let row = u32::try_from(self.rows.len()).expect("a table is sealed long before 2^32 rows");
        if self.heads.len() <= series.index() {
            self.heads.resize(series.index() + 1, NONE);
        }
        let previous = std::mem::replace(&mut self.heads[series.index()], row);
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

    pub fn len(&self) -> usize {
        self.raw.len() + self.windows.len() + self.happenings.len()
    }
}
