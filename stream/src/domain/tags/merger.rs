//! Many reads, one sighting. Runs with the reader's device, before the log.

use crate::rule::TagRule;
use minicbor::{Decode, Encode};
use records::{Body, Name, Observation, Sighting, TagRead, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;

/// The tags in sight of one reader.
///
/// Reads are told apart by EPC alone: antennas of one reader look at one place. Every read ends up in exactly one
/// sighting. State is bounded by [`TagRule::max_open`].
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Merger {
    #[n(0)]
    open: BTreeMap<Box<str>, Presence>,
    /// The reader's progress, event time.
    #[cbor(n(1), with = "crate::cbor")]
    reached: Option<Timestamp>,
}

/// Which reader, and as of when we know (ingest time).
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The reader.
    pub device: &'a Name,
    /// Its line.
    pub area: &'a Name,
    /// Ingest time of what is being worked on.
    pub as_of: Timestamp,
}

/// A tag in sight.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
struct Presence {
    #[cbor(n(0), with = "crate::cbor")]
    first_seen: Timestamp,
    #[cbor(n(1), with = "crate::cbor")]
    last_seen: Timestamp,
    #[n(2)]
    count: u32,
}

impl Merger {
    /// Takes the reads of one message; returns the sightings that it ends.
    ///
    /// A read that belongs to no tag in sight because it is older (late, or before a longer pause) is a sighting of
    /// its own at once. Messages without reads change nothing.
    pub fn observe(&mut self, place: &Place<'_>, observation: &Observation, rule: &TagRule) -> Vec<Sighting> {
        let Body::TagReads(reads) = &observation.body else { return Vec::new() };
        let mut ended = Vec::new();
        for read in reads {
            let presence = Presence::of(read, observation, rule.longest);
            ended.extend(self.take(place, &read.epc, presence, rule));
            if self.open.len() > rule.max_open as usize {
                ended.extend(self.end_longest_unseen(place));
            }
        }
        ended
    }

    /// The reader has come to `reached` (event time): ends the tags that it has not seen for the timeout, oldest
    /// first.
    pub fn advance(&mut self, place: &Place<'_>, reached: Timestamp, rule: &TagRule) -> Vec<Sighting> {
        self.reached = self.reached.max(Some(reached));
        let mut ended = Vec::new();
        self.open.retain(|epc, presence| {
            let is_gone = presence.last_seen + rule.timeout <= reached;
            if is_gone {
                ended.push(presence.end(place, epc));
            }
            !is_gone
        });
        ended.sort_by_key(|sighting| sighting.last_seen);
        ended
    }

    /// When, in event time, [`Merger::advance`] has something to end; `None` while no tag is in sight.
    pub fn next_end(&self, rule: &TagRule) -> Option<Timestamp> {
        self.open.values().map(|presence| presence.last_seen).min().map(|oldest| oldest + rule.timeout)
    }

    fn take(&mut self, place: &Place<'_>, epc: &str, read: Presence, rule: &TagRule) -> Option<Sighting> {
        let Some(open) = self.open.get_mut(epc) else {
            if self.reached.is_some_and(|reached| read.last_seen + rule.timeout <= reached) {
                return Some(read.end(place, epc));
            }
            self.open.insert(epc.into(), read);
            return None;
        };
        if read.last_seen + rule.timeout < open.first_seen {
            return Some(read.end(place, epc));
        }
        if open.last_seen + rule.timeout < read.first_seen || open.joined(read).length() > rule.longest {
            return Some(std::mem::replace(open, read).end(place, epc));
        }
        *open = open.joined(read);
        None
    }

    fn end_longest_unseen(&mut self, place: &Place<'_>) -> Option<Sighting> {
        let (epc, _) = self.open.iter().min_by_key(|(_, presence)| presence.last_seen)?;
        let (epc, presence) = self.open.remove_entry(&epc.clone())?;
        Some(presence.end(place, &epc))
    }
}

