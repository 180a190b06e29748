//! Follows partitions: from memory where it is close, from the file where it is behind, each in its turn.

use std::collections::VecDeque;
use std::sync::Arc;

use records::{Fetched, LogError, Offset};
use rusqlite::Connection;
use tokio::task::JoinHandle;

use crate::error::Fault;
use crate::partition::Ahead;
use crate::row::{self, Row};
use crate::seat::{ReaderName, Seat};
use crate::shared::{Handle, Shared};
use crate::{range, schema};

/// How much is read from the file at once.
const READ_BYTES: usize = 1 << 20;

/// A reader's place in each of its partitions.
pub(crate) struct Cursor {
    pub handle: Arc<Handle>,
    pub seat: Arc<Seat>,
    spots: Vec<Spot>,
    turn: usize,
    /// At most one read is under way; it outlives a dropped `poll`.
    reading: Option<JoinHandle<Reading>>,
    conn: Option<Connection>,
}

struct Spot {
    index: usize,
    position: Offset,
    /// Read from the file and not handed out.
    ahead: VecDeque<Row>,
}

/// A read that is done.
struct Reading {
    spot: usize,
    conn: Option<Connection>,
    rows: Result<Vec<Row>, Fault>,
}

impl Cursor {
    /// Takes its place among the readers.
    pub fn new(handle: Arc<Handle>, name: ReaderName, partitions: Vec<usize>) -> Cursor {
        let spot = |index: &usize| Spot { index: *index, position: 0, ahead: VecDeque::new() };
        let spots = partitions.iter().map(spot).collect();
        let seat = Arc::new(Seat::new(name, partitions));
        let shared = &handle.shared;
        shared.queue.reader_came();
        shared.roster.sit(&seat);
        for index in &seat.partitions {
            shared.partitions[*index].seat(&seat);
        }
        Cursor { handle, seat, spots, turn: 0, reading: None, conn: None }
    }

    /// Goes on at these offsets, one for each partition.
    pub fn go_to(&mut self, positions: &[Offset]) {
        self.reading = None;
        for (spot, position) in self.spots.iter_mut().zip(positions) {
            spot.position = *position;
            spot.ahead.clear();
        }
    }

    /// The next records of any partition; `None` when the log is closed and everything was handed out.
    /// Cancel-safe.
    pub async fn poll(&mut self) -> Result<Option<Fetched>, LogError> {
        loop {
            if self.seat.is_fenced() {
                return Err(LogError::Fenced);
            }
            // Asked before looking: what is committed until then is seen by the look.
            let is_drained = self.shared().is_drained();
            if let Some(fetched) = self.take() {
                return Ok(Some(fetched));
            }
            match &mut self.reading {
                Some(reading) => {
                    tokio::select! {
                        done = reading => {
                            self.reading = None;
                            self.arrive(done.map_err(|error| Fault::Unavailable(error.to_string()))?)?;
                        }
                        () = self.seat.woken() => {}
                    }
                }
                None if is_drained => return Ok(None),
                None => self.seat.woken().await,
            }
        }
    }

    /// What can be handed out at once. Begins to read from the file when a partition needs it.
    fn take(&mut self) -> Option<Fetched> {
        let count = self.spots.len();
        for step in 0..count {
            let spot = (self.turn + step) % count;
            if let Some(row) = self.take_from(spot) {
                self.turn = (spot + 1) % count;
                let lost = row.first.saturating_sub(self.spots[spot].position);
                self.spots[spot].position = row.next();
                let partition = self.shared().partitions[self.spots[spot].index].at;
                return Some(Fetched { partition, first: row.first, lost, batch: row.batch });
            }
        }
        None
    }

    fn take_from(&mut self, at: usize) -> Option<Row> {
        let spot = &mut self.spots[at];
        if !spot.ahead.is_empty() {
            let (used, row) = row::join(spot.ahead.make_contiguous(), spot.position)?;
            spot.ahead.drain(..used);
            return Some(row);
        }
        match self.handle.shared.partitions[spot.index].ahead(spot.position) {
            Ahead::Nothing => None,
            Ahead::Rows(rows) => row::join(&rows, spot.position).map(|(_, row)| row),
            Ahead::Stored => {
                self.read(at);
                None
            }
        }
    }

    fn read(&mut self, at: usize) {
        if self.reading.is_some() {
            return;
        }
        let spot = &self.spots[at];
        let partition = &self.handle.shared.partitions[spot.index];
        let (place, position, next) = (partition.at, spot.position, partition.extent().next);
        let (conn, path) = (self.conn.take(), self.handle.shared.path.clone());
        self.reading = Some(tokio::task::spawn_blocking(move || {
            let open = || schema::open_reader(&path).map_err(|error| Fault::Unavailable(error.to_string()));
            let conn = match conn.map_or_else(open, Ok) {
                Ok(conn) => conn,
                Err(fault) => return Reading { spot: at, conn: None, rows: Err(fault) },
            };
            let rows = range::read(&conn, place, position, next, READ_BYTES);
            // After an error a fresh connection has a better chance.
            Reading { spot: at, conn: rows.is_ok().then_some(conn), rows }
        }));
    }

    fn arrive(&mut self, reading: Reading) -> Result<(), Fault> {
        self.conn = reading.conn;
        self.spots[reading.spot].ahead = reading.rows?.into();
        Ok(())
    }

    fn shared(&self) -> &Shared {
        &self.handle.shared
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        self.handle.shared.queue.reader_went();
    }
}
