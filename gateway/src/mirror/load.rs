//! What becomes visible at the target at once.

use super::position;
use super::run::known_at;
use super::target::Note;
use records::{Batch, Entry, Offset, Timestamp, Topic, TopicPartition};
use std::collections::BTreeMap;

/// Copies, and how far the source was read for them.
#[derive(Debug, Default)]
pub(super) struct Load {
    batches: BTreeMap<TopicPartition, Batch>,
    /// Per partition of the source, the next record.
    pub positions: BTreeMap<TopicPartition, Offset>,
    pub bytes: usize,
    /// It must not wait.
    pub is_urgent: bool,
}

impl Load {
    pub fn put(&mut self, to: TopicPartition, entry: Entry<'_>) {
        self.bytes += entry.len();
        self.batches.entry(to).or_default().push_entry(entry);
    }

    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// How many records and bytes of each topic.
    pub fn sizes(&self) -> Vec<(Topic, usize, usize)> {
        self.batches.iter().map(|(to, batch)| (to.topic, batch.len(), batch.as_bytes().len())).collect()
    }

    /// Of each topic, when the oldest first record of a partition came to be known.
    pub fn oldest(&self) -> BTreeMap<Topic, Timestamp> {
        let mut oldest = BTreeMap::new();
        for (to, batch) in &self.batches {
            if let Some(at) = batch.iter().next().and_then(|(_, value)| known_at(value)) {
                let oldest = oldest.entry(to.topic).or_insert(at);
                *oldest = at.min(*oldest);
            }
        }
        oldest
    }

    /// The copies, taken out, and the notes of how far the source was read.
    pub fn take(&mut self, log: &str) -> (Vec<(TopicPartition, Batch)>, Vec<Note>) {
        let copies = std::mem::take(&mut self.batches).into_iter().collect();
        let notes = self.positions.iter().map(|(at, next)| position::note(log, *at, *next)).collect();
        (copies, notes)
    }
}
