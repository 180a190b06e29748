//! A tumbling window of one device: statistics of each of its quantities.

use minicbor::{Decode, Encode};
use records::ExactSum;
use records::{Flag, Quality, Quantity, Reading, Timestamp, Window};

/// Bytes of an everyday cell.
const CELL_BYTES: usize = 44;

/// What is known of one window, per quantity.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Pane {
    #[cbor(n(0), with = "crate::cbor")]
    span: Window,
    /// By quantity.
    #[n(1)]
    cells: Vec<Cell>,
}

/// One quantity in one window.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Cell {
    /// Of what.
    #[cbor(n(0), with = "crate::cbor")]
    pub quantity: Quantity,
    /// How often it has been given out.
    #[n(1)]
    pub emissions: u32,
    /// Readings that are not missing.
    #[n(2)]
    pub count: u32,
    /// Usable ones.
    #[n(3)]
    pub good: u32,
    /// Their sum.
    #[n(4)]
    pub sum: ExactSum,
    /// The smallest.
    #[n(5)]
    pub min: f64,
    /// The greatest.
    #[n(6)]
    pub max: f64,
}

/// A closed window that still takes late readings, as bytes: three in four of all windows wait so, and few are ever
/// looked at again.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Closed {
    #[cbor(n(0), with = "crate::cbor")]
    span: Window,
    /// The cells of its pane.
    #[cbor(n(1), with = "minicbor::bytes")]
    cells: Vec<u8>,
}

impl From<&Pane> for Closed {
    fn from(pane: &Pane) -> Closed {
        let mut cells = Vec::with_capacity(CELL_BYTES * pane.cells.len() + 1);
        minicbor::encode(&pane.cells, &mut cells).expect("a Vec takes everything");
        cells.shrink_to_fit();
        Closed { span: pane.span, cells }
    }
}

impl Closed {
    /// The window as it was. Bytes that a damaged snapshot brought are a window without readings.
    pub fn open(&self) -> Pane {
        Pane { span: self.span, cells: minicbor::decode(&self.cells).unwrap_or_default() }
    }

    /// The order in which windows close.
    pub fn order(&self) -> (Timestamp, Timestamp) {
        (self.span.end, self.span.start)
    }
}

impl Pane {
    /// An empty one.
    pub fn new(span: Window) -> Pane {
        Pane { span, cells: Vec::new() }
    }

    /// `[start, end)`.
    pub fn span(&self) -> Window {
        self.span
    }

    /// The order in which windows close.
    pub fn order(&self) -> (Timestamp, Timestamp) {
        (self.span.end, self.span.start)
    }

    /// By quantity.
    pub fn cells_mut(&mut self) -> &mut [Cell] {
        &mut self.cells
    }

    /// Adds readings, and returns how many there was no room for. `most`: how many quantities there is room for.
    pub fn add(&mut self, readings: &[Reading], most: usize) -> usize {
        if self.cells.is_empty() {
            self.cells.reserve_exact(readings.len().min(most));
        }
        let mut refused = 0;
        let mut next = 0;
        for reading in readings.iter().filter(|reading| reading.quality.flag != Flag::Missing) {
            match self.cell(&reading.quantity, next, most) {
                Some(index) => {
                    self.cells[index].add(reading.value, reading.quality);
                    next = index + 1;
                }
                None => refused += 1,
            }
        }
        refused
    }

    /// The index of a quantity's cell: likely `guess`, because devices repeat themselves.
    fn cell(&mut self, quantity: &Quantity, guess: usize, most: usize) -> Option<usize> {
        if self.cells.get(guess).is_some_and(|cell| cell.quantity == *quantity) {
            return Some(guess);
        }
        let found = self.cells.binary_search_by(|cell| cell.quantity.cmp(quantity));
        if let Err(index) = found {
            if self.cells.len() >= most {
                return None;
            }
            self.cells.insert(index, Cell::new(quantity.clone()));
        }
        Some(found.unwrap_or_else(|index| index))
    }
}

impl Cell {
    fn new(quantity: Quantity) -> Cell {
        let (min, max) = (f64::INFINITY, f64::NEG_INFINITY);
        Cell { quantity, emissions: 0, count: 0, good: 0, sum: ExactSum::default(), min, max }
    }

    fn add(&mut self, value: f64, quality: Quality) {
        self.count = self.count.saturating_add(1);
        if !quality.is_usable() || self.good == u32::MAX {
            return;
        }
        // Of 0 and −0 either could be the smallest, by order of arrival.
        let value = value + 0.0;
        self.good += 1;
        self.sum.add(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(text: &str) -> Vec<Reading> {
        let reading = |word: &str| {
            let (name, value) = word.split_once('=').unwrap();
            let flag = if value == "-" { Flag::Missing } else { Flag::Good };
            let value = value.parse().unwrap_or(0.0);
            Reading { quantity: Quantity::from_name(name), value, quality: Quality { flag, tests: 0 } }
        };
        text.split_whitespace().map(reading).collect()
    }

    fn pane() -> Pane {
        Pane::new(Window { start: Timestamp(0), end: Timestamp(60_000) })
    }

    /// In whatever order devices name their quantities, by quantity is how rows come out.
    #[test]
    fn cells_stand_by_quantity() {
        let check = |messages: &[&str]| {
            let mut pane = pane();
            messages.iter().for_each(|message| assert_eq!(pane.add(&readings(message), 9), 0));
            let cells = pane.cells_mut().iter();
            let shown: Vec<_> =
                cells.map(|cell| format!("{} {} {}", cell.quantity, cell.count, cell.max)).collect();
            assert_eq!(shown, ["pm2_5 2 5", "humidity 2 7", "radon 2 9", "xenon 2 11"], "{messages:?}");
        };
        check(&["pm2_5=4 humidity=6 radon=8 xenon=10", "pm2_5=5 humidity=7 radon=9 xenon=11"]);
        check(&["xenon=10 radon=8 humidity=6 pm2_5=4", "radon=9 pm2_5=5 xenon=11 humidity=7"]);
        check(&["humidity=7 humidity=6", "xenon=10 xenon=11 pm2_5=-", "pm2_5=5 pm2_5=4", "radon=8 radon=9"]);
    }

    #[test]
    fn there_is_room_for_so_many_quantities() {
        let mut pane = pane();
        assert_eq!(pane.add(&readings("a=1 b=1 c=1 d=1"), 3), 1);
        assert_eq!(pane.add(&readings("d=1 c=1 e=1"), 3), 2);
        assert_eq!(pane.cells_mut().len(), 3);
    }
}
