//! Which record may go when: two lanes, and never a device's newer record before its older one.
//!
//! Every record of the spool is looked at twice, by a reader for each lane. The live reader never waits: a record goes
//! into the load that is being gathered when there is room and its device has no backlog; else it is left, and its
//! device is *behind* from there on. The backlog's reader follows at its own pace, takes what was left, and passes
//! over the rest. When the last record that a device left is on the target, the device is live again.

use super::load::{Load, Parcel};
use records::{Entry, Fetched, Offset, Origin, TopicPartition, partition_of};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// All partitions of the spool.
#[derive(Debug)]
pub(super) struct Lanes {
    source: Source,
    lanes: BTreeMap<TopicPartition, Lane>,
}

/// Which spool it is.
#[derive(Debug)]
struct Source {
    gateway: String,
    made: u64,
}

/// One partition of the spool.
#[derive(Debug)]
struct Lane {
    /// The next record that the live reader has not looked at.
    read: Offset,
    /// The next record that the backlog's reader has not looked at.
    passed: Offset,
    /// Devices with backlog.
    behind: FxHashMap<Box<[u8]>, Stretch>,
}

/// All records of a device from `from` to `to` are backlog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    from: Offset,
    to: Offset,
}

/// How much a lane may put into a load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub records: usize,
    pub bytes: usize,
}

/// Records that the backlog's reader was given and has not passed.
#[derive(Debug)]
pub(super) struct Held {
    fetched: Fetched,
    /// How many of them it has passed.
    done: usize,
}

impl Lanes {
    pub fn new(gateway: String, made: u64) -> Lanes {
        Lanes { source: Source { gateway, made }, lanes: BTreeMap::new() }
    }

    /// The live reader was given these. Says how many records and bytes were left to the backlog.
    pub fn arrive(
        &mut self,
        fetched: &Fetched,
        partitions: u32,
        live_bytes: usize,
        load: &mut Load,
    ) -> (usize, usize) {
        let from = fetched.partition;
        let lane = self.lanes.entry(from).or_insert_with(|| Lane::beginning_at(fetched.first));
        let (mut records, mut bytes) = (0, 0);
        for (offset, entry) in fetched.entries() {
            // Read again after a restart.
            if offset < lane.read.max(lane.passed) {
                continue;
            }
            let entry = Entry { origin: Some(self.source.origin(offset)), ..entry };
            let has_room = load.live.records == 0 || load.live.bytes + entry.len() <= live_bytes;
            if lane.leave(entry.key, offset, has_room) {
                (records, bytes) = (records + 1, bytes + entry.len());
            } else {
                load.put_live(parcel(from, offset, partitions, entry));
            }
            lane.read = offset + 1;
        }
        (records, bytes)
    }

    /// The backlog's reader was given these; `None` when it need not look at them.
    pub fn hold(&self, fetched: Fetched) -> Option<Held> {
        let is_passed = |lane: &Lane| fetched.next() <= lane.front();
        let is_done = self.lanes.get(&fetched.partition).is_some_and(is_passed);
        (!is_done).then_some(Held { fetched, done: 0 })
    }

    /// Puts what was left into `load`, as far as there is room, and gives back what was not passed. The live reader
    /// must have looked first.
    pub fn pick(&mut self, held: Held, partitions: u32, room: Room, load: &mut Load) -> Option<Held> {
        let Held { fetched, mut done } = held;
        let from = fetched.partition;
        let Some(lane) = self.lanes.get_mut(&from) else { return Some(Held { fetched, done }) };
        lane.skip_to(fetched.first);
        let mut is_all = true;
        for (offset, entry) in fetched.entries().skip(done) {
            let left = if offset >= lane.passed { lane.left(entry.key, offset) } else { None };
            let is_full = load.backlog.records >= room.records || load.backlog.bytes >= room.bytes;
            if offset >= lane.read || left.is_some() && is_full {
                is_all = false;
                break;
            }
            if let Some(is_last) = left {
                let entry = Entry { origin: Some(self.source.origin(offset)), ..entry };
                load.put_backlog(parcel(from, offset, partitions, entry), is_last);
            }
            lane.passed = lane.passed.max(offset + 1);
            done += 1;
        }
        (!is_all).then_some(Held { fetched, done })
    }

