//! What a mirror writes to.

use records::{Batch, LogError, Topic, TopicPartition};
use std::collections::BTreeMap;

/// A note's name, and what it says; `None`: it is gone.
pub type Note = (String, Option<String>);

/// All that a mirror has noted.
pub type Notes = BTreeMap<String, String>;

/// Another deployment's log, for the one mirror of a city.
pub trait Target: Send {
    /// How many partitions it has of a topic.
    fn partitions(&self, topic: Topic) -> u32;

    /// Makes copies visible, and notes with them, or nothing. After an error nobody knows which, and a new target tells
    /// by its notes.
    fn commit(
        &mut self,
        copies: Vec<(TopicPartition, Batch)>,
        notes: Vec<Note>,
    ) -> impl Future<Output = Result<(), LogError>> + Send;
}
