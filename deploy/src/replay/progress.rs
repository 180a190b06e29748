//! What was read of history: how much, from where, and how far it came.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use records::{Fetched, Offset, Timestamp};

/// Counted while the workers read.
#[derive(Debug, Default)]
pub struct Progress(Mutex<BTreeMap<u32, Read>>);

/// What was read of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// Offset of the first record.
    pub first: Offset,
    /// When it came; `None` while no batch has told a time.
    pub since: Option<Timestamp>,
    /// Records.
    pub records: u64,
    /// Records that retention removed while others were read.
    pub lost: u64,
}

impl Progress {
    /// A batch that begins at `time` is read; [`Timestamp::MIN`] when it tells none.
    pub fn note(&self, fetched: &Fetched, time: Timestamp) {
        let mut partitions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let empty = Read { first: fetched.first, since: None, records: 0, lost: 0 };
        let read = partitions.entry(fetched.partition.partition).or_insert(empty);
        read.since = read.since.or((time > Timestamp::MIN).then_some(time));
        read.records += fetched.batch.len() as u64;
        read.lost += fetched.lost;
    }

    /// By partition of `telemetry`.
    pub fn read(&self) -> BTreeMap<u32, Read> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
