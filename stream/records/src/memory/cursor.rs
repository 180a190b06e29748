//! A reader's place in some partitions, and what is remembered of it.

use super::state::{Shared, State};
use crate::{Batch, Fetched, LogError, Name, Offset, Snapshot, Standing, TopicPartition};
use std::sync::Arc;

/// Who reads: consumers by group, pipes by job.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Reader {
    Group(Name),
    Job(Name),
}

/// What the log remembers of a reader in one partition.
#[derive(Clone, Default)]
pub(super) struct Seat {
    /// Who sits there now; an older owner is fenced.
    pub(super) owner: u64,
    pub(super) committed: Offset,
    pub(super) note: String,
    pub(super) snapshot: Option<Snapshot>,
}

/// Reads its partitions in turn, from wherever it stands in each.
pub(super) struct Cursor {
    pub(super) shared: Arc<Shared>,
    reader: Reader,
    owner: u64,
    places: Vec<Place>,
    /// Whose turn it is.
    turn: usize,
}

struct Place {
    partition: TopicPartition,
    position: Offset,
}

impl Cursor {
    /// Takes the seats, from whoever has them, and stands at the beginning of each partition.
    pub(super) fn claim(shared: &Arc<Shared>, reader: Reader, partitions: Vec<TopicPartition>) -> Cursor {
        let owner = shared.change(|state| {
            state.next_owner += 1;
            for partition in &partitions {
                state.seats.entry((reader.clone(), *partition)).or_default().owner = state.next_owner;
            }
            state.next_owner
        });
        let places = partitions.into_iter().map(|partition| Place { partition, position: 0 }).collect();
        Cursor { shared: Arc::clone(shared), reader, owner, places, turn: 0 }
    }

    /// Goes in each partition to where its seat says, and tells of the seats.
    pub(super) fn start(&mut self, from: impl Fn(&Seat) -> Offset) -> Vec<(TopicPartition, Seat)> {
        let state = self.shared.lock();
        let mut seats = Vec::new();
        for place in &mut self.places {
            let key = (self.reader.clone(), place.partition);
            let seat = state.seats.get(&key).cloned().unwrap_or_default();
            place.position = from(&seat);
            seats.push((place.partition, seat));
        }
        seats
    }

    pub(super) async fn poll(&mut self) -> Result<Option<Fetched>, LogError> {
        let shared = Arc::clone(&self.shared);
        shared.until(|state| self.look(state)).await
    }

    /// What a poll returns, if it need not wait. The position moves only here, together with the answer.
    fn look(&mut self, state: &State) -> Option<Result<Option<Fetched>, LogError>> {
        if self.is_fenced(state) {
            return Some(Err(LogError::Fenced));
        }
        match self.fetch(state) {
            Some(fetched) => Some(Ok(Some(fetched))),
            None => state.is_closed.then_some(Ok(None)),
        }
    }

    fn fetch(&mut self, state: &State) -> Option<Fetched> {
        let count = self.places.len();
        let mut turns = (self.turn..self.turn + count).map(|turn| turn % count);
        let (turn, fetched) = turns.find_map(|turn| Some((turn, self.places[turn].fetch(state)?)))?;
        self.places[turn].position = fetched.next();
        self.turn = (turn + 1) % count;
        Some(fetched)
    }

    pub(super) fn is_fenced(&self, state: &State) -> bool {
        self.places.iter().any(|place| {
            let seat = state.seats.get(&(self.reader.clone(), place.partition));
            seat.is_none_or(|seat| seat.owner != self.owner)
        })
    }

    /// How far a group has come in our partitions.
    pub(super) fn standings(&self, group: &str) -> Vec<Standing> {
        let state = self.shared.lock();
        let standing = |place: &Place| {
            let seat = state.seats.get(&(Reader::Group(group.into()), place.partition))?;
            Some(Standing { partition: place.partition, next: seat.committed, note: seat.note.clone() })
        };
        self.places.iter().filter_map(standing).collect()
    }

    /// The seat of one of our partitions; [`LogError::Fenced`] when it is not ours.
    pub(super) fn seat<'a>(
        &self,
        state: &'a mut State,
        partition: TopicPartition,
    ) -> Result<&'a mut Seat, LogError> {
        let seat = state.seats.get_mut(&(self.reader.clone(), partition));
        seat.filter(|seat| seat.owner == self.owner).ok_or(LogError::Fenced)
    }
}

impl Place {
    fn fetch(&self, state: &State) -> Option<Fetched> {
        let start = usize::try_from(self.position).ok()?;
        let records = state.records(self.partition)?.get(start..).filter(|records| !records.is_empty())?;
        let mut batch = Batch::new();
        for record in records.iter().take(state.batch_limit) {
            batch.append(record);
        }
        Some(Fetched { partition: self.partition, first: self.position, lost: 0, batch: Arc::new(batch) })
    }
}
