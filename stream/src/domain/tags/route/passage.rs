//! A tag in a zone, and what became of it.

use minicbor::{Decode, Encode};
use records::Timestamp;
use std::time::Duration;

/// A tag in a zone.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub(super) struct Passage {
    #[n(0)]
    pub(super) rank: u32,
    #[cbor(n(1), with = "crate::cbor")]
    pub(super) first_seen: Timestamp,
    #[cbor(n(2), with = "crate::cbor")]
    pub(super) last_seen: Timestamp,
    #[n(3)]
    pub(super) is_settled: bool,
}

/// What became of a passage.
pub(super) enum Verdict {
    /// The next zone saw the tag in time.
    Arrived { next: u32, at: Timestamp },
    /// The next zone saw it too late.
    Late { next: u32, at: Timestamp },
    /// Nothing follows, or the tag went back.
    Over,
    /// Not seen: a miss at `at`, once the next zone has told all of the time before.
    Open { next: u32, at: Timestamp },
}

impl Passage {
    /// What became of this one of a tag's `passages`, when `next` is the zone that follows it.
    pub(super) fn verdict(&self, passages: &[Passage], next: Option<u32>, route_time: Duration) -> Verdict {
        let Some(next) = next else { return Verdict::Over };
        let deadline = self.last_seen + route_time;
        let at_next = passages.iter().find(|other| other.rank == next && other.last_seen >= self.first_seen);
        if let Some(other) = at_next {
            let at = other.first_seen;
            return if at <= deadline {
                Verdict::Arrived { next, at }
            } else {
                Verdict::Late { next, at: deadline }
            };
        }
        let after = |other: &&Passage| other.first_seen > self.last_seen;
        if passages.iter().filter(after).any(|other| other.rank < self.rank) {
            return Verdict::Over;
        }
        let further =
            passages.iter().filter(after).filter(|other| other.rank > next).map(|other| other.first_seen);
        Verdict::Open { next, at: further.min().map_or(deadline, |seen| seen.min(deadline)) }
    }
}
