//! The state machine of one rule for one subject: which level holds, and since when.
//!
//! Each level is a switch of its own: on when its opening threshold has been reached for the rule's hold-on, off
//! when the value has been on the safe side of its clear threshold for the hold-off. Because a rule's levels are
//! ordered, a level that is on implies all milder ones, so the number of switches that are on is the height.

use super::threshold::{Level, ThresholdRule};
use minicbor::{Decode, Encode};
use records::{Severity, Timestamp, Window};
use std::time::Duration;

/// How high a subject stands on the levels of a rule.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Ladder {
    #[n(0)]
    switches: Vec<Switch>,
    /// End of the newest observation.
    #[cbor(n(1), with = "crate::cbor")]
    seen_to: Option<Timestamp>,
    /// Since when the condition holds; `None` while it doesn't.
    #[cbor(n(2), with = "crate::cbor")]
    opened_at: Option<Timestamp>,
}

/// A change of height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Which way.
    pub change: Change,
    /// How bad it is now; for [`Change::Clear`], how bad it was last.
    pub severity: Severity,
    /// Index of that severity's level in the rule.
    pub level: usize,
    /// What was crossed: a level's opening threshold on the way up, its clear threshold on the way down.
    pub threshold: f64,
    /// From when on the condition held: the start of the hold that led to [`Change::Open`].
    pub since: Timestamp,
    /// When this step was due: the end of the observation that completed it.
    pub at: Timestamp,
}

/// Which way a [`Step`] leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// From nothing to some level.
    Open,
    /// To a worse level.
    Raise,
    /// To a milder level.
    Lower,
    /// To nothing.
    Clear,
}

impl Ladder {
    /// Takes the value that holds during `span` (for a value of an instant: start = end) and says what changes.
    ///
    /// Observations come in event-time order; one that ends before the newest is ignored, and so is a value that
    /// is not finite.
    pub fn observe(&mut self, rule: &ThresholdRule, span: Window, value: f64) -> Option<Step> {
        if !value.is_finite() {
            return None;
        }
        let reaches = |threshold| rule.direction.reaches(value, threshold);
        self.judge(rule, span, |level| reaches(level.open), |level| !reaches(level.clear))
    }

    /// Takes that the condition does not hold during `span`, whatever the value: rain that has stopped.
    pub fn observe_rest(&mut self, rule: &ThresholdRule, span: Window) -> Option<Step> {
        self.judge(rule, span, |_| false, |_| true)
    }

    /// How bad it is; `None` while nothing holds.
    pub fn severity(&self, rule: &ThresholdRule) -> Option<Severity> {
        Some(rule.levels.get(self.height().checked_sub(1)?)?.severity)
    }

    fn judge(
        &mut self,
        rule: &ThresholdRule,
        span: Window,
        is_reached: impl Fn(&Level) -> bool,
        is_safe: impl Fn(&Level) -> bool,
    ) -> Option<Step> {
        if self.seen_to.is_some_and(|seen_to| span.end < seen_to) {
            return None;
        }
        let is_after_gap = self.seen_to.is_some_and(|seen_to| span.start.since(seen_to) > rule.gap);
        self.seen_to = Some(span.end);
        // A snapshot may come from before the rule was changed: levels that it lost are forgotten.
        self.switches.resize(rule.levels.len(), Switch::default());
        let before = self.height();
        let mut mildest_since = None;
        for (index, (switch, level)) in self.switches.iter_mut().zip(&rule.levels).enumerate() {
            if is_after_gap {
                switch.turning_since = None;
            }
            let (turns, hold) = if switch.is_on {
                (is_safe(level), rule.hold_off)
            } else {
                (is_reached(level), rule.hold_on)
            };
            let since = switch.turn(span, turns, hold);
            if index == 0 {
                mildest_since = since;
            }
        }
        self.step(rule, before, mildest_since, span.end)
    }

    /// What a height of `before` has become; `since` is the start of the hold that turned the mildest level.
    fn step(
        &mut self,
        rule: &ThresholdRule,
        before: usize,
        since: Option<Timestamp>,
        at: Timestamp,
    ) -> Option<Step> {
        let now = self.height();
        let change = match (before, now) {
            (0, 1..) => Change::Open,
            (1.., 0) => Change::Clear,
            _ if now > before => Change::Raise,
            _ if now < before => Change::Lower,
            _ => return None,
        };
        let (level, threshold) = match change {
            Change::Open | Change::Raise => (now - 1, rule.levels[now - 1].open),
            Change::Lower => (now - 1, rule.levels[now].clear),
            Change::Clear => (before - 1, rule.levels[0].clear),
        };
        if change == Change::Open {
            self.opened_at = since;
        }
        let since = self.opened_at.unwrap_or(at);
        if change == Change::Clear {
            self.opened_at = None;
        }
        Some(Step { change, severity: rule.levels[level].severity, level, threshold, since, at })
    }

    /// Whether no level is on, and none is about to be.
    pub fn is_at_rest(&self) -> bool {
        self.switches.iter().all(|switch| *switch == Switch::default())
    }

    /// How many levels are on.
    pub fn height(&self) -> usize {
        self.switches.iter().take_while(|switch| switch.is_on).count()
    }
}

/// Whether a level holds, and since when that is about to change.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
struct Switch {
    #[n(0)]
    is_on: bool,
    #[cbor(n(1), with = "crate::cbor")]
    turning_since: Option<Timestamp>,
}

impl Switch {
    /// Turns when `turns` has been true for `hold`; returns since when it had been.
    fn turn(&mut self, span: Window, turns: bool, hold: Duration) -> Option<Timestamp> {
        if !turns {
            self.turning_since = None;
            return None;
        }
        let since = *self.turning_since.get_or_insert(span.start);
        if span.end.since(since) < hold {
            return None;
        }
        *self = Switch { is_on: !self.is_on, turning_since: None };
        Some(since)
    }
}

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
