//! Windows of so many messages, in order of event time.

use super::sight::Sight;
use super::tally::Tally;
use crate::rule::{JobRule, Windowing};
use minicbor::{Decode, Encode};
use records::{Timestamp, Window};
use std::time::Duration;

/// Most messages that wait for those before them; beyond that the first is not waited for.
const MAX_WAITING: usize = 4096;
const INSTANT: Duration = Duration::from_millis(1);

/// Messages in order, and the window they fill. A message waits until its device has passed it by the
/// out-of-orderness; messages of one event time stand by epoch and sequence, and without these as they came.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Counted {
    /// By event time and place.
    #[n(0)]
    waiting: Vec<Waiting>,
    /// What is before has been counted.
    #[cbor(n(1), with = "crate::cbor")]
    counted_to: Timestamp,
    #[n(2)]
    filling: Option<Filling>,
}

#[derive(Clone, Debug, Encode, Decode)]
struct Waiting {
    #[cbor(n(0), with = "crate::cbor")]
    at: Timestamp,
    #[n(1)]
    tally: Tally,
}

#[derive(Clone, Debug, Encode, Decode)]
struct Filling {
    #[cbor(n(0), with = "crate::cbor")]
    first: Timestamp,
    #[n(1)]
    messages: u32,
    #[n(2)]
    tally: Tally,
}

impl Default for Counted {
    fn default() -> Self {
        Counted { waiting: Vec::new(), counted_to: Timestamp::MIN, filling: None }
    }
}

type Tell<'t> = dyn FnMut(Window, u32, &Tally) + 't;

impl Counted {
    /// Adds a message. Returns whether it is late: those behind it have been counted.
    pub fn add(&mut self, sight: &Sight<'_>, rule: &JobRule, tell: &mut Tell<'_>) -> bool {
        let at = sight.message.event_time;
        if at < self.counted_to {
            return true;
        }
        let mut tally =
            Tally { place: (sight.message.epoch, sight.message.sequence.unwrap_or(0)), ..Tally::default() };
        tally.add(sight, rule);
        let index = self.waiting.partition_point(|known| (known.at, known.tally.place) <= (at, tally.place));
        self.waiting.insert(index, Waiting { at, tally });
        if self.waiting.len() > MAX_WAITING {
            let first = self.waiting.remove(0);
            self.counted_to = self.counted_to.max(first.at);
            self.count(first, &rule.windowing, tell);
        }
        false
    }

    /// Counts what was before `to`.
    pub fn close(&mut self, to: Timestamp, windowing: &Windowing, tell: &mut Tell<'_>) {
        self.counted_to = self.counted_to.max(to);
        let ready = self.waiting.partition_point(|known| known.at < to);
        let ready: Vec<Waiting> = self.waiting.drain(..ready).collect();
        ready.into_iter().for_each(|known| self.count(known, windowing, tell));
    }

    fn count(&mut self, Waiting { at, tally }: Waiting, windowing: &Windowing, tell: &mut Tell<'_>) {
        let Windowing::Count(count) = windowing else { return };
        let new = || Filling { first: at, messages: 0, tally: Tally::default() };
        let filling = self.filling.get_or_insert_with(new);
        filling.messages += 1;
        filling.tally.merge(&tally);
        if filling.messages >= *count
            && let Some(Filling { first, tally, .. }) = self.filling.take()
        {
            tell(Window { start: first, end: at + INSTANT }, 0, &tally);
        }
    }

    /// When the first that waits may be counted.
    pub fn next_end(&self) -> Option<Timestamp> {
        self.waiting.first().map(|first| first.at + INSTANT)
    }
}
