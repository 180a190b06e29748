//! One partition in memory: its extent, its newest rows, and who waits for more.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use records::{Offset, TopicPartition};

use crate::row::{ROW_RECORDS, Row};
use crate::seat::Seat;

/// What is stored of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The oldest record.
    pub first: Offset,
    /// Where the next record will stand.
    pub next: Offset,
    /// All bytes of records that were ever removed.
    pub removed_bytes: u64,
    /// All bytes of records that were ever appended.
    pub total_bytes: u64,
}

impl Extent {
    pub fn bytes(self) -> u64 {
        self.total_bytes.saturating_sub(self.removed_bytes)
    }
}

/// What stands ahead of a reader.
#[derive(Debug)]
pub(crate) enum Ahead {
    /// It has everything.
    Nothing,
    /// These rows; the first one holds its position.
    Rows(Vec<Row>),
    /// More than is in memory: read the file.
    Stored,
}

/// A partition.
#[derive(Debug)]
pub(crate) struct Partition {
    pub at: TopicPartition,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    extent: Extent,
    tail: VecDeque<Row>,
    tail_bytes: usize,
    seats: Vec<Weak<Seat>>,
}

impl Partition {
    pub fn new(at: TopicPartition, extent: Extent) -> Partition {
        let state = State { extent, tail: VecDeque::new(), tail_bytes: 0, seats: Vec::new() };
        Partition { at, state: Mutex::new(state) }
    }

    pub fn extent(&self) -> Extent {
        self.state().extent
    }

    /// Shows committed rows to readers, and keeps about `tail_limit` bytes of the newest.
    pub fn publish(&self, rows: Vec<Row>, tail_limit: usize) {
        let mut state = self.state();
        for row in rows {
            state.extent.next = row.next();
            state.extent.total_bytes += row.bytes() as u64;
            state.tail_bytes += row.bytes();
            state.tail.push_back(row);
        }
        state.trim(tail_limit);
        state.wake();
    }

    /// After rows were removed from the file.
    pub fn removed(&self, first: Offset, bytes: u64) {
        let mut state = self.state();
        state.extent.first = first;
        state.extent.removed_bytes += bytes;
    }

    /// What the file says after it was opened anew. An append that failed may be there all the same.
    pub fn reload(&self, extent: Extent) {
        let mut state = self.state();
        if extent.next != state.extent.next {
            state.tail.clear();
            state.tail_bytes = 0;
        }
        state.extent = extent;
        state.wake();
    }

    pub fn ahead(&self, position: Offset) -> Ahead {
        let state = self.state();
        if position >= state.extent.next {
            return Ahead::Nothing;
        }
        match state.tail.partition_point(|row| row.first <= position).checked_sub(1) {
            Some(from) => Ahead::Rows(few(state.tail.iter().skip(from))),
            None => Ahead::Stored,
        }
    }

    /// From now on `seat` is woken when there is more.
    pub fn seat(&self, seat: &Arc<Seat>) {
        self.state().seats.push(Arc::downgrade(seat));
    }

    /// Wakes all readers.
    pub fn wake(&self) {
        self.state().wake();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn trim(&mut self, limit: usize) {
        while self.tail_bytes > limit && self.tail.len() > 1 {
            if let Some(row) = self.tail.pop_front() {
                self.tail_bytes -= row.bytes();
            }
        }
    }

    fn wake(&mut self) {
        self.seats.retain(|seat| {
            seat.upgrade().is_some_and(|seat| {
                !seat.is_fenced() && {
                    seat.wake();
                    true
                }
            })
        });
    }
}

/// Enough rows to join, not all of a long tail of small ones.
fn few<'a>(rows: impl Iterator<Item = &'a Row>) -> Vec<Row> {
    let mut records = 0;
    let taken = rows.take_while(|row| {
        let is_wanted = records < ROW_RECORDS;
        records += row.batch.len();
        is_wanted
    });
    taken.cloned().collect()
}
