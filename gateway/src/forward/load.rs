//! What goes to the target in one append.

use records::{Batch, Entry, Offset, TopicPartition};
use std::collections::BTreeMap;
use std::ops::{Add, AddAssign};

/// A record on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parcel<'a> {
    /// The partition of the spool that it stands on.
    pub from: TopicPartition,
    /// And where.
    pub offset: Offset,
    /// The partition of the target that it goes to.
    pub to: TopicPartition,
    /// With its origin.
    pub entry: Entry<'a>,
}

/// Records for one append.
#[derive(Debug, Default)]
pub(super) struct Load {
    batches: BTreeMap<TopicPartition, Batch>,
    pub live: Freight,
    pub backlog: Freight,
    /// The oldest record from each partition of the spool.
    oldest: BTreeMap<TopicPartition, Offset>,
}

/// How much of it is of a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Freight {
    pub records: usize,
    pub bytes: usize,
}

impl Load {
    /// Takes a record of a device that has no backlog, or a short one.
    pub fn put_live(&mut self, parcel: Parcel<'_>) {
        self.live += Freight::of(&parcel.entry);
        self.put(parcel);
    }

    /// Takes a record of the backlog.
    pub fn put_backlog(&mut self, parcel: Parcel<'_>) {
        self.backlog += Freight::of(&parcel.entry);
        self.put(parcel);
    }

    fn put(&mut self, parcel: Parcel<'_>) {
        let oldest = self.oldest.entry(parcel.from).or_insert(parcel.offset);
        *oldest = parcel.offset.min(*oldest);
        self.batches.entry(parcel.to).or_default().push_entry(parcel.entry);
    }

    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    pub fn bytes(&self) -> usize {
        self.live.bytes + self.backlog.bytes
    }

    /// The oldest record from a partition of the spool.
    pub fn oldest(&self, from: TopicPartition) -> Option<Offset> {
        self.oldest.get(&from).copied()
    }

    /// The value of the first record for each partition of the target.
    pub fn firsts(&self) -> impl Iterator<Item = &[u8]> {
        self.batches.values().filter_map(|batch| batch.iter().next()).map(|(_, value)| value)
    }

    /// A copy for the target; ours stays for another attempt.
    pub fn batches(&self) -> Vec<(TopicPartition, Batch)> {
        self.batches.iter().map(|(to, batch)| (*to, batch.clone())).collect()
    }
}

impl Freight {
    pub fn of(entry: &Entry<'_>) -> Freight {
        Freight { records: 1, bytes: entry.len() }
    }
}

impl Add for Freight {
    type Output = Freight;

    fn add(self, other: Freight) -> Freight {
        Freight { records: self.records + other.records, bytes: self.bytes + other.bytes }
    }
}

impl AddAssign for Freight {
    fn add_assign(&mut self, other: Freight) {
        *self = *self + other;
    }
}
