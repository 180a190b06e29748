//! Devices that have said little since they fell behind. What that was is in memory and goes as soon as there is room,
//! so that whoever speaks once a minute does not wait for the backlog of those who never stop.

use super::load::Freight;
use records::{Batch, Entry, Offset, TopicPartition};
use std::collections::VecDeque;

/// A backlog is short up to so many records,
const RECORDS: usize = 32;
/// of so many bytes together,
const RECORD_BYTES: usize = 64 << 10;
/// and while all short ones take no more than this.
const BYTES: usize = 4 << 20;
/// What a record takes beside its bytes: its share of the entries about its device.
const OVERHEAD: usize = 128;

/// What a device has said since it fell behind, all of it.
#[derive(Debug, Default)]
pub(super) struct Short {
    offsets: Vec<Offset>,
    records: Batch,
    bytes: usize,
}

/// All short backlogs: how much they take, and who may go next.
#[derive(Debug)]
pub(super) struct Shorts {
    largest_bytes: usize,
    bytes: usize,
    queue: VecDeque<(TopicPartition, Box<[u8]>)>,
}

impl Short {
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn freight(&self) -> Freight {
        Freight { records: self.offsets.len(), bytes: self.bytes }
    }

    pub fn entries(&self) -> impl Iterator<Item = (Offset, Entry<'_>)> {
        self.offsets.iter().copied().zip(self.records.entries())
    }

    fn takes(&self) -> usize {
        self.bytes + self.offsets.len() * OVERHEAD
    }
}

impl Shorts {
    /// `append_bytes`: how much fits into one append.
    pub fn new(append_bytes: usize) -> Shorts {
        Shorts { largest_bytes: append_bytes.min(RECORD_BYTES), bytes: 0, queue: VecDeque::new() }
    }

    /// What all of them take, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// A device falls behind with this; `None`: there is no room to keep it.
    pub fn begin(&mut self, from: TopicPartition, offset: Offset, entry: Entry<'_>) -> Option<Short> {
        let mut short = Some(Short::default());
        self.keep(&mut short, offset, entry);
        if short.is_some() {
            self.queue.push_back((from, entry.key.into()));
        }
        short
    }

    /// The device says more. A backlog that is too long is kept no longer, and is what is returned.
    pub fn keep(&mut self, short: &mut Option<Short>, offset: Offset, entry: Entry<'_>) -> Option<Short> {
        let kept = short.as_mut()?;
        let has_room = kept.offsets.len() < RECORDS
            && kept.bytes + entry.len() <= self.largest_bytes
            && self.bytes + entry.len() + OVERHEAD <= BYTES;
        if has_room {
            kept.offsets.push(offset);
            kept.records.push_entry(entry);
            kept.bytes += entry.len();
            self.bytes += entry.len() + OVERHEAD;
            return None;
        }
        let given_up = short.take()?;
        self.release(&given_up);
        Some(given_up)
    }

    /// It is kept no longer.
    pub fn release(&mut self, short: &Short) {
        self.bytes -= short.takes();
    }

    /// Whose turn it is, or was: whoever has given up to be short since is still named.
    pub fn first(&self) -> Option<(TopicPartition, &[u8])> {
        self.queue.front().map(|(from, key)| (*from, &key[..]))
    }

    pub fn pop(&mut self) {
        self.queue.pop_front();
    }
}
