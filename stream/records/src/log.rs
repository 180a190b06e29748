//! The log: three traits and what passes through them.
//!
//! A partition is an ordered sequence of (key, value) pairs; an [`Offset`] counts them from 0. What a commit
//! stores is always the offset of the *next* record to read.

use crate::Topic;
use crate::batch::{Batch, Entry};
use std::error::Error;
use std::fmt;
use std::future::Future;

/// Number of a record within its partition.
pub type Offset = u64;

/// One partition of one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic.
    pub topic: Topic,
    /// From 0.
    pub partition: u32,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// Appends, durably.
pub trait Producer: Clone + Send + Sync + 'static {
    /// How many partitions a topic has. Fixed for the life of a log.
    fn partitions(&self, topic: Topic) -> u32;

    /// Appends every batch to its partition. `Ok` means durable, and gives the offset of each batch's first
    /// record, in the order of `batches` (of a batch of nothing any offset). On an error nothing may be acknowledged:
    /// the records may or may not be there, and appending them again is right.
    ///
    /// Appends of one caller that are awaited one after the other stand in that order. A full or failing log makes
    /// this wait or fail; it never drops. Dropping the future does not take the append back.
    fn append(
        &self,
        batches: Vec<(TopicPartition, Batch)>,
    ) -> impl Future<Output = Result<Vec<Offset>, AppendError>> + Send;
}

/// Why an append did not happen.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// There is no room now. Stop reading from sockets, try again later.
    #[error("the log is full: {0}")]
    Full(String),
    /// It failed, and may work again. Stop reading from sockets, try again later.
    #[error("the log is unavailable")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// It will not take these records until somebody has changed its settings. Nothing of them may be acknowledged.
    /// End, so that somebody notices.
    #[error("the log refuses this, however often it is offered")]
    Refused(#[source] Box<dyn Error + Send + Sync>),
    /// The log was closed. End.
    #[error("the log is closed")]
    Closed,
}

/// Why reading or committing failed. The stage that meets it stops and is started again from its last commit.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The log can't be read or written.
    #[error("the log is unavailable")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// A commit will not be taken until somebody has changed the log's settings. End, so that somebody notices.
    #[error("the log refuses this, however often it is offered")]
    Refused(#[source] Box<dyn Error + Send + Sync>),
    /// What is stored is not what was written: named, and never skipped in silence.
    #[error("{partition} is damaged at offset {offset}: {detail}")]
    Damaged {
        /// Where.
        partition: TopicPartition,
        /// At which record.
        offset: Offset,
        /// What was found.
        detail: String,
    },
    /// Somebody else has taken over this reader's place.
    #[error("fenced: another reader has taken over")]
    Fenced,
}

/// Some records of one partition, in order and without holes.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Whence.
    pub partition: TopicPartition,
    /// Offset of the first record in `batch`. Records that lie between the reader's position and it are `lost`; other
    /// offsets there never held a record that a reader may see (on Kafka, marks of transactions take offsets).
    pub first: Offset,
    /// How many records before `first` retention removed before this reader had read them.
    pub lost: u64,
    /// The records; never empty.
    pub batch: std::sync::Arc<Batch>,
}

impl Fetched {
    /// The offset behind the last record.
    pub fn next(&self) -> Offset {
        self.first + self.batch.len() as Offset
    }

    /// The records with their offsets.
    pub fn records(&self) -> impl Iterator<Item = (Offset, &[u8], &[u8])> {
        self.batch.iter().zip(self.first..).map(|((key, value), offset)| (offset, key, value))
    }

    /// The records with their offsets and origins.
    pub fn entries(&self) -> impl Iterator<Item = (Offset, Entry<'_>)> {
        (self.first..).zip(self.batch.entries())
    }
}

/// Reads at least once, for sinks.
pub trait Consumer: Send {
    /// Waits for records. `None`: no more will come (the log is closing); a commit of what was read still works.
    /// Cancel-safe: a dropped call loses nothing.
    fn poll(&mut self) -> impl Future<Output = Result<Option<Fetched>, LogError>> + Send;

    /// Remembers, durably, where to go on: the offset of the next record to read, per partition. No note is left
    /// there.
    fn commit(
        &mut self,
        offsets: &[(TopicPartition, Offset)],
    ) -> impl Future<Output = Result<(), LogError>> + Send {
        let bare = |(partition, next): &(TopicPartition, Offset)| Standing {
            partition: *partition,
            next: *next,
            note: String::new(),
        };
        let standings: Vec<Standing> = offsets.iter().map(bare).collect();
        async move { self.commit_noted(&standings).await }
    }

    /// The same, with a note beside each offset for whoever reads the partition next; both are remembered together
    /// or not at all.
    fn commit_noted(&mut self, standings: &[Standing]) -> impl Future<Output = Result<(), LogError>> + Send;

    /// Where `group`, this reader's own or another, stands in the partitions of this reader's topics, whoever reads
    /// them. Partitions in which it has committed nothing may be left out.
    fn standings(&mut self, group: &str) -> impl Future<Output = Result<Vec<Standing>, LogError>> + Send;
}

/// A note is at most so long: what Kafka's brokers take (`offset.metadata.max.bytes`).
pub const MOST_NOTE_BYTES: usize = 4096;

/// How far a consumer group has come in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The partition.
    pub partition: TopicPartition,
    /// The offset of the next record to read.
    pub next: Offset,
    /// What was noted beside it, at most [`MOST_NOTE_BYTES`]; empty when nothing was.
    pub note: String,
}

/// Reads and writes exactly once, for the stream stage.
pub trait Pipe: Send {
    /// Waits for the next delivery. `None`: no more will come; a commit of what was read still works. Cancel-safe: a
    /// dropped call loses nothing.
    fn poll(&mut self) -> impl Future<Output = Result<Option<Delivery>, LogError>> + Send;

    /// Makes outputs, offsets and snapshots visible together or not at all. When it returns an error, the job must
    /// be built again from [`Delivery::Assigned`].
    fn commit(&mut self, commit: Commit) -> impl Future<Output = Result<(), LogError>> + Send;
}

/// What a [`Pipe`] hands out.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// From now on records of this input partition come, beginning at the snapshot's offset (at the oldest record
    /// when there is none). Outputs of records below `committed` are out already: run these in silence.
    Assigned {
        /// The input partition.
        partition: u32,
        /// The newest snapshot.
        snapshot: Option<Snapshot>,
        /// The offset of the first record whose outputs are not out.
        committed: Offset,
    },
    /// No more records of this partition come. A commit before the next poll is the last one of it, and others begin
    /// where that ends; then its state can go.
    Revoked {
        /// The input partition.
        partition: u32,
    },
    /// Records of an assigned partition.
    Records(Fetched),
}

/// The state of a job for one input partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The state holds the effect of all records below this offset.
    pub offset: Offset,
    /// The job's own encoding.
    pub bytes: Vec<u8>,
}

/// What a [`Pipe`] makes visible at once.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// Records to append.
    pub outputs: Vec<(TopicPartition, Batch)>,
    /// Per input partition, the offset of the next record to read.
    pub offsets: Vec<(u32, Offset)>,
    /// Per input partition, its new snapshot.
    pub snapshots: Vec<(u32, Snapshot)>,
}
