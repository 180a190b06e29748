//! Which record may go when: two lanes, and never a device's newer record before its older one.
//!
//! Every record of the spool is looked at twice, by a reader for each lane. The live reader never waits: a record goes
//! into the load that is being gathered when there is room and its device has no backlog; else it is left, and its
//! device is *behind* from there on. While a device has left little, that is kept and goes before anybody's backlog as
//! soon as there is room. The backlog's reader follows at its own pace, takes what else was left, and passes over the
//! rest. When the last record that a device left is in a load, the device is live again: loads go in order.

use super::load::{Freight, Load, Parcel};
use super::short::{Short, Shorts};
use records::{Entry, Fetched, Offset, Origin, Topic, TopicPartition, partition_of};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// All partitions of the spool.
#[derive(Debug)]
pub(super) struct Lanes {
    source: Source,
    lanes: BTreeMap<TopicPartition, Lane>,
    shorts: Shorts,
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
#[derive(Debug)]
struct Stretch {
    from: Offset,
    to: Offset,
    /// These records, while they are few: then they are not for the backlog's reader.
    short: Option<Short>,
}

/// What the backlog's reader does with a record.
enum Pass {
    Over,
    /// Its device is behind; `is_last`: with this one no more.
    Take {
        is_last: bool,
    },
    /// It is kept, and must be gone before.
    Wait,
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
    /// `live_bytes`: what an append may hold of live records.
    pub fn new(gateway: String, made: u64, live_bytes: usize) -> Lanes {
        let shorts = Shorts::new(live_bytes);
        Lanes { source: Source { gateway, made }, lanes: BTreeMap::new(), shorts }
    }

    /// The live reader was given these. Says how much more there is for the backlog's reader.
    pub fn arrive(
        &mut self,
        fetched: &Fetched,
        partitions: u32,
        live_bytes: usize,
        load: &mut Load,
    ) -> Freight {
        let from = fetched.partition;
        let lane = self.lanes.entry(from).or_insert_with(|| Lane::beginning_at(fetched.first));
        let mut left = Freight::default();
        for (offset, entry) in fetched.entries() {
            // Read again after a restart.
            if offset < lane.read.max(lane.passed) {
                continue;
            }
            let entry = Entry { origin: Some(self.source.origin(offset)), ..entry };
            let has_room = load.live.records == 0 || load.live.bytes + entry.len() <= live_bytes;
            match lane.leave(from, offset, entry, has_room, &mut self.shorts) {
                Some(more) => left += more,
                None => load.put_live(parcel(from, offset, partitions, entry)),
            }
            lane.read = offset + 1;
        }
        left
    }

    /// Puts short backlogs into `load`, as far as there is room.
    pub fn catch_up(&mut self, partitions: impl Fn(Topic) -> u32, live_bytes: usize, load: &mut Load) {
        while let Some((from, key)) = self.shorts.first() {
            let lane = self.lanes.get_mut(&from);
            if let Some(lane) = lane
                && let Some(Stretch { short: Some(short), .. }) = lane.behind.get(key)
            {
                if load.live.bytes + short.bytes() > live_bytes {
                    return;
                }
                let partitions = partitions(from.topic);
                for (offset, entry) in short.entries() {
                    load.put_live(parcel(from, offset, partitions, entry));
                }
                lane.passed = lane.front();
                if let Some(Stretch { short: Some(short), .. }) = lane.behind.remove(key) {
                    self.shorts.release(&short);
                }
            }
            self.shorts.pop();
        }
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
            let is_full = load.backlog.records >= room.records || load.backlog.bytes >= room.bytes;
            let pass = lane.pass(entry.key, offset);
            if offset >= lane.read
                || matches!(pass, Pass::Wait)
                || matches!(pass, Pass::Take { .. }) && is_full
            {
                is_all = false;
                break;
            }
            if let Pass::Take { is_last } = pass {
                let entry = Entry { origin: Some(self.source.origin(offset)), ..entry };
                load.put_backlog(parcel(from, offset, partitions, entry));
                if is_last {
                    lane.behind.remove(entry.key);
                }
            }
            lane.passed = lane.passed.max(offset + 1);
            done += 1;
        }
        (!is_all).then_some(Held { fetched, done })
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

    /// How many bytes are kept of short backlogs.
    pub fn short_bytes(&self) -> usize {
        self.shorts.bytes()
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

    /// A new record goes at once (`None`), or is left, because its device is behind or falls behind now for lack of
    /// room: then says how much more there is for the backlog's reader.
    fn leave(
        &mut self,
        from: TopicPartition,
        offset: Offset,
        entry: Entry<'_>,
        has_room: bool,
        shorts: &mut Shorts,
    ) -> Option<Freight> {
        let one = Freight::of(&entry);
        let stretch = if self.behind.is_empty() { None } else { self.behind.get_mut(entry.key) };
        match stretch {
            Some(stretch) => {
                stretch.to = offset;
                let given_up = shorts.keep(&mut stretch.short, offset, entry);
                let before = given_up.map_or(Freight::default(), |short| short.freight());
                Some(if stretch.short.is_some() { Freight::default() } else { before + one })
            }
            None if has_room => None,
            None => {
                self.passed = self.front();
                let short = shorts.begin(from, offset, entry);
                let left = if short.is_some() { Freight::default() } else { one };
                self.behind.insert(entry.key.into(), Stretch { from: offset, to: offset, short });
                Some(left)
            }
        }
    }

    fn pass(&self, key: &[u8], offset: Offset) -> Pass {
        if offset < self.passed || self.behind.is_empty() {
            return Pass::Over;
        }
        match self.behind.get(key) {
            Some(stretch) if offset < stretch.from => Pass::Over,
            Some(Stretch { short: Some(_), .. }) => Pass::Wait,
            Some(stretch) => Pass::Take { is_last: stretch.to == offset },
            None => Pass::Over,
        }
    }

    /// What the backlog's reader is not given is forwarded already, or was removed by retention.
    fn skip_to(&mut self, first: Offset) {
        self.passed = self.front();
        if first > self.passed {
            self.passed = first;
            self.behind.retain(|_, stretch| stretch.to >= first || stretch.short.is_some());
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
