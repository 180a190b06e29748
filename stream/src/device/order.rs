//! The order in which a device said things, for those tests that depend on it.
//!
//! A message whose number follows the one before passes at once. One behind a gap waits for what is missing, and one
//! of a device that has a clock and does not count waits for what may still come before it: both at most by the out-of-orderness, be
//! it that the device has come so far by its own word or that ingest time has. So nothing waits past the closing of
//! its window, and what comes even later passes at once, as [`Place::Behind`].

use super::clock::Verdict;
use minicbor::{Decode, Encode};
use records::{Observation, Timestamp};

/// Most messages of a device that wait; then the first goes, whatever is missing before it.
const MOST: usize = 64;

/// A message on its way through a device's state, with what was found at its arrival.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Arrived {
    /// The message, its time judged.
    #[cbor(n(0), with = "crate::cbor")]
    pub message: Observation,
    /// What its clock was worth.
    #[n(1)]
    pub verdict: Verdict,
    /// Up to here windows took no more readings, event time.
    #[cbor(n(2), with = "crate::cbor")]
    pub forgotten_to: Timestamp,
    /// When it goes on at the latest, ingest time.
    #[cbor(n(3), with = "crate::cbor")]
    pub due: Timestamp,
}

/// Where a message stands among those that went before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Next, and nothing is missing as far as anybody can tell.
    Next,
    /// Next of those that came: some are missing before it.
    AfterGap,
    /// Something that was said later has gone before it.
    Behind,
}

