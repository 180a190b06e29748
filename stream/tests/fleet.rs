//! A fleet of which some lie: what they do to themselves, and that they do nothing to anybody else.
//!
//! 1,000 devices speak once a minute for seven hours; five minutes make a window. One in a hundred is two hours fast,
//! one slow by as much, one loses its clock for 1970, one goes eight hours wrong; five return with six hours of
//! backlog; 30 % of all messages are repeated and 30 % come out of order. The same devices with right clocks, in
//! order and without a failure are the clean run.

mod support;

use records::{
    Aggregate, Body, Observation, Quality, Quantity, Reading, Record, Tick, Timestamp, Topic, Window,
};
use std::collections::BTreeMap;
use std::sync::LazyLock;
use stream::rule::Ruleset;
use stream::{DeviceConfig, DeviceJob, Fact, Job, Outputs, Partitions};
use support::fleet::{Chance, START};

const DEVICES: usize = 1000;
const MINUTES: i64 = 7 * 60;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
/// When clocks go wrong that were right before.
const STEP: i64 = START + HOUR;
/// Delays of messages that are not held back, ms.
const LEAST_DELAY: i64 = 200;
const USUAL_DELAY: i64 = 3_000;
/// Messages out of order are late by up to this.
const DISORDER: i64 = 150_000;
/// After this a wrong clock has settled: five messages, one a minute, and what disorder costs.
const SETTLED: i64 = 20 * MINUTE;
const PARTITIONS: Partitions =
    Partitions { telemetry: 1, observations: 1, aggregates: 1, alerts: 1, ledger: 1 };

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Honest,
    Fast,
    Slow,
    Lost,
    Zone,
    Backlog,
}

impl Kind {
    fn of(device: usize) -> Kind {
        match device % 100 {
            10 => Kind::Fast,
            20 => Kind::Slow,
            30 => Kind::Lost,
            40 => Kind::Zone,
            50..55 => Kind::Backlog,
            _ => Kind::Honest,
        }
    }

    /// What its clock says at `at`.
    fn says(self, at: i64, device: usize) -> i64 {
        match self {
            Kind::Fast => at + 2 * HOUR,
            Kind::Slow => at - 2 * HOUR,
            Kind::Lost if at >= STEP => at - STEP,
            Kind::Zone if at >= STEP => at + if device % 200 < 100 { 8 } else { -8 } * HOUR,
            _ => at,
        }
    }

    /// From when on its clock is wrong.
    fn wrong_from(self) -> Option<i64> {
        match self {
            Kind::Fast | Kind::Slow => Some(START),
            Kind::Lost | Kind::Zone => Some(STEP),
            Kind::Honest | Kind::Backlog => None,
        }
    }
}

/// All messages of a run, in order of arrival.
fn messages(is_clean: bool) -> Vec<Observation> {
    let mut messages = Vec::new();
    for device in 0..DEVICES {
        let mut chance = Chance(device as u64);
        for minute in 0..MINUTES {
            let at = START + minute * MINUTE + (device as i64 * 37) % 55_000;
            let arrives = at + LEAST_DELAY + chance.below((USUAL_DELAY - LEAST_DELAY) as u64) as i64;
            let message = message(device, minute, at, arrives);
            match is_clean {
                true => messages.push(message),
                false => disturb(message, device, &mut chance, &mut messages),
            }
        }
    }
    messages.sort_by_key(|message| (message.ingest_time, message.sequence));
    messages
}

fn message(device: usize, minute: i64, at: i64, arrives: i64) -> Observation {
    let value = |shift: i64| ((minute * 7 + device as i64 * 13 + shift) % 400) as f64 / 10.0;
    let reading = |(name, shift)| Reading {
        quantity: Quantity::from_name(name),
        value: value(shift),
        quality: Quality::default(),
    };
    Observation {
        device: format!("dev-{device:04}").into(),
        epoch: 0,
        sequence: Some(minute as u64),
        device_time: Some(Timestamp(at)),
        event_time: Timestamp(at),
        ingest_time: Timestamp(arrives),
        position: None,
        stated: None,
        is_late: false,
        body: Body::Readings([("temperature", 0), ("humidity", 200)].map(reading).to_vec()),
    }
}

fn disturb(mut message: Observation, device: usize, chance: &mut Chance, to: &mut Vec<Observation>) {
    let kind = Kind::of(device);
    let (at, arrives) = (message.event_time.0, message.ingest_time.0);
    let minute = message.sequence.expect("it counts") as i64;
    message.device_time = Some(Timestamp(kind.says(at, device)));
    if chance.percent(30) {
        message.ingest_time.0 = arrives + chance.below(DISORDER as u64) as i64;
    }
    let outage_end = START + 6 * HOUR + 30 * MINUTE;
    if kind == Kind::Backlog && minute >= 30 {
        // Six hours, from the oldest to the newest, in half a minute; what is new waits behind them.
        message.ingest_time.0 = message.ingest_time.0.max(outage_end + (minute - 30) * 80);
    }
    if chance.percent(30) {
        let again = message.ingest_time.0 + chance.below(DISORDER as u64) as i64;
        to.push(Observation { ingest_time: Timestamp(again), ..message.clone() });
    }
    to.push(message);
}

/// What came out of a run.
struct Output {
    /// The last revision of each row.
    rows: BTreeMap<(usize, String, i64), Aggregate>,
    /// When each row came first.
    first: BTreeMap<(usize, String, i64), Timestamp>,
    /// Event times, by device and sequence.
    times: BTreeMap<(usize, u64), i64>,
    counts: stream::Counts,
}

