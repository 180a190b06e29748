//! Rules that change while records come: at one place, the same for everybody, and only what is otherwise changes.

mod support;

use proptest::prelude::*;
use records::{Alert, AlertState, Record, Rules, Timestamp};
use std::collections::BTreeSet;
use std::time::Duration;
use stream::Options;
use support::both::{self, Disturbance, Output, RULES, calm};
use support::fleet::{self, Input};

fn run(inputs: &[Input], partitions: (u32, u32), disturbance: &Disturbance, batch: usize) -> Output {
    both::run_over(inputs, partitions, 1, disturbance, batch)
}

/// Rules of which some are gone, some are otherwise, some are new, and the rest are alike.
fn other_rules() -> String {
    let mut table: toml::Table = RULES.parse().expect("TOML");
    let mut rules =
        |kind: &str| table.remove(kind).and_then(|rules| rules.try_into::<Vec<toml::Table>>().ok());
    let mut absences = rules("absence").expect("there are some");
    absences.remove(0);
    let mut thresholds = rules("threshold").expect("there are some");
    for rule in &mut thresholds {
        if rule["id"].as_str() == Some("vibration-zone") {
            rule.insert("hold_on_s".into(), 60.into());
        }
    }
    // In another order, so that a place is no name.
    thresholds.reverse();
    let mut jobs = rules("job").expect("there are some");
    jobs.rotate_left(1);
    let mut queues = rules("queue").expect("there are some");
    let mut further = queues[0].clone();
    further.insert("id".into(), "short-queue".into());
    queues.insert(0, further);
    for (kind, rules) in [("absence", absences), ("threshold", thresholds), ("job", jobs), ("queue", queues)]
    {
        table.insert(kind.into(), toml::Value::try_from(rules).expect("tables"));
    }
    table.to_string()
}

/// The inputs, with other rules after so many in a hundred of them.
fn changed(inputs: &[Input], percent: usize, text: &str) -> (Vec<Input>, Timestamp) {
    let place = inputs.len() * percent / 100;
    let at = Timestamp(inputs[place].at + 1500);
    let rules = Rules { at, text: text.into(), replaces: RULES.into() };
    let change = Input { at: inputs[place].at, key: "".into(), record: Record::Rules(rules) };
    let (before, after) = inputs.split_at(place);
    ([before, &[change], after].concat(), at)
}

fn alerts(output: &Output, is_meant: impl Fn(&str) -> bool) -> Vec<&Alert> {
    output.alerts.values().flatten().filter(|alert| is_meant(&alert.rule)).collect()
}

const OTHERWISE: [&str; 3] = ["silent", "vibration-zone", "short-queue"];

#[test]
fn what_is_alike_goes_on_and_what_is_not_ends() {
    let mut ended = BTreeSet::new();
    for seed in 0..8 {
        let inputs = fleet::city(seed);
        for percent in [30, 50, 70] {
            let (with_change, at) = changed(&inputs, percent, &other_rules());
            let (before, after) =
                (run(&inputs, (2, 2), &calm(), 1000), run(&with_change, (2, 2), &calm(), 1000));
            // Neither windows nor the alerts of rules that are alike notice anything.
            assert_eq!(after.observations, before.observations, "seed {seed}");
            assert_eq!(after.aggregates, before.aggregates, "seed {seed}");
            assert_eq!(after.sightings, before.sightings, "seed {seed}");
            let alike = |rule: &str| !OTHERWISE.contains(&rule);
            assert_eq!(alerts(&after, alike), alerts(&before, alike), "seed {seed} at {percent}");
            // Until the change nothing is otherwise; alerts that were open then end, and say why.
            let known = |output: &Output| -> Vec<Alert> {
                let all = alerts(output, |rule| OTHERWISE.contains(&rule)).into_iter();
                all.filter(|alert| alert.as_of < at).cloned().collect()
            };
            assert_eq!(known(&after), known(&before));
            // A partition changes with the first record a second behind it.
            let until = at + Duration::from_secs(1);
            for life in after.alerts.values().filter(|life| OTHERWISE[..2].contains(&&*life[0].rule)) {
                let is_end = |alert: &&Alert| alert.text.contains("over, because the rule was");
                let mut before = life.iter().filter(|alert| !is_end(alert) && alert.as_of < until);
                let was_open = before.next_back().is_some_and(|last| last.state != AlertState::Cleared);
                let end = life.iter().find(is_end);
                assert_eq!(was_open, end.is_some(), "{life:#?}");
                if let Some(end) = end {
                    assert_eq!(end.state, AlertState::Cleared);
                    assert_eq!(life.last(), Some(end));
                    ended.insert(end.text.rsplit_once(' ').expect("words").1.to_owned());
                }
            }
            let is_removed = |alert: &&Alert| alert.rule == "silent" && alert.as_of > at;
            assert!(
                alerts(&after, |_| true)
                    .iter()
                    .filter(|alert| is_removed(alert))
                    .all(|alert| alert.state == AlertState::Cleared)
            );
        }
    }
    assert_eq!(ended, BTreeSet::from(["changed".to_owned(), "removed".to_owned()]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// In batches and commits of any size, with workers that fail, from snapshots of before and after the change.
    #[test]
    fn a_change_is_at_one_place(seed: u64, chance: u64, percent in 5..95usize, batch in 1..200usize, commit in 1..200usize, snapshot in 1..400u64) {
        let (inputs, _) = changed(&fleet::city(seed), percent, &other_rules());
        let expected = run(&inputs, (4, 3), &calm(), 1000);
        let options = Options { commit_records: commit, snapshot_records: snapshot, ..Options::default() };
        for workers in 1..=3 {
            let disturbance =
                Disturbance { seed: chance, failing_percent: 20, options: options.clone(), workers, ..calm() };
            prop_assert_eq!(&run(&inputs, (4, 3), &disturbance, batch), &expected, "{} workers", workers);
        }
    }

    /// There and back again, and rules that are none: what can't be read changes nothing.
    #[test]
    fn any_sequence_of_changes(seed: u64, percents in proptest::collection::vec((5..95usize, 0..3usize), 1..5), commit in 1..100usize) {
        let texts = [RULES.to_owned(), other_rules(), "nonsense".to_owned()];
        let mut inputs = fleet::city(seed);
        for (percent, which) in percents {
            inputs = changed(&inputs, percent, &texts[which]).0;
        }
        let expected = run(&inputs, (2, 2), &calm(), 1000);
        let options = Options { commit_records: commit, snapshot_records: 50, ..Options::default() };
        let disturbance = Disturbance { seed, failing_percent: 20, options, workers: 2, ..calm() };
        prop_assert_eq!(run(&inputs, (2, 2), &disturbance, 30), expected);
    }
}
