use super::oracle::oracle;
use super::*;
use crate::rule::ViewRule;
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
        view: ViewRule::default(),
        direction: Direction::Above,
        levels: levels.iter().zip(severities).map(level).collect(),
        hold_on: Duration::from_millis(on),
        hold_off: Duration::from_millis(off),
        gap: Duration::from_millis(gap),
        text: Template::default(),
        cleared: Template::default(),
        is_shadow: false,
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