/// What waits, and what comes next. Bounded.
#[derive(Clone, Debug, Default, Encode, Decode)]
pub struct Order {
    #[n(0)]
    next: Option<Next>,
    /// In the order in which they will go.
    #[n(1)]
    waiting: Vec<Arrived>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
enum Next {
    /// The device does not count: the event time of the last that went.
    #[n(0)]
    Time(#[n(0)] i64),
    /// Epoch and number of the one that comes next.
    #[n(1)]
    Number(#[n(0)] u32, #[n(1)] u64),
}

impl Next {
    fn is_number(self) -> bool {
        matches!(self, Next::Number(..))
    }
}

fn own(message: &Observation) -> Next {
    match message.sequence {
        Some(sequence) => Next::Number(message.epoch, sequence),
        None => Next::Time(message.event_time.0),
    }
}

impl Order {
    /// Whether a message may go on at once because it is the one that everybody waits for; notes that it does.
    #[inline]
    pub fn passes(&mut self, message: &Observation) -> bool {
        let Some(sequence) = message.sequence else { return self.passes_by_arrival(message) };
        let passes = self.waiting.is_empty() && self.next == Some(Next::Number(message.epoch, sequence));
        if passes {
            self.next = sequence.checked_add(1).map(|next| Next::Number(message.epoch, next));
        }
        passes
    }

    /// A device without clock and number said what it said when it came: nothing can come before it any more.
    fn passes_by_arrival(&mut self, message: &Observation) -> bool {
        let own = own(message);
        let follows = self.next.is_some_and(|next| !next.is_number() && next <= own);
        let passes = message.device_time.is_none() && self.waiting.is_empty() && follows;
        if passes {
            self.next = Some(own);
        }
        passes
    }

    /// Takes a message; gives back those that go on now, in order, each with its place. `progress`: how far the
    /// device has come with this message, event time.
    pub fn arrive(&mut self, arrived: Arrived, progress: Timestamp) -> Vec<(Arrived, Place)> {
        let mut gone = Vec::new();
        let place = own(&arrived.message);
        if self.waiting.first().is_some_and(|first| own(&first.message).is_number() != place.is_number()) {
            // It has begun to count, or ceased to: the two cannot be compared.
            self.release(self.waiting.len(), &mut gone);
        }
        match self.next.filter(|next| next.is_number() == place.is_number()) {
            // Nobody knows what may have been before the first.
            None => {
                self.go(arrived, Place::Next, &mut gone);
            }
            Some(next) if place < next => gone.push((arrived, Place::Behind)),
            Some(_) => {
                let index = self.waiting.partition_point(|known| own(&known.message) <= place);
                self.waiting.insert(index, arrived);
            }
        }
        let over = self.waiting.iter().rposition(|waiting| waiting.message.event_time <= progress);
        let over = over.map_or(0, |last| last + 1).max(self.waiting.len().saturating_sub(MOST));
        self.release(over, &mut gone);
        gone
    }

    /// Gives those that have waited long enough, at `now`, ingest time, or because they are of a time up to
    /// `progress`; and what goes on with them.
    pub fn expire(&mut self, now: Timestamp, progress: Timestamp) -> Vec<(Arrived, Place)> {
        let mut gone = Vec::new();
        let is_over = |waiting: &Arrived| waiting.due <= now || waiting.message.event_time <= progress;
        let over = self.waiting.iter().rposition(is_over).map_or(0, |last| last + 1);
        self.release(over, &mut gone);
        gone
    }

    /// Gives everything.
    #[cfg(test)]
    fn clear(&mut self) -> Vec<(Arrived, Place)> {
        let mut gone = Vec::new();
        self.release(self.waiting.len(), &mut gone);
        gone
    }

    /// When somebody has waited long enough, ingest time.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.waiting.iter().map(|waiting| waiting.due).min()
    }

    /// Lets the first `count` go, and those behind them that follow without a gap.
    fn release(&mut self, count: usize, gone: &mut Vec<(Arrived, Place)>) {
        let follows = |first: &Arrived, next: Option<Next>| {
            first.message.sequence.is_some() && next == Some(own(&first.message))
        };
        let mut left = count;
        while let Some(first) = self.waiting.first() {
            let is_next = follows(first, self.next);
            if left == 0 && !is_next {
                return;
            }
            left = left.saturating_sub(1);
            let is_gap = first.message.sequence.is_some() && !is_next;
            let first = self.waiting.remove(0);
            self.go(first, if is_gap { Place::AfterGap } else { Place::Next }, gone);
        }
    }

    fn go(&mut self, arrived: Arrived, place: Place, gone: &mut Vec<(Arrived, Place)>) {
        self.next = match own(&arrived.message) {
            Next::Number(epoch, sequence) => sequence.checked_add(1).map(|next| Next::Number(epoch, next)),
            time @ Next::Time(_) => Some(time),
        };
        gone.push((arrived, place));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use records::Body;

    const WAIT: i64 = 10_000;

    /// `at` is event and ingest time.
    fn arrived(sequence: Option<u64>, at: i64) -> Arrived {
        let message = Observation {
            device: "d".into(),
            epoch: 0,
            sequence,
            device_time: Some(Timestamp(at)),
            event_time: Timestamp(at),
            ingest_time: Timestamp(at),
            position: None,
            stated: None,
            is_late: false,
            body: Body::Readings(Vec::new()),
        };
        let due = Timestamp(at + WAIT);
        Arrived { message, verdict: Verdict::Trusted, forgotten_to: Timestamp::MIN, due }
    }

    /// Feeds `sequence@seconds` or `@seconds`, or `>seconds` for ingest time that passes; shows what goes on, `!` after
    /// a gap, `<` behind.
    fn run(steps: &str) -> String {
        let (mut order, mut newest, mut shown) = (Order::default(), i64::MIN + WAIT, Vec::new());
        for step in steps.split_whitespace() {
            order = minicbor::decode(&minicbor::to_vec(&order).unwrap()).unwrap();
            let gone = match step.strip_prefix('>') {
                Some(now) => order.expire(Timestamp(now.parse::<i64>().unwrap() * 1000), Timestamp::MIN),
                None => {
                    let (sequence, at) = step.split_once('@').unwrap();
                    let arrived = arrived(sequence.parse().ok(), at.parse::<i64>().unwrap() * 1000);
                    newest = newest.max(arrived.message.event_time.0);
                    match order.passes(&arrived.message) {
                        true => vec![(arrived, Place::Next)],
                        false => order.arrive(arrived, Timestamp(newest - WAIT)),
                    }
                }
            };
            let show = |(arrived, place): &(Arrived, Place)| {
                let mark = match place {
                    Place::Next => "",
                    Place::AfterGap => "!",
                    Place::Behind => "<",
                };
                format!("{}{mark}", arrived.message.event_time.0 / 1000)
            };
            shown.push(gone.iter().map(show).collect::<Vec<_>>().join(","));
        }
        shown.join(" ")
    }

    #[test]
    fn by_hand() {
        let check = |steps: &str, expected: &str| assert_eq!(run(steps), expected, "{steps}");
        // In order: nothing waits.
        check("5@0 6@1 7@2", "0 1 2");
        // A gap waits for what is missing.
        check("0@0 2@2 1@1 3@3", "0  1,2 3");
        // Or until the device has come further, or ingest time has.
        check("0@0 2@2 3@13", "0  2!,13");
        check("0@0 2@2 >11 >12 1@1", "0   2! 1<");
        // Its clock runs back between two messages: the numbers decide.
        check("0@0 2@8 3@7 1@9 4@10", "0   9,8,7 10");
        // Who does not count waits for what may come before.
        check("@0 @5 @3 @13 @15 >25", "0   3 5 13,15");
        check("@0 @20 >30 @4", "0  20 4<");
        // Who begins to count is another matter.
        check("@0 @5 1@6 2@7", "0  5,6 7");
    }

    #[test]
    fn without_clock_and_number_nothing_waits() {
        let mut order = Order::default();
        let mut said = |at: i64| {
            let mut arrived = arrived(None, at);
            arrived.message.device_time = None;
            order.passes(&arrived.message) || order.arrive(arrived, Timestamp(at - WAIT)).len() == 1
        };
        assert!([1, 2, 2, 9_000].into_iter().all(&mut said));
    }

    #[test]
    fn so_many_wait() {
        let mut order = Order::default();
        let progress = Timestamp(0);
        order.arrive(arrived(Some(0), 1), progress);
        let gone: usize =
            (2..100).map(|sequence| order.arrive(arrived(Some(sequence), 1), progress).len()).sum();
        // The first that goes takes those with it that follow: all.
        assert_eq!((gone, order.waiting.len()), (98, 0));
        let gone: usize =
            (100..200).map(|sequence| order.arrive(arrived(Some(sequence * 2), 1), progress).len()).sum();
        assert_eq!((gone, order.waiting.len()), (100 - MOST, MOST));
    }

    proptest! {
        /// Whatever order within the out-of-orderness, with or without numbers, and with numbers missing: the same
        /// order comes out, and nothing is lost.
        #[test]
        fn disorder_does_not_show(
            counts: bool,
            steps in prop::collection::vec((1..4_000i64, 0..WAIT - 1, prop::bool::weighted(0.8)), 1..60),
        ) {
            let mut at = 0;
            let all: Vec<(u64, i64, i64)> = (1..).zip(&steps).filter_map(|(n, (step, delay, is_there))| {
                at += step;
                is_there.then_some((n, at, at + delay))
            }).collect();
            let run = |mut messages: Vec<(u64, i64, i64)>, by_arrival: bool| {
                if by_arrival {
                    messages.sort_by_key(|message| message.2);
                }
                let mut order = Order::default();
                let (mut newest, mut shown) = (0, Vec::new());
                order.arrive(arrived(counts.then_some(0), 0), Timestamp(-WAIT));
                for (sequence, at, arrival) in messages {
                    let now = if by_arrival { arrival } else { at };
                    shown.extend(order.expire(Timestamp(now), Timestamp::MIN));
                    newest = newest.max(at);
                    let mut message = arrived(counts.then_some(sequence), at);
                    message.due = Timestamp(now + WAIT);
                    match order.passes(&message.message) {
                        true => shown.push((message, Place::Next)),
                        false => shown.extend(order.arrive(message, Timestamp(newest - WAIT))),
                    }
                }
                shown.extend(order.clear());
                shown.into_iter().map(|(arrived, place)| (arrived.message.event_time.0, place)).collect::<Vec<_>>()
            };
            let expected = run(all.clone(), false);
            prop_assert_eq!(expected.len(), all.len());
            prop_assert!(expected.iter().all(|(_, place)| *place != Place::Behind));
            prop_assert_eq!(run(all, true), expected);
        }
    }
}
