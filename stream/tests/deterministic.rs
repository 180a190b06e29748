//! The same input gives the same output: for any partitioning, any batches, any failures, any order that is allowed.

mod support;

use proptest::prelude::*;
use records::{Aggregate, AlertState, Body, ExactSum, Family, Observation, Record, Subject, Test};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use stream::Options;
use support::both::{self, Disturbance, Output, block_on, calm, run_over as run};
use support::fleet::{self, Chance, Input};

fn often(records: usize, snapshot: u64) -> Options {
    Options { commit_records: records, snapshot_records: snapshot, ..Options::default() }
}

/// The city is worth comparing: every use case raises something, and something clears.
#[test]
fn the_city_has_alerts() {
    let inputs = fleet::city(7);
    let output = run(&inputs, (1, 1), 1, &calm(), 1000);
    let rules: BTreeSet<&str> = output.alerts.values().map(|alert| alert[0].rule.as_str()).collect();
    let all = [
        "humid-without-dust",
        "line-shakes",
        "pm25-iaqi",
        "rain-3h",
        "shake-then-rest",
        "silent",
        "standing-queue",
        "tag-missing",
        "vibration-rises",
        "vibration-zone",
    ];
    assert_eq!(rules, BTreeSet::from(all));
    let last = |alert: &Vec<records::Alert>| alert.last().expect("an alert has a transition").state;
    assert!(output.alerts.values().any(|alert| last(alert) == AlertState::Cleared));
    let is_acknowledged = |alert: &records::Alert| alert.actor.is_some();
    assert!(output.alerts.values().flatten().any(is_acknowledged));
    assert!(output.aggregates.values().flatten().any(|row| row.revision > 0));
    assert!(output.sightings.len() == 2);
    let has_failed = |message: &Observation, test| match &message.body {
        Body::Readings(readings) => readings.iter().any(|reading| reading.quality.has_failed(test)),
        _ => false,
    };
    for test in [Test::Gap, Test::Spike, Test::Rate, Test::Clock] {
        assert!(output.observations.values().flatten().any(|message| has_failed(message, test)), "{test:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_number_of_partitions(seed: u64, ticks: u64) {
        let inputs = fleet::city(seed);
        let expected = run(&inputs, (1, 1), ticks, &calm(), 1000);
        for partitions in [(2, 1), (4, 3), (7, 2)] {
            let found = run(&inputs, partitions, ticks ^ u64::from(partitions.0), &calm(), 1000);
            prop_assert_eq!(&found, &expected, "{:?}", partitions);
        }
    }

    /// Workers that share the partitions of both jobs and fail now and then, each for itself.
    #[test]
    fn any_number_of_workers(seed: u64, chance: u64, commit in 1..200usize) {
        let inputs = fleet::city(seed);
        let expected = run(&inputs, (4, 4), 1, &calm(), 1000);
        for workers in 2..=4 {
            let (options, failing_percent) = (often(commit, 300), 10);
            let disturbance = Disturbance { seed: chance, failing_percent, options, workers, ..calm() };
            prop_assert_eq!(&run(&inputs, (4, 4), 1, &disturbance, 50), &expected, "{} workers", workers);
        }
    }

    #[test]
    fn any_batches(seed: u64, batch in 1..300usize, commit in 1..300usize) {
        let inputs = fleet::city(seed);
        let expected = run(&inputs, (2, 2), 1, &calm(), 1000);
        let disturbance = Disturbance { options: often(commit, 1_000_000), ..calm() };
        prop_assert_eq!(run(&inputs, (2, 2), 1, &disturbance, batch), expected);
    }

    /// A commit that fails, with or without effect, stops the job; it starts again from its snapshot, in silence up
    /// to where its outputs are out. Nothing is lost, nothing is doubled.
    #[test]
    fn any_crash(seed: u64, chance: u64, commit in 1..200usize, snapshot in 1..400u64) {
        let inputs = fleet::city(seed);
        let expected = run(&inputs, (2, 2), 1, &calm(), 1000);
        let options = often(commit, snapshot);
        let disturbance = Disturbance { seed: chance, failing_percent: 30, options, ..calm() };
        prop_assert_eq!(run(&inputs, (2, 2), 1, &disturbance, 50), expected);
    }

    /// Forwarders that crash and send again, gateways that share devices, a spool that begins anew: nothing is doubled,
    /// nothing is taken for a duplicate that is none.
    #[test]
    fn any_forwarder(seed: u64, chance: u64, commit in 1..200usize) {
        let mut inputs = fleet::city(seed);
        inputs.iter_mut().for_each(forget_sequence);
        let expected = run(&inputs, (3, 2), 1, &calm(), 1000);
        let found = block_on(async {
            let log = both::log(3, 2);
            log.limit_batches(50);
            let resent = fleet::append_forwarded(&log, &inputs, Chance(chance)).await;
            assert!(resent > 0, "nothing was sent again");
            let disturbance = Disturbance { seed: chance, failing_percent: 10, options: often(commit, 100), ..calm() };
            both::run(&log, &disturbance).await
        });
        prop_assert_eq!(found, expected);
    }

    /// Messages of a device that are out of order by less than the out-of-orderness, of devices that are silent for
    /// less than the patience. A device's first message is its first: nothing waits for what may have been before it.
    #[test]
    fn any_order_within_the_out_of_orderness(seed: u64) {
        let mut inputs = orderly(seed);
        let rows = |output: &Output| -> BTreeSet<String> {
            let rows = output.aggregates.values().flatten();
            let is_last = |row: &&Aggregate| match &row.subject {
                Subject::Device(_) => true,
                // How often an area is told depends on who speaks first; the last word does not.
                Subject::Area(_) => last_of(output, row).revision == row.revision,
            };
            rows.filter(is_last).map(|row| {
                let numbers = (row.sum.to_bits(), row.mean.to_bits(), row.min.to_bits(), row.max.to_bits());
                let revision = if matches!(row.subject, Subject::Area(_)) { 0 } else { row.revision };
                let counts = (revision, row.count, row.good);
                format!("{} {} {:?} {counts:?} {numbers:?}", row.subject.name(), row.quantity, row.window)
            }).chain(qualities(output)).collect()
        };
        let mut patient = calm();
        for family in Family::ALL {
            patient.config.times.of_mut(family).patience = Duration::from_secs(120);
        }
        let expected = rows(&run(&inputs, (1, 1), 1, &patient, 1000));
        let mut chance = Chance(seed);
        let mut known = BTreeSet::new();
        inputs.sort_by_cached_key(|input| match &input.record {
            Record::Observation(message) if known.insert(message.device.clone()) => message.event_time.0,
            Record::Observation(message) => message.event_time.0 + chance.below(9_999) as i64,
            _ => 0,
        });
        re_stamp(&mut inputs);
        let found = rows(&run(&inputs, (1, 1), 1, &patient, 1000));
        let different: Vec<_> = found.symmetric_difference(&expected).take(4).collect();
        prop_assert!(different.is_empty(), "{:#?}", different);
    }
}

/// The last word on the same window.
fn last_of<'o>(output: &'o Output, row: &Aggregate) -> &'o Aggregate {
    let series = (row.subject.name().clone(), row.quantity.name().into());
    let of_window = output.aggregates[&series].iter().filter(|other| other.window == row.window);
    of_window.max_by_key(|other| other.revision).expect("the row itself is one")
}

