//! How long values stood: a mean over time instead of over readings.
//!
//! A value stands from its event time until that of the next one, and no longer than a time called *hold*: after that
//! nobody knows what the quantity was.

use super::spread::product;
use minicbor::{Decode, Encode};
use records::{ExactSum, Timestamp, Window};
use std::time::Duration;

/// Most values of one quantity and pane that are kept apart. Beyond that the earlier half is summed up for good, so
/// that nothing can come between them any more.
const MOST: usize = 1024;

/// What is known of how long values stood: in a pane, or in a window as it is told.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Standing {
    /// Since when each stands.
    #[n(0)]
    Steps(#[n(0)] Steps),
    /// How long they stood.
    #[n(1)]
    Held(#[n(0)] Held),
}

/// A value, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub struct Step {
    #[cbor(n(0), with = "crate::cbor")]
    at: Timestamp,
    #[n(1)]
    value: f64,
}

/// The values of a pane in order of event time; of several at one time the greatest stands.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Steps {
    #[n(0)]
    steps: Vec<Step>,
    #[n(1)]
    settled: Option<Settled>,
}

/// Values before the first that is kept.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
struct Settled {
    #[cbor(n(0), with = "crate::cbor")]
    since: Timestamp,
    #[n(1)]
    held: Held,
}

/// Values times how long they stood, exactly. Those of several panes or devices add up.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Held {
    /// In the value's unit times milliseconds.
    #[n(0)]
    integral: ExactSum,
    #[n(1)]
    millis: u64,
}

impl Steps {
    /// Adds a value, which stands no longer than `hold`. Returns whether there was a place for it: what is before the
    /// values that are kept apart came too late.
    pub fn add(&mut self, at: Timestamp, value: f64, hold: Duration) -> bool {
        let index = self.steps.partition_point(|step| step.at < at);
        if index == 0 && self.settled.is_some() {
            return false;
        }
        match self.steps.get_mut(index).filter(|step| step.at == at) {
            Some(step) => step.value = step.value.max(value),
            None => self.steps.insert(index, Step { at, value }),
        }
        if self.steps.len() > MOST {
            self.settle(MOST / 2, hold);
        }
        true
    }

    fn settle(&mut self, count: usize, hold: Duration) {
        let since = self.steps[0].at;
        let settled = self.settled.get_or_insert_with(|| Settled { since, held: Held::default() });
        for pair in self.steps[..=count].windows(2) {
            settled.held.add(pair[0], Window { start: since, end: pair[1].at }, hold);
        }
        self.steps.drain(..count);
    }

    /// The last value.
    pub fn last(&self) -> Option<Step> {
        self.steps.last().copied()
    }

    /// Whether a value stands since that instant.
    pub fn has(&self, at: Timestamp) -> bool {
        self.steps.binary_search_by_key(&at, |step| step.at).is_ok()
    }

    /// Since when the next value behind that instant stands.
    pub fn next(&self, at: Timestamp) -> Option<Timestamp> {
        self.steps.get(self.steps.partition_point(|step| step.at <= at)).map(|step| step.at)
    }
}