    /// Everything in `load` is on the target.
    pub fn settle(&mut self, load: &Load) {
        for (from, key, offset) in load.last() {
            let Some(lane) = self.lanes.get_mut(&from) else { continue };
            if lane.behind.get(key).is_some_and(|stretch| stretch.to == offset) {
                lane.behind.remove(key);
            }
        }
    }

    /// Per partition of the spool, below which offset everything is on the target. `loads`: what is not.
    pub fn positions(&self, loads: &[&Load]) -> Vec<(TopicPartition, Offset)> {
        let position = |(from, lane): (&TopicPartition, &Lane)| {
            let oldest = loads.iter().filter_map(|load| load.oldest(*from)).min();
            (*from, oldest.map_or(lane.front(), |oldest| oldest.min(lane.front())))
        };
        self.lanes.iter().map(position).collect()
    }

    /// How many records the live reader has seen that lie at or behind these positions.
    pub fn lag(&self, positions: &[(TopicPartition, Offset)]) -> u64 {
        positions.iter().map(|(from, offset)| self.lanes[from].read.saturating_sub(*offset)).sum()
    }

    /// How many devices are behind.
    pub fn behind(&self) -> usize {
        self.lanes.values().map(|lane| lane.behind.len()).sum()
    }
}

impl Source {
    fn origin(&self, offset: Offset) -> Origin<'_> {
        Origin { gateway: &self.gateway, spool: self.made, offset }
    }
}

impl Lane {
    fn beginning_at(offset: Offset) -> Lane {
        Lane { read: offset, passed: offset, behind: FxHashMap::default() }
    }

    /// What lies below was live, or was taken from the backlog.
    fn front(&self) -> Offset {
        if self.behind.is_empty() { self.passed.max(self.read) } else { self.passed }
    }

    /// Whether a new record must be left to the backlog: its device is behind, or falls behind now for lack of room.
    fn leave(&mut self, key: &[u8], offset: Offset, has_room: bool) -> bool {
        let stretch = if self.behind.is_empty() { None } else { self.behind.get_mut(key) };
        match stretch {
            Some(stretch) => stretch.to = offset,
            None if has_room => return false,
            None => {
                self.passed = self.front();
                self.behind.insert(key.into(), Stretch { from: offset, to: offset });
            }
        }
        true
    }

    /// Whether a record was left to the backlog, and then whether it is the last of its device.
    fn left(&self, key: &[u8], offset: Offset) -> Option<bool> {
        let stretch = if self.behind.is_empty() { None } else { self.behind.get(key) };
        stretch.filter(|stretch| offset >= stretch.from).map(|stretch| stretch.to == offset)
    }

    /// What the backlog's reader is not given is forwarded already, or was removed by retention.
    fn skip_to(&mut self, first: Offset) {
        self.passed = self.front();
        if first > self.passed {
            self.passed = first;
            self.behind.retain(|_, stretch| stretch.to >= first);
        }
    }
}

/// The same rule as where the spool was filled: the partition follows from the key. A record without one stays in its
/// number's partition.
fn parcel(from: TopicPartition, offset: Offset, partitions: u32, entry: Entry<'_>) -> Parcel<'_> {
    let partition = match entry.key {
        [] => from.partition % partitions.max(1),
        key => partition_of(key, partitions),
    };
    Parcel { from, offset, to: TopicPartition { partition, ..from }, entry }
}

impl Held {
    pub fn partition(&self) -> TopicPartition {
        self.fetched.partition
    }

    /// The value of the oldest record that was not passed, and where it stands.
    pub fn oldest(&self) -> Option<&[u8]> {
        self.fetched.entries().nth(self.done).map(|(_, entry)| entry.value)
    }
}