/// By hand: the sum of every usable value of the machines of a line in a minute, bit for bit, however often it was told
/// on the way.
#[test]
fn roll_ups_equal_brute_force() {
    let lines = [("m1", "line-1"), ("m2", "line-2"), ("slow", "line-2")];
    for seed in 0..12 {
        let output = run(&fleet::city(seed), (3, 2), seed, &calm(), 1000);
        let mut expected: BTreeMap<(&str, i64), (u32, ExactSum)> = BTreeMap::new();
        for (device, line) in lines {
            for message in output.observations[device].iter().filter(|message| !message.is_late) {
                let Body::Readings(readings) = &message.body else { continue };
                for reading in readings {
                    let minute = message.event_time.0.div_euclid(60_000) * 60_000;
                    let (count, sum) = expected.entry((line, minute)).or_default();
                    *count += 1;
                    if reading.quality.is_usable() {
                        sum.add(reading.value);
                    }
                }
            }
        }
        let rows =
            ["line-1", "line-2"].map(|line| &output.aggregates[&(line.into(), "line_vibration".into())]);
        let rows = rows.into_iter().flatten();
        let last = rows.filter(|row| last_of(&output, row).revision == row.revision);
        let found = last
            .map(|row| ((row.subject.name().as_str(), row.window.start.0), (row.count, row.mean.to_bits())));
        let found: BTreeMap<_, _> = found.collect();
        let expected: BTreeMap<_, _> =
            expected.into_iter().map(|(key, (count, sum))| (key, (count, sum.round().to_bits()))).collect();
        assert!(expected.len() > 10);
        assert_eq!(found, expected, "seed {seed}");
    }
}

