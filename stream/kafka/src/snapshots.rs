//! The topic where jobs keep their state: the newest of each job and partition, in pieces.
//!
//! The state of input partition *n* stands in partition *n* of the topic (modulo its count). A piece's key is
//! `job/partition/piece`, so that compaction keeps the pieces of the newest state; its value begins with the state's
//! offset, the piece's number and their count, each `u64` little endian.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use records::{Offset, Snapshot};

use crate::TokenSource;
use crate::bystander::{Bystander, Sight};
use crate::names::Names;

/// A piece is at most so long: well below what a broker takes.
const PIECE_BYTES: usize = 4 << 20;
/// How long all may take; a state that is known to be there may wait for somebody's open transaction.
const PATIENCE: Duration = Duration::from_secs(60);

/// A record of the topic.
pub(crate) struct Piece {
    pub key: Vec<u8>,
    pub value: Vec<u8>,
}

/// The pieces of a state, in order; at least one.
pub(crate) fn pieces(job: &str, partition: u32, snapshot: &Snapshot) -> Vec<Piece> {
    let count = snapshot.bytes.len().div_ceil(PIECE_BYTES).max(1);
    let piece = |number: usize| {
        let from = number * PIECE_BYTES;
        let bytes = &snapshot.bytes[from..snapshot.bytes.len().min(from + PIECE_BYTES)];
        let mut value = Vec::with_capacity(24 + bytes.len());
        for head in [snapshot.offset, number as u64, count as u64] {
            value.extend_from_slice(&head.to_le_bytes());
        }
        value.extend_from_slice(bytes);
        Piece { key: format!("{job}/{partition}/{number}").into_bytes(), value }
    };
    (0..count).map(piece).collect()
}

/// Puts pieces together as they come.
#[derive(Default)]
struct Joining {
    /// Where the first piece of `snapshot` stands.
    at: Offset,
    snapshot: Option<Snapshot>,
    /// The number of the piece that must come next, and how many there are.
    next: u64,
    count: u64,
    newest: Option<(Offset, Snapshot)>,
}

impl Joining {
    /// A piece that does not follow is what compaction has left of an older state.
    fn push(&mut self, at: Offset, value: &[u8]) {
        let Some((head, bytes)) = value.split_first_chunk::<24>() else { return };
        let [offset, number, count] = [0, 8, 16].map(|from| {
            u64::from_le_bytes(head[from..from + 8].try_into().expect("eight of twenty-four bytes"))
        });
        if number == 0 {
            self.at = at;
            self.snapshot = Some(Snapshot { offset, bytes: Vec::new() });
            (self.next, self.count) = (0, count);
        }
        let Some(snapshot) = self.snapshot.as_mut() else { return };
        if (snapshot.offset, self.next, self.count) != (offset, number, count) {
            return;
        }
        snapshot.bytes.extend_from_slice(bytes);
        self.next += 1;
        if self.next == count {
            self.newest = self.snapshot.take().map(|snapshot| (self.at, snapshot));
        }
    }
}

/// Reads states back.
pub(crate) struct Snapshots {
    pub config: ClientConfig,
    pub names: Arc<Names>,
    pub tokens: Option<TokenSource>,
    /// How many partitions the topic has.
    pub partitions: u32,
}

impl Snapshots {
    /// The newest state of each of these partitions, with the offset where it stands. `noted`: where the last commit
    /// says that it stands; what is before is not looked at.
    pub fn newest(
        &self,
        job: &str,
        partitions: &[(u32, Option<Offset>)],
    ) -> Result<Vec<Option<(Offset, Snapshot)>>, KafkaError> {
        let bystander = Bystander::new(&self.config, self.tokens.clone())?;
        partitions
            .iter()
            .map(|(partition, noted)| self.newest_of(&bystander, job, *partition, *noted))
            .collect()
    }

    fn newest_of(
        &self,
        bystander: &Bystander,
        job: &str,
        partition: u32,
        noted: Option<Offset>,
    ) -> Result<Option<(Offset, Snapshot)>, KafkaError> {
        bystander.go_to(self.names.snapshots(), partition % self.partitions, noted)?;
        let key = format!("{job}/{partition}/");
        let (mut joining, since) = (Joining::default(), Instant::now());
        while since.elapsed() < PATIENCE {
            match bystander.look(PATIENCE)? {
                Sight::Record(message) => {
                    if message.key().is_some_and(|found| found.starts_with(key.as_bytes())) {
                        let at = message.offset().try_into().unwrap_or(0);
                        joining.push(at, message.payload().unwrap_or_default());
                    }
                }
                // What was noted is there, though somebody's open transaction may hide it for a while.
                Sight::End if noted.is_none() || joining.newest.is_some() => return Ok(joining.newest),
                Sight::End => {}
            }
        }
        Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(offset: Offset, len: usize) -> Snapshot {
        Snapshot { offset, bytes: (0..len).map(|n| (n % 251) as u8).collect() }
    }

    #[test]
    fn pieces_make_the_state_again() {
        for len in [0, 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES + 7] {
            let mut joining = Joining::default();
            for (at, piece) in (40..).zip(pieces("device", 3, &state(9, len))) {
                joining.push(at, &piece.value);
            }
            assert!(joining.newest == Some((40, state(9, len))), "{len}");
        }
    }

    /// Of the older, longer state only the last piece is left, and it stands before, between or behind nothing.
    #[test]
    fn what_compaction_leaves_of_older_states_is_passed_over() {
        let older = pieces("device", 3, &state(5, 3 * PIECE_BYTES));
        let newer = pieces("device", 3, &state(9, 2 * PIECE_BYTES));
        let mut joining = Joining::default();
        for (at, piece) in (0..).zip([&older[1], &older[2], &newer[0], &newer[1]]) {
            joining.push(at, &piece.value);
        }
        assert!(joining.newest == Some((2, state(9, 2 * PIECE_BYTES))));
        joining.push(4, &older[2].value);
        joining.push(5, b"short");
        assert!(joining.newest.is_some_and(|(at, _)| at == 2));
    }
}
