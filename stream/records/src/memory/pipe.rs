//! The reader and writer of jobs.

use super::cursor::{Cursor, Seat};
use super::fault;
use super::state::State;
use crate::{Commit, Delivery, LogError, Pipe, Topic, TopicPartition};
use std::collections::VecDeque;
use std::sync::Arc;

/// See [`super::MemoryLog::pipe`].
pub struct MemoryPipe {
    cursor: Cursor,
    topic: Option<Topic>,
    /// [`Delivery::Assigned`] of each partition, until it was handed out.
    assigned: VecDeque<Delivery>,
}

impl MemoryPipe {
    pub(super) fn new(mut cursor: Cursor) -> MemoryPipe {
        let from = |seat: &Seat| seat.snapshot.as_ref().map_or(0, |snapshot| snapshot.offset);
        let seats = cursor.start(from);
        let topic = seats.first().map(|(place, _)| place.topic);
        let assigned = seats.into_iter().map(|(place, seat)| Delivery::Assigned {
            partition: place.partition,
            snapshot: seat.snapshot,
            committed: seat.committed,
        });
        MemoryPipe { topic, assigned: assigned.collect(), cursor }
    }

    fn place(&self, partition: u32) -> Result<TopicPartition, LogError> {
        self.topic.map(|topic| TopicPartition { topic, partition }).ok_or(LogError::Fenced)
    }

    /// Fails before the first change, or not at all.
    fn apply(&self, commit: Commit, state: &mut State) -> Result<(), LogError> {
        state.append(&commit.outputs).map_err(|error| LogError::Unavailable(error.into()))?;
        for (partition, offset) in commit.offsets {
            self.cursor.seat(state, self.place(partition)?)?.committed = offset;
        }
        for (partition, snapshot) in commit.snapshots {
            self.cursor.seat(state, self.place(partition)?)?.snapshot = Some(snapshot);
        }
        Ok(())
    }

    fn check(&self, commit: &Commit, state: &mut State) -> Result<(), LogError> {
        if self.cursor.is_fenced(state) {
            return Err(LogError::Fenced);
        }
        let offsets = commit.offsets.iter().map(|(partition, _)| *partition);
        let snapshots = commit.snapshots.iter().map(|(partition, _)| *partition);
        for partition in offsets.chain(snapshots) {
            self.cursor.seat(state, self.place(partition)?)?;
        }
        Ok(())
    }
}

impl Pipe for MemoryPipe {
    async fn poll(&mut self) -> Result<Option<Delivery>, LogError> {
        if let Some(assigned) = self.assigned.pop_front() {
            return Ok(Some(assigned));
        }
        Ok(self.cursor.poll().await?.map(Delivery::Records))
    }

    async fn commit(&mut self, commit: Commit) -> Result<(), LogError> {
        let shared = Arc::clone(&self.cursor.shared);
        shared.change(|state| {
            self.check(&commit, state)?;
            let fault = state.commits.next();
            fault::run(fault, || self.apply(commit, state))
        })
    }
}
