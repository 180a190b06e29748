//! All there is, behind one mutex: whatever happens in one critical section is visible at once.

use super::cursor::Seat;
use super::fault::Faults;
use crate::{AppendError, Batch, LogError, Offset, Topic, TopicPartition};
use rustc_hash::FxHashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The records of a partition, each a batch of one; the index is the offset.
pub(super) type Records = Vec<Batch>;

pub(super) struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

pub(super) struct State {
    topics: Vec<Vec<Records>>,
    pub(super) seats: FxHashMap<(super::Reader, TopicPartition), Seat>,
    pub(super) next_owner: u64,
    pub(super) is_closed: bool,
    pub(super) is_held: bool,
    pub(super) batch_limit: usize,
    pub(super) appends: Faults<AppendError>,
    pub(super) commits: Faults<LogError>,
}

impl Shared {
    pub(super) fn new(partitions: impl Fn(Topic) -> u32) -> Shared {
        let topic = |topic| vec![Records::new(); partitions(topic).max(1) as usize];
        let state = State {
            topics: Topic::ALL.into_iter().map(topic).collect(),
            seats: FxHashMap::default(),
            next_owner: 0,
            is_closed: false,
            is_held: false,
            batch_limit: 1000,
            appends: Faults::default(),
            commits: Faults::default(),
        };
        Shared { state: Mutex::new(state), changed: Notify::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and wakes all who wait for a change.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_waiters();
        result
    }

    /// Waits until the state has an answer.
    pub(super) async fn until<T>(&self, mut answer: impl FnMut(&State) -> Option<T>) -> T {
        loop {
            // Made before the look, so that no change between look and wait is missed.
            let changed = self.changed.notified();
            let found = answer(&self.lock());
            match found {
                Some(found) => return found,
                None => changed.await,
            }
        }
    }
}

impl State {
    pub(super) fn partitions(&self, topic: Topic) -> &[Records] {
        &self.topics[topic as usize]
    }

    pub(super) fn records(&self, place: TopicPartition) -> Option<&Records> {
        self.partitions(place.topic).get(place.partition as usize)
    }

    /// A reader that is not known stands at the end of each partition.
    pub(super) fn introduce(&mut self, reader: &super::Reader, topics: &[Topic]) {
        for topic in topics {
            for (partition, records) in (0..).zip(&self.topics[*topic as usize]) {
                let place = TopicPartition { topic: *topic, partition };
                let committed = records.len() as Offset;
                let seat = self.seats.entry((reader.clone(), place));
                seat.or_insert_with(|| Seat { committed, ..Seat::default() });
            }
        }
    }

    /// Appends all or, when a partition does not exist, nothing.
    pub(super) fn append(&mut self, batches: &[(TopicPartition, Batch)]) -> Result<Vec<Offset>, String> {
        if let Some((place, _)) = batches.iter().find(|(place, _)| self.records(*place).is_none()) {
            return Err(format!("there is no partition {place}"));
        }
        Ok(batches.iter().map(|(place, batch)| self.append_one(*place, batch)).collect())
    }

    fn append_one(&mut self, place: TopicPartition, batch: &Batch) -> Offset {
        let records = &mut self.topics[place.topic as usize][place.partition as usize];
        let first = records.len() as Offset;
        records.extend(batch.entries().map(|entry| Batch::from_iter([entry])));
        first
    }
}