fn run(messages: Vec<Observation>) -> Output {
    let rules = include_str!("../rules/default.toml").replace("other_s = 60", "other_s = 300");
    let rules = Ruleset::parse(&rules).expect("windows of five minutes are allowed");
    let mut job = DeviceJob::new(DeviceConfig::default(), rules, PARTITIONS);
    let mut out = Outputs::new(PARTITIONS);
    for message in messages {
        job.run(0, b"", Record::Observation(message), &mut out);
    }
    let end = Tick { at: Timestamp(START + 9 * HOUR), source: 0, sources: 1 };
    job.run(0, b"", Record::Tick(end), &mut out);
    collect(out)
}

fn collect(mut out: Outputs) -> Output {
    let (rows, first, times) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut output = Output { rows, first, times, counts: out.take_counts() };
    let number = |name: &str| name[4..].parse::<usize>().expect("dev-<number>");
    for (place, batch) in out.take() {
        for (_, value) in batch.iter() {
            match (Record::decode(value).expect("ours"), place.topic) {
                (Record::Aggregate(row), _) => {
                    let key = (number(row.subject.name()), row.quantity.to_string(), row.window.start.0);
                    output.first.entry(key.clone()).or_insert(row.as_of);
                    output.rows.insert(key, row);
                }
                (Record::Observation(message), Topic::Observations) => {
                    let key = (number(&message.device), message.sequence.expect("it counts"));
                    output.times.insert(key, message.event_time.0);
                }
                _ => {}
            }
        }
    }
    output
}

/// What is equal bit for bit: everything but when it was known.
fn values(row: &Aggregate) -> (Window, u32, u32, [u64; 4]) {
    (row.window, row.count, row.good, [row.sum, row.mean, row.min, row.max].map(f64::to_bits))
}

static CLEAN: LazyLock<Output> = LazyLock::new(|| run(messages(true)));
static DIRTY: LazyLock<Output> = LazyLock::new(|| run(messages(false)));

#[test]
fn liars_hurt_nobody_but_themselves() {
    let (clean, dirty) = (&*CLEAN, &*DIRTY);
    let expected_rows = DEVICES * 2 * (MINUTES as usize / 5);
    assert_eq!(clean.rows.len(), expected_rows);

    let mut compared = BTreeMap::<String, usize>::new();
    for (key, row) in &clean.rows {
        let (device, _, start) = key;
        let kind = Kind::of(*device);
        let is_settled = kind.wrong_from().is_none_or(|from| *start < from || *start >= from + SETTLED);
        if !is_settled {
            continue;
        }
        let found = dirty.rows.get(key).unwrap_or_else(|| panic!("{kind:?} {key:?} is missing"));
        assert_eq!(values(found), values(row), "{kind:?} {key:?}");
        *compared.entry(format!("{kind:?}")).or_default() += 1;
    }
    // Nobody was left out of the comparison by mistake.
    let rows = |windows: usize, devices: usize| windows * devices * 2;
    let expected = [("Backlog", 84, 50), ("Fast", 80, 10), ("Honest", 84, 910), ("Lost", 80, 10)];
    let expected = expected.into_iter().chain([("Slow", 80, 10), ("Zone", 80, 10)]);
    let expected =
        expected.map(|(kind, windows, devices)| (kind.to_owned(), rows(windows, devices))).collect();
    assert_eq!(compared, expected);
}

/// The corrected time is after the true one, by no more than the least delay of half an hour.
#[test]
fn corrected_times_are_within_the_stated_error() {
    let dirty = &*DIRTY;
    let mut worst = BTreeMap::<String, i64>::new();
    for ((device, sequence), found) in &dirty.times {
        let kind = Kind::of(*device);
        let at = START + *sequence as i64 * MINUTE + (*device as i64 * 37) % 55_000;
        if kind.wrong_from().is_some_and(|from| at >= from && at < from + SETTLED) {
            continue;
        }
        let worst = worst.entry(format!("{kind:?}")).or_default();
        assert!(*found >= at, "{kind:?} {device} {sequence}");
        *worst = (*worst).max(found - at);
    }
    assert_eq!((worst["Honest"], worst["Backlog"]), (0, 0));
    for kind in ["Fast", "Slow", "Lost", "Zone"] {
        assert!(worst[kind] > 0 && worst[kind] < USUAL_DELAY, "{kind}: {}", worst[kind]);
    }
    let steps = [Fact::ClockReset, Fact::ClockZone, Fact::ClockAstray, Fact::ClockSet];
    assert_eq!(steps.map(|step| dirty.counts.of(step)), [10, 30, 0, 0]);
}

/// A window of a device without disorder of its own comes when it came without the liars.
#[test]
fn nobodys_live_window_is_held_up() {
    let is_honest =
        |message: &Observation| Kind::of(message.device[4..].parse().expect("a number")) == Kind::Honest;
    let mut mixed: Vec<_> = messages(false).into_iter().filter(|message| !is_honest(message)).collect();
    mixed.extend(messages(true).into_iter().filter(|message| is_honest(message)));
    mixed.sort_by_key(|message| (message.ingest_time, message.sequence));
    let (clean, mixed) = (&*CLEAN, run(mixed));
    for (key, row) in clean.rows.iter().filter(|(key, _)| Kind::of(key.0) == Kind::Honest) {
        assert_eq!(mixed.rows.get(key), Some(row));
        assert_eq!(mixed.first[key], clean.first[key]);
        assert!(clean.first[key] <= row.window.end + std::time::Duration::from_secs(90), "{key:?}");
    }
}