impl Held {
    /// What stood in `span`: the values of its panes, in order, and the last one before them.
    pub fn of<'s>(
        panes: impl Iterator<Item = &'s Steps>,
        before: Option<Step>,
        span: Window,
        hold: Duration,
    ) -> Held {
        let (mut held, mut standing) = (Held::default(), before);
        for pane in panes {
            if let Some(settled) = &pane.settled {
                held.end(&mut standing, settled.since, span, hold);
                held.merge(&settled.held);
            }
            for step in &pane.steps {
                held.end(&mut standing, step.at, span, hold);
                standing = Some(*step);
            }
        }
        held.end(&mut standing, span.end, span, hold);
        held
    }

    /// What stood does so no more.
    fn end(&mut self, standing: &mut Option<Step>, at: Timestamp, span: Window, hold: Duration) {
        if let Some(step) = standing.take() {
            self.add(step, Window { start: span.start, end: span.end.min(at) }, hold);
        }
    }

    /// Adds a value for as long as it stands in `span`.
    fn add(&mut self, step: Step, span: Window, hold: Duration) {
        let (from, to) = (step.at.max(span.start), span.end.min(step.at + hold));
        let millis = u64::try_from(to.since(from).as_millis()).expect("instants are milliseconds of 64 bits");
        let (high, low) = product(step.value, millis as f64);
        self.integral.add(high);
        self.integral.add(low);
        self.millis = self.millis.saturating_add(millis);
    }

    /// Adds what another holds.
    pub fn merge(&mut self, other: &Held) {
        self.integral.merge(&other.integral);
        self.millis = self.millis.saturating_add(other.millis);
    }

    /// The mean over the time for which a value stood; `None` when none did.
    pub fn mean(&self) -> Option<f64> {
        (self.millis > 0).then(|| self.integral.round() / self.millis as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLD: Duration = Duration::from_millis(100);

    fn steps(values: &[(i64, f64)]) -> Steps {
        let mut steps = Steps::default();
        values.iter().for_each(|(at, value)| assert!(steps.add(Timestamp(*at), *value, HOLD)));
        steps
    }

    fn held(panes: &[Steps], before: Option<(i64, f64)>, start: i64, end: i64) -> Held {
        let before = before.map(|(at, value)| Step { at: Timestamp(at), value });
        Held::of(panes.iter(), before, Window { start: Timestamp(start), end: Timestamp(end) }, HOLD)
    }

    #[test]
    fn by_hand() {
        let check = |values: &[(i64, f64)], before, expected: Option<f64>| {
            assert_eq!(held(&[steps(values)], before, 0, 200).mean(), expected, "{values:?} {before:?}");
        };
        check(&[], None, None);
        // From 50 to 150: no longer than it is held.
        check(&[(50, 4.0)], None, Some(4.0));
        check(&[(100, 4.0), (150, 8.0)], None, Some(6.0));
        check(&[(150, 8.0), (100, 4.0)], None, Some(6.0));
        // What stood before stands until the first, or until it has been held for long enough.
        check(&[(50, 4.0), (150, 8.0)], Some((-10, 1.0)), Some((50.0 + 400.0 + 400.0) / 200.0));
        check(&[(150, 8.0)], Some((-60, 1.0)), Some((40.0 + 400.0) / 90.0));
        check(&[(150, 8.0)], Some((-100, 1.0)), Some(8.0));
        check(&[(100, 3.0), (100, 5.0)], None, Some(5.0));
        check(&[(100, 5.0), (100, 3.0)], None, Some(5.0));
    }

    /// 0.1 for a tenth of the time has no exact form as a double; its sum over many panes has.
    #[test]
    fn panes_add_up_exactly() {
        let panes: Vec<Steps> = (0..1000).map(|n| steps(&[(n * 10, 0.1), (n * 10 + 1, 1e15)])).collect();
        let mut added = Held::default();
        for (n, pane) in (0..).zip(&panes) {
            added.merge(&held(std::slice::from_ref(pane), None, n * 10, n * 10 + 10));
        }
        let whole = held(&panes, None, 0, 10_000);
        assert_eq!(whole.mean().map(f64::to_bits), added.mean().map(f64::to_bits));
        assert_eq!(whole.millis, 10_000);
    }

    /// In order it does not show that early values are summed up; what comes before them is refused, not misplaced.
    #[test]
    fn stays_bounded() {
        let values: Vec<(i64, f64)> = (0..5000).map(|n| (n * 7, (n % 13) as f64)).collect();
        let mut bounded = steps(&values);
        assert!(bounded.steps.len() <= MOST);
        let expected: f64 = values.iter().map(|(_, value)| value * 7.0).sum::<f64>() / 35_000.0;
        assert_eq!(held(&[bounded.clone()], None, 0, 35_000).mean(), Some(expected));
        let unchanged = bounded.clone();
        assert!(!bounded.add(Timestamp(3), 1e6, HOLD));
        assert_eq!(bounded, unchanged);
        assert!(bounded.add(Timestamp(34_990), 1e6, HOLD));
    }
}
