//! Which messages of a device have been seen: exactly, in whatever order they come.

use minicbor::{Decode, Encode};

/// Epochs that are remembered per device: the newest.
const MAX_EPOCHS: usize = 4;
/// Ranges that are remembered per epoch: the highest. One range is enough while nothing is missing.
const MAX_RANGES: usize = 64;

/// What has been seen of a device, as ranges of sequence numbers per epoch.
///
/// Bounded; beyond the bounds the oldest is forgotten, and what would fall there passes as [`Arrival::Untracked`]:
/// to deliver something twice is bad, to drop it is worse.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Seen {
    /// The range that grew last, taken out of its epoch: a device that counts on touches nothing else.
    #[n(0)]
    growing: Option<Growing>,
    /// By number.
    #[n(1)]
    epochs: Vec<Epoch>,
}

#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
struct Growing {
    #[n(0)]
    epoch: u32,
    #[n(1)]
    range: Range,
}

/// What a message turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Not seen before.
    New(Gap),
    /// Seen before.
    Duplicate,
    /// So far back that nobody remembers.
    Untracked,
}

/// What a new message does to the gaps: runs of missing sequence numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// Nothing.
    Same,
    /// Numbers are missing before or behind it.
    Opened,
    /// It was the last that was missing between two others.
    Closed,
}

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
struct Epoch {
    #[n(0)]
    number: u32,
    /// Ascending; no two touch.
    #[n(1)]
    ranges: Vec<Range>,
    /// Up to here nobody remembers.
    #[n(2)]
    forgotten_to: Option<u64>,
}

/// Both ends inside.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
struct Range {
    #[n(0)]
    first: u64,
    #[n(1)]
    last: u64,
}

impl Seen {
    /// Takes note of a message.
    pub fn mark(&mut self, epoch: u32, sequence: u64) -> Arrival {
        if let Some(growing) = &mut self.growing
            && growing.epoch == epoch
            && growing.range.last.checked_add(1) == Some(sequence)
        {
            growing.range.last = sequence;
            return Arrival::New(Gap::Same);
        }
        self.put_back();
        let arrival = self.mark_any(epoch, sequence);
        self.take_out(epoch);
        arrival
    }

    fn mark_any(&mut self, epoch: u32, sequence: u64) -> Arrival {
        match self.epochs.binary_search_by_key(&epoch, |known| known.number) {
            Ok(index) => self.epochs[index].mark(sequence),
            Err(0) if self.epochs.len() == MAX_EPOCHS => Arrival::Untracked,
            Err(index) => {
                let ranges = vec![Range { first: sequence, last: sequence }];
                self.epochs.insert(index, Epoch { number: epoch, ranges, forgotten_to: None });
                if self.epochs.len() > MAX_EPOCHS {
                    self.epochs.remove(0);
                }
                Arrival::New(Gap::Same)
            }
        }
    }

    /// Takes the highest range of an epoch out.
    fn take_out(&mut self, epoch: u32) {
        if let Ok(index) = self.epochs.binary_search_by_key(&epoch, |known| known.number) {
            self.growing = self.epochs[index].ranges.pop().map(|range| Growing { epoch, range });
        }
    }

    fn put_back(&mut self) {
        let Some(Growing { epoch, range }) = self.growing.take() else { return };
        if let Ok(index) = self.epochs.binary_search_by_key(&epoch, |known| known.number) {
            self.epochs[index].ranges.push(range);
        }
    }
}

impl Epoch {
    fn mark(&mut self, sequence: u64) -> Arrival {
        if self.forgotten_to.is_some_and(|forgotten_to| sequence <= forgotten_to) {
            return Arrival::Untracked;
        }
        let index = self.ranges.partition_point(|range| range.last < sequence);
        if self.ranges.get(index).is_some_and(|range| range.first <= sequence) {
            return Arrival::Duplicate;
        }
        Arrival::New(self.insert(index, sequence))
    }

    /// `index`: of the first range behind `sequence`.
    fn insert(&mut self, index: usize, sequence: u64) -> Gap {
        let touches_before = index > 0 && self.ranges[index - 1].last + 1 == sequence;
        let touches_behind = self.ranges.get(index).is_some_and(|range| range.first - 1 == sequence);
        match (touches_before, touches_behind) {
            (true, true) => {
                self.ranges[index - 1].last = self.ranges[index].last;
                self.ranges.remove(index);
                return Gap::Closed;
            }
            (true, false) => self.ranges[index - 1].last = sequence,
            (false, true) => self.ranges[index].first = sequence,
            (false, false) => {
                self.ranges.insert(index, Range { first: sequence, last: sequence });
                self.forget_beyond_bounds();
                return Gap::Opened;
            }
        }
        Gap::Same
    }

    fn forget_beyond_bounds(&mut self) {
        if self.ranges.len() > MAX_RANGES {
            self.forgotten_to = Some(self.ranges.remove(0).last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// Feeds `epoch:sequence …`; one letter each: `n`ew, `o`pened, `c`losed, `d`uplicate, `u`ntracked.
    fn run(seen: &mut Seen, messages: &str) -> String {
        let mark = |message: &str| {
            let (epoch, sequence) = message.split_once(':').unwrap();
            match seen.mark(epoch.parse().unwrap(), sequence.parse().unwrap()) {
                Arrival::New(Gap::Same) => 'n',
                Arrival::New(Gap::Opened) => 'o',
                Arrival::New(Gap::Closed) => 'c',
                Arrival::Duplicate => 'd',
                Arrival::Untracked => 'u',
            }
        };
        messages.split_whitespace().map(mark).collect()
    }

    #[test]
    fn tells_new_from_seen() {
        let check = |messages: &str, expected: &str| {
            assert_eq!(run(&mut Seen::default(), messages), expected, "{messages}");
        };
        check("1:0 1:1 1:1 1:0 1:2", "nnddn");
        check("1:5 1:7 1:6 1:6", "nocd");
        check("1:9 1:8 1:7 1:8 1:7", "nnndd");
        check("1:1 2:1 1:1 2:1 1:2", "nnddn");
        check("5:1 6:1 7:1 8:1 4:1 9:1 5:1 9:1", "nnnnunud");
        check(&format!("1:0 1:{0} 1:{0} 1:1 1:{1}", u64::MAX, u64::MAX - 1), "nodnn");
    }

    #[test]
    fn forgets_the_oldest_beyond_its_bounds() {
        let mut seen = Seen::default();
        for sequence in 0..=MAX_RANGES as u64 {
            seen.mark(1, sequence * 2);
        }
        assert_eq!(run(&mut seen, "1:0 1:1 1:2 1:3 1:2"), "undcd");
    }

    proptest! {
        /// Within its bounds it is a set.
        #[test]
        fn equals_a_set(messages in proptest::collection::vec((0..3u32, 0..60u64), 0..200)) {
            let (mut seen, mut oracle) = (Seen::default(), BTreeSet::new());
            let mut gaps = 0i64;
            for (epoch, sequence) in messages {
                let is_new = oracle.insert((epoch, sequence));
                let arrival = seen.mark(epoch, sequence);
                prop_assert_eq!(matches!(arrival, Arrival::New(_)), is_new);
                gaps += match arrival {
                    Arrival::New(Gap::Opened) => 1,
                    Arrival::New(Gap::Closed) => -1,
                    _ => 0,
                };
                seen = minicbor::decode(&minicbor::to_vec(&seen).unwrap()).unwrap();
            }
            seen.put_back();
            let open: usize = seen.epochs.iter().map(|epoch| epoch.ranges.len() - 1).sum();
            prop_assert_eq!(gaps, open as i64);
        }
    }
}