/// By hand: the machine of a line with the greatest mean of a minute, and nobody else, however often that changed.
#[test]
fn who_stands_out_equals_brute_force() {
    let mut has_changed = false;
    for seed in 0..12 {
        let output = run(&fleet::city(seed), (3, 2), seed, &calm(), 1000);
        let mut means: BTreeMap<(i64, &str), (u32, ExactSum)> = BTreeMap::new();
        for device in ["m2", "slow"] {
            for message in output.observations[device].iter().filter(|message| !message.is_late) {
                let Body::Readings(readings) = &message.body else { continue };
                let minute = message.event_time.0.div_euclid(60_000) * 60_000;
                for reading in readings.iter().filter(|reading| reading.quality.is_usable()) {
                    let (count, sum) = means.entry((minute, device)).or_default();
                    *count += 1;
                    sum.add(reading.value);
                }
            }
        }
        let mut expected: BTreeMap<i64, (f64, &str)> = BTreeMap::new();
        for ((minute, device), (count, sum)) in &means {
            let mean = sum.round() / f64::from(*count);
            let known = expected.entry(*minute).or_insert((mean, device));
            if mean > known.0 {
                *known = (mean, device);
            }
        }
        let mut found: BTreeMap<i64, (f64, &str)> = BTreeMap::new();
        for device in ["m2", "slow"] {
            let rows = output.aggregates.get(&(device.into(), "shakiest".into())).into_iter().flatten();
            for row in rows.filter(|row| last_of(&output, row).revision == row.revision) {
                has_changed |= row.good == 0;
                if row.good > 0 {
                    let other = found.insert(row.window.start.0, (row.mean, device));
                    assert_eq!(other, None, "one stands out, seed {seed}");
                }
            }
        }
        assert!(expected.len() > 5);
        assert_eq!(found, expected, "seed {seed}");
    }
    assert!(has_changed, "nobody is told to stand out no longer");
}

/// What the tests of quality said of every value.
fn qualities(output: &Output) -> BTreeSet<String> {
    let messages = output.observations.values().flatten();
    messages.map(|message| format!("{} {} {:?}", message.device, message.event_time, message.body)).collect()
}

/// So that nothing but its origin tells that a message was brought again.
fn forget_sequence(input: &mut Input) {
    if let Record::Observation(message) = &mut input.record {
        message.sequence = None;
    }
}

/// The city with true clocks and without silences: messages arrive as they happen.
fn orderly(seed: u64) -> Vec<Input> {
    let mut inputs = fleet::city(seed);
    inputs.retain(|input| match &input.record {
        Record::Observation(message) => {
            let delay = message.ingest_time.since(message.event_time);
            delay < Duration::from_secs(3600)
                && message.event_time <= message.ingest_time
                && !matches!(message.body, Body::TagReads(_))
        }
        Record::Device(_) => true,
        _ => false,
    });
    let time = |input: &Input| match &input.record {
        Record::Observation(message) => message.event_time.0,
        _ => 0,
    };
    inputs.sort_by_key(time);
    inputs.dedup_by(|a, b| time(a) == time(b) && a.key == b.key);
    re_stamp(&mut inputs);
    inputs
}

/// Ingest times that follow the order, ten seconds behind the newest event time: nothing arrives before it happens,
/// and no patience ends while something is missing.
fn re_stamp(inputs: &mut [Input]) {
    let mut newest = i64::MIN;
    for input in inputs {
        if let Record::Observation(message) = &mut input.record {
            newest = newest.max(message.event_time.0 + 10_000);
            message.ingest_time.0 = newest;
            input.at = newest;
        }
    }
}
