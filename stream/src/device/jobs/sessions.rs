//! Windows of activity: messages that are less than a gap apart.

use super::sight::Sight;
use super::tally::Tally;
use crate::rule::{JobRule, Windowing};
use minicbor::{Decode, Encode};
use records::{Timestamp, Window};
use std::time::Duration;

/// The open sessions of one job and device.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Sessions {
    /// By time; no two are less than a gap apart.
    #[n(0)]
    open: Vec<Session>,
    /// Sessions up to here have closed.
    #[cbor(n(1), with = "crate::cbor")]
    closed_to: Timestamp,
}

#[derive(Clone, Debug, Encode, Decode)]
struct Session {
    #[cbor(n(0), with = "crate::cbor")]
    first: Timestamp,
    #[cbor(n(1), with = "crate::cbor")]
    last: Timestamp,
    #[n(2)]
    tally: Tally,
}

impl Default for Sessions {
    fn default() -> Self {
        Sessions { open: Vec::new(), closed_to: Timestamp::MIN }
    }
}

fn gap(windowing: &Windowing) -> Duration {
    match windowing {
        Windowing::Session(gap) => *gap,
        _ => Duration::ZERO,
    }
}

impl Sessions {
    /// Adds a message. A session that was told stays as it was told: what comes behind it and joins no open one is
    /// late. Returns whether it is.
    pub fn add(&mut self, sight: &Sight<'_>, rule: &JobRule) -> bool {
        let (at, gap) = (sight.message.event_time, gap(&rule.windowing));
        let first = self.open.partition_point(|session| session.last + gap <= at);
        let joined = self.open[first..].iter().take_while(|session| session.first < at + gap).count();
        if joined == 0 {
            if at < self.closed_to {
                return true;
            }
            let mut session = Session { first: at, last: at, tally: Tally::default() };
            session.tally.add(sight, rule);
            self.open.insert(first, session);
            return false;
        }
        let behind: Vec<Session> = self.open.drain(first + 1..first + joined).collect();
        let session = &mut self.open[first];
        session.tally.add(sight, rule);
        (session.first, session.last) = (session.first.min(at), session.last.max(at));
        for other in behind {
            session.tally.merge(&other.tally);
            session.last = session.last.max(other.last);
        }
        false
    }

    /// Closes what ends up to `to`, in order.
    pub fn close(&mut self, to: Timestamp, windowing: &Windowing, tell: &mut dyn FnMut(Window, u32, &Tally)) {
        let gap = gap(windowing);
        self.closed_to = self.closed_to.max(to);
        let over = self.open.partition_point(|session| session.last + gap <= to);
        for Session { first, last, tally } in self.open.drain(..over) {
            tell(Window { start: first, end: last + gap }, 0, &tally);
        }
    }

    /// When the first session ends.
    pub fn next_end(&self, windowing: &Windowing) -> Option<Timestamp> {
        self.open.first().map(|session| session.last + gap(windowing))
    }
}