impl Presence {
    /// A read in event time: its own times are the device's, so they get the correction that the message got. None is
    /// later than the message, and none tells of more than `longest`.
    fn of(read: &TagRead, observation: &Observation, longest: Duration) -> Presence {
        let at = observation.event_time;
        let corrected = |time: Timestamp| match observation.device_time {
            Some(device_time) => Timestamp(time.0.saturating_add(at.0.saturating_sub(device_time.0))),
            None => time,
        };
        let last_seen = read.last_seen.map_or(at, corrected).min(at);
        let first_seen = read.first_seen.map_or(last_seen, corrected).clamp(last_seen - longest, last_seen);
        Presence { first_seen, last_seen, count: read.count.max(1) }
    }

    fn joined(self, other: Presence) -> Presence {
        Presence {
            first_seen: self.first_seen.min(other.first_seen),
            last_seen: self.last_seen.max(other.last_seen),
            count: self.count.saturating_add(other.count),
        }
    }

    fn length(self) -> Duration {
        self.last_seen.since(self.first_seen)
    }

    fn end(self, place: &Place<'_>, epc: &str) -> Sighting {
        Sighting {
            area: place.area.clone(),
            device: place.device.clone(),
            epc: epc.into(),
            first_seen: self.first_seen,
            last_seen: self.last_seen,
            count: self.count,
            as_of: place.as_of,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(max_open: u32) -> TagRule {
        let (timeout, longest) = (Duration::from_millis(5), Duration::from_millis(30));
        TagRule { timeout, longest, max_open, source: Name::default() }
    }

    fn message(at: i64, reads: Vec<TagRead>) -> Observation {
        Observation {
            device: "r1".into(),
            epoch: 0,
            sequence: None,
            device_time: None,
            event_time: Timestamp(at),
            ingest_time: Timestamp(at),
            position: None,
            stated: None,
            is_late: false,
            body: Body::TagReads(reads),
        }
    }

    fn read(epc: &str) -> TagRead {
        TagRead { epc: epc.into(), antenna: 0, rssi: None, count: 1, first_seen: None, last_seen: None }
    }

    /// `steps`: `time:tags`, one letter each, or `time:|` for progress. Returns `tag first-last×count` as ended.
    fn run(max_open: u32, steps: &str) -> String {
        let (device, area) = (Name::new("r1"), Name::new("line"));
        let mut merger = Merger::default();
        let mut ended = Vec::new();
        for step in steps.split_whitespace() {
            merger = minicbor::decode(&minicbor::to_vec(&merger).unwrap()).unwrap();
            let (at, tags) = step.split_once(':').unwrap();
            let at: i64 = at.parse().unwrap();
            let place = Place { device: &device, area: &area, as_of: Timestamp(at) };
            ended.extend(match tags {
                "|" => merger.advance(&place, Timestamp(at), &rule(max_open)),
                tags => {
                    let reads = tags.chars().map(|tag| read(&tag.to_string())).collect();
                    merger.observe(&place, &message(at, reads), &rule(max_open))
                }
            });
        }
        let show = |s: &Sighting| format!("{} {}-{}×{}", s.epc, s.first_seen, s.last_seen, s.count);
        ended.iter().map(show).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn reads_become_sightings() {
        let check = |steps: &str, expected: &str| assert_eq!(run(10, steps), expected, "{steps}");
        check("1:A 2:A 6:A", "");
        check("1:A 2:A 6:A 10:|", "");
        check("1:A 2:A 6:A 11:| 20:|", "A 1-6×3");
        check("3:B 1:AA 2:B 20:|", "A 1-1×2, B 2-3×2");
        // A pause longer than the timeout makes two.
        check("1:A 6:A 12:A 30:|", "A 1-6×2, A 12-12×1");
        // Late: alone, unless its tag is still in sight.
        check("9:| 4:A", "A 4-4×1");
        check("9:| 5:A 9:A 20:|", "A 5-9×2");
        check("20:A 14:A 15:A 30:|", "A 14-14×1, A 15-20×2");
        // A tag that stays is reported now and then.
        check("0:A 5:A 10:A 15:A 20:A 25:A 30:A 35:A 60:|", "A 0-30×7, A 35-35×1");
    }

    #[test]
    fn state_is_bounded() {
        assert_eq!(run(2, "1:A 2:B 3:A 4:C 5:D"), "B 2-2×1, A 1-3×2");
    }

    #[test]
    fn says_when_something_ends() {
        let (device, area) = (Name::new("r1"), Name::new("line"));
        let place = Place { device: &device, area: &area, as_of: Timestamp(0) };
        let (mut merger, rule) = (Merger::default(), rule(9));
        assert_eq!(merger.next_end(&rule), None);
        for (at, tag) in [(7, "A"), (3, "B"), (4, "B")] {
            merger.observe(&place, &message(at, vec![read(tag)]), &rule);
        }
        assert_eq!(merger.next_end(&rule), Some(Timestamp(9)));
        assert_eq!(merger.advance(&place, Timestamp(8), &rule), []);
        assert_eq!(merger.advance(&place, Timestamp(9), &rule).len(), 1);
        assert_eq!(merger.next_end(&rule), Some(Timestamp(12)));
    }

    #[test]
    fn times_of_reads() {
        let check = |first: Option<i64>, last: Option<i64>, clock: Option<i64>, expected: (i64, i64)| {
            let read =
                TagRead { first_seen: first.map(Timestamp), last_seen: last.map(Timestamp), ..read("A") };
            let message = Observation { device_time: clock.map(Timestamp), ..message(1000, vec![]) };
            let presence = Presence::of(&read, &message, Duration::from_millis(30));
            assert_eq!(
                (presence.first_seen.0, presence.last_seen.0),
                expected,
                "{first:?} {last:?} {clock:?}"
            );
        };
        check(None, None, None, (1000, 1000));
        check(Some(980), Some(990), None, (980, 990));
        check(Some(980), None, None, (980, 1000));
        check(None, Some(990), None, (990, 990));
        // A clock that is 500 behind.
        check(Some(480), Some(490), Some(500), (980, 990));
        // Nonsense is cut.
        check(Some(5000), Some(9000), None, (1000, 1000));
        check(Some(995), Some(990), None, (990, 990));
        check(Some(0), Some(990), None, (960, 990));
        check(Some(i64::MIN), Some(i64::MAX), Some(i64::MIN), (970, 1000));
    }

    proptest! {
        /// Every read is in exactly one sighting, and no sighting is longer than allowed.
        #[test]
        fn nothing_is_lost(
            steps in proptest::collection::vec((0..200i64, "[A-D]{0,4}", any::<bool>()), 0..60),
            max_open in 1..4u32,
        ) {
            let (device, area) = (Name::new("r1"), Name::new("line"));
            let place = Place { device: &device, area: &area, as_of: Timestamp(0) };
            let (mut merger, rule) = (Merger::default(), rule(max_open));
            let mut ended = Vec::new();
            let mut reads = 0;
            for (at, tags, advances) in steps {
                reads += tags.len();
                let tags = tags.chars().map(|tag| read(&tag.to_string())).collect();
                ended.extend(merger.observe(&place, &message(at, tags), &rule));
                prop_assert!(merger.open.len() <= max_open as usize);
                if advances {
                    ended.extend(merger.advance(&place, Timestamp(at), &rule));
                }
            }
            ended.extend(merger.advance(&place, Timestamp(1000), &rule));
            prop_assert_eq!(ended.iter().map(|sighting| sighting.count as usize).sum::<usize>(), reads);
            prop_assert!(ended.iter().all(|s| s.last_seen.since(s.first_seen) <= rule.longest));
        }
    }
}
