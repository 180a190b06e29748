//! What a log holds and who reads it, for operators.

use records::{Offset, TopicPartition};

use crate::seat::ReaderName;
use crate::shared::Shared;

/// A log at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Every partition, by topic and number.
    pub partitions: Vec<PartitionStats>,
    /// Bytes that wait for the writer.
    pub queue_bytes: u64,
}

/// A partition at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionStats {
    /// Which.
    pub partition: TopicPartition,
    /// Offset of the oldest record.
    pub first: Offset,
    /// Offset that the next record will have.
    pub next: Offset,
    /// Bytes of its records.
    pub bytes: u64,
    /// Known readers by name, whether they run or not.
    pub readers: Vec<ReaderStats>,
}

/// A reader of a partition at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderStats {
    /// The consumer group or the job.
    pub name: ReaderName,
    /// The first record whose effects it has not committed.
    pub next: Offset,
    /// How many records it has yet to commit.
    pub lag: u64,
}

impl Stats {
    pub(crate) fn of(shared: &Shared) -> Stats {
        let partitions = (0..shared.partitions.len()).map(|index| partition(shared, index)).collect();
        Stats { partitions, queue_bytes: shared.queue.bytes() as u64 }
    }
}

fn partition(shared: &Shared, index: usize) -> PartitionStats {
    // Readers first: what they have committed can't be more than what is there a moment later.
    let readers = shared.roster.of(index);
    let extent = shared.partitions[index].extent();
    let readers = readers.into_iter().map(|(name, position)| ReaderStats {
        name,
        next: position.next,
        lag: extent.next.saturating_sub(position.next),
    });
    PartitionStats {
        partition: shared.partitions[index].at,
        first: extent.first,
        next: extent.next,
        bytes: extent.bytes(),
        readers: readers.collect(),
    }
}
