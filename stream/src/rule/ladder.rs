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

    fn height(&self) -> usize {
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
mod tests {
    use super::*;
    use crate::rule::ladder::oracle::oracle;
    use crate::rule::{Direction, Template};
    use proptest::prelude::*;
    use records::{Family, Quantity, UseCase};

    /// `levels` as (open, clear); holds and gap in milliseconds.
    pub(super) fn rule(levels: &[(f64, f64)], on: u64, off: u64, gap: u64) -> ThresholdRule {
        let severities = [Severity::Minor, Severity::Moderate, Severity::Severe, Severity::Extreme];
        let level = |((open, clear), severity): (&(f64, f64), Severity)| Level {
            severity,
            name: "".into(),
            open: *open,
            clear: *clear,
        };
        ThresholdRule {
            id: "r".into(),
            use_case: UseCase::Environment,
            family: Family::Air,
            quantity: Quantity::from_name("pm2_5"),
            direction: Direction::Above,
            levels: levels.iter().zip(severities).map(level).collect(),
            hold_on: Duration::from_millis(on),
            hold_off: Duration::from_millis(off),
            gap: Duration::from_millis(gap),
            text: Template::default(),
            cleared: Template::default(),
            source: "".into(),
        }
    }

    fn show(step: &Step) -> String {
        let change = match step.change {
            Change::Open => "open",
            Change::Raise => "raise",
            Change::Lower => "lower",
            Change::Clear => "clear",
        };
        format!("{} {change} {:?} past {} since {}", step.at, step.severity, step.threshold, step.since)
    }

    /// `observed`: `time:value`, where the value holds from `time` to `time + width`; `-` for rest.
    fn run(rule: &ThresholdRule, width: i64, observed: &str) -> Vec<String> {
        let mut ladder = Ladder::default();
        let observe = |item: &str| {
            let (at, value) = item.split_once(':').unwrap();
            let start = Timestamp(at.parse().unwrap());
            let span = Window { start, end: Timestamp(start.0 + width) };
            match value {
                "-" => ladder.observe_rest(rule, span),
                value => ladder.observe(rule, span, value.parse().unwrap()),
            }
        };
        observed.split_whitespace().filter_map(observe).map(|step| show(&step)).collect()
    }

    const THREE: &[(f64, f64)] = &[(10.0, 8.0), (20.0, 18.0), (30.0, 12.0)];

    #[test]
    fn without_hold() {
        let check = |observed: &str, expected: &[&str]| {
            let levels = &[(10.0, 8.0), (20.0, 18.0), (30.0, 28.0)];
            assert_eq!(run(&rule(levels, 0, 0, 1000), 0, observed), expected, "{observed}");
        };
        check("1:9.99", &[]);
        check("1:10", &["1 open Minor past 10 since 1"]);
        check("1:10 2:10 3:8", &["1 open Minor past 10 since 1"]);
        check("1:10 3:7.9", &["1 open Minor past 10 since 1", "3 clear Minor past 8 since 1"]);
        check("1:35 3:0", &["1 open Severe past 30 since 1", "3 clear Severe past 8 since 1"]);
        check("1:10 2:20", &["1 open Minor past 10 since 1", "2 raise Moderate past 20 since 1"]);
        check("1:20 2:18", &["1 open Moderate past 20 since 1"]);
        check("1:20 2:17", &["1 open Moderate past 20 since 1", "2 lower Minor past 18 since 1"]);
        check("1:30 2:9", &["1 open Severe past 30 since 1", "2 lower Minor past 18 since 1"]);
        check(
            "1:10 2:- 3:10",
            &["1 open Minor past 10 since 1", "2 clear Minor past 8 since 1", "3 open Minor past 10 since 3"],
        );
    }

    #[test]
    fn with_hold() {
        let check = |observed: &str, expected: &[&str]| {
            let rule = rule(&[(10.0, 10.0), (20.0, 15.0)], 3, 2, 5);
            assert_eq!(run(&rule, 1, observed), expected, "{observed}");
        };
        // Three windows of length 1 make a hold of 3; it began with the first of them.
        check("1:10 2:10 3:10", &["4 open Minor past 10 since 1"]);
        check("1:10 2:9 3:10 4:10", &[]);
        check("1:10 2:9 3:10 4:10 5:10", &["6 open Minor past 10 since 3"]);
        // The worse level has a hold of its own.
        check("1:10 2:20 3:20 4:20", &["4 open Minor past 10 since 1", "5 raise Moderate past 20 since 1"]);
        check("1:20 2:20 3:20", &["4 open Moderate past 20 since 1"]);
        // On the way down as well.
        check(
            "1:20 2:20 3:20 4:9 5:10 6:9 7:9",
            &[
                "4 open Moderate past 20 since 1",
                "6 lower Minor past 15 since 1",
                "8 clear Minor past 10 since 1",
            ],
        );
        // After a silence longer than the gap nobody knows: the hold starts anew.
        check("1:10 7:10 8:10", &["8 open Minor past 10 since 1"]);
        check("1:10 8:10 9:10", &[]);
        check("1:10 8:10 9:10 10:10", &["11 open Minor past 10 since 8"]);
    }

    #[test]
    fn what_says_nothing_changes_nothing() {
        let check = |observed: &str| {
            let rule = rule(THREE, 0, 0, 1000);
            assert_eq!(run(&rule, 0, observed), ["5 open Minor past 10 since 5"], "{observed}");
        };
        check("5:10 6:NaN");
        check("5:10 6:inf");
        check("5:10 6:-inf");
        check("4:NaN 5:10");
        check("5:10 4:0"); // out of order
    }

    #[test]
    fn a_low_value_can_be_the_danger() {
        let low = ThresholdRule { direction: Direction::Below, ..rule(&[(5.0, 6.0), (3.0, 4.0)], 0, 0, 10) };
        let expected = ["1 open Minor past 5 since 1", "2 raise Moderate past 3 since 1"];
        assert_eq!(run(&low, 0, "0:5.1 1:5 2:3 3:4"), expected);
        assert_eq!(run(&low, 0, "2:3 3:6.1").last().unwrap(), "3 clear Moderate past 6 since 2");
    }

    #[test]
    fn a_rule_may_change_under_a_snapshot() {
        let span = |at| Window { start: Timestamp(at), end: Timestamp(at) };
        let mut ladder = Ladder::default();
        ladder.observe(&rule(THREE, 0, 0, 10), span(1), 50.0);
        let fewer = rule(&THREE[..1], 0, 0, 10);
        assert_eq!(ladder.observe(&fewer, span(2), 50.0), None);
        assert_eq!(ladder.severity(&fewer), Some(Severity::Minor));
        assert_eq!(show(&ladder.observe(&fewer, span(3), 0.0).unwrap()), "3 clear Minor past 8 since 1");
    }

    proptest! {
        /// Against an oracle that looks at the whole history each time, with a detour through a snapshot.
        #[test]
        fn equals_the_oracle(
            opens in proptest::sample::subsequence(vec![4.0, 6.0, 8.0, 10.0], 1..=4),
            back in 0..5u8,
            holds in (0..6u64, 0..6u64, 1..8u64),
            width in 0..3i64,
            observed in proptest::collection::vec((-2..6i64, 0..13u8), 0..60),
        ) {
            let levels: Vec<_> = opens.iter().map(|open| (*open, open - f64::from(back))).collect();
            let rule = rule(&levels, holds.0, holds.1, holds.2);
            let mut ladder = Ladder::default();
            let mut history = Vec::new();
            let mut at = 0;
            for (step, value) in observed {
                at += step;
                let value = if value == 12 { f64::NAN } else { f64::from(value) };
                let span = Window { start: Timestamp(at), end: Timestamp(at + width) };
                history.push((span, value));
                let bytes = minicbor::to_vec(&ladder).unwrap();
                ladder = minicbor::decode(&bytes).unwrap();
                prop_assert_eq!(ladder.observe(&rule, span, value), oracle(&rule, &history), "{:?}", history);
            }
        }
    }
}

/// The same by looking back over everything that was ever observed.
#[cfg(test)]
mod oracle {
    use super::*;

    /// The step that the last of `history` causes.
    pub(super) fn oracle(rule: &ThresholdRule, history: &[(Window, f64)]) -> Option<Step> {
        let mut counted: Vec<(Window, f64)> = Vec::new();
        let mut is_last_counted = false;
        for (span, value) in history {
            let is_in_order = counted.iter().all(|(earlier, _)| earlier.end <= span.end);
            is_last_counted = value.is_finite() && is_in_order;
            if is_last_counted {
                counted.push((*span, *value));
            }
        }
        let last = counted.len().checked_sub(1)?;
        let before = last.checked_sub(1).map_or(0, |before| height(rule, &counted[..=before]));
        let now = height(rule, &counted);
        if !is_last_counted || before == now {
            return None;
        }
        let (change, level, threshold) = match () {
            () if before == 0 => (Change::Open, now - 1, rule.levels[now - 1].open),
            () if now == 0 => (Change::Clear, before - 1, rule.levels[0].clear),
            () if now > before => (Change::Raise, now - 1, rule.levels[now - 1].open),
            () => (Change::Lower, now - 1, rule.levels[now].clear),
        };
        let opening = (0..=last)
            .filter(|at| height(rule, &counted[..=*at]) > 0)
            .rfind(|at| *at == 0 || height(rule, &counted[..*at]) == 0)?;
        let since =
            held_since(rule, &counted[..=opening], |value| value >= rule.levels[0].open, rule.hold_on)?;
        Some(Step {
            change,
            severity: rule.levels[level].severity,
            level,
            threshold,
            since,
            at: counted[last].0.end,
        })
    }

    /// How many levels hold after the last observation: each as the last completed hold left it.
    fn height(rule: &ThresholdRule, counted: &[(Window, f64)]) -> usize {
        let holds = |level: &&Level| {
            let last_verdict = |to: &usize| {
                let upto = &counted[..=*to];
                let is_on = held_since(rule, upto, |value| value >= level.open, rule.hold_on).is_some();
                let is_off = held_since(rule, upto, |value| value < level.clear, rule.hold_off).is_some();
                (is_on || is_off).then_some(is_on)
            };
            (0..counted.len()).rev().find_map(|to| last_verdict(&to)) == Some(true)
        };
        rule.levels.iter().filter(holds).count()
    }

    /// Since when all values satisfy `test`, if that is long enough at the last of them.
    fn held_since(
        rule: &ThresholdRule,
        counted: &[(Window, f64)],
        test: impl Fn(f64) -> bool,
        hold: Duration,
    ) -> Option<Timestamp> {
        let is_run = |from: &usize| {
            let run = &counted[*from..];
            run.iter().all(|(_, value)| test(*value))
                && run.windows(2).all(|pair| pair[1].0.start.since(pair[0].0.end) <= rule.gap)
        };
        let from = (0..counted.len()).find(is_run)?;
        let (since, end) = (counted[from].0.start, counted.last()?.0.end);
        (end.since(since) >= hold).then_some(since)
    }
}
