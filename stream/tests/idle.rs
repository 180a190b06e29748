//! Idle devices: state is bounded by those that speak, and letting go of the others changes nothing by accident.

mod support;

use proptest::prelude::*;
use records::{Batch, Device, Family, Observation, Producer, Reading, Record, Tick, Timestamp, Topic};
use records::{Body, Quality, Quantity, TopicPartition, partition_of};
use std::time::Duration;
use stream::rule::Ruleset;
use stream::{DeviceConfig, DeviceJob, Fact, Job, Options, Outputs, Partitions};
use support::both::{self, Disturbance, Output, calm};
use support::fleet::{Chance, START};

const HOUR: i64 = 3_600_000;
const DAYS: i64 = 2;

fn message(device: &str, at: i64, sequence: Option<u64>) -> Observation {
    let reading = |name| Reading {
        quantity: Quantity::from_name(name),
        value: (at % 97) as f64,
        quality: Quality::default(),
    };
    Observation {
        device: device.into(),
        epoch: 0,
        sequence,
        device_time: Some(Timestamp(at)),
        event_time: Timestamp(at),
        ingest_time: Timestamp(at + 50),
        position: None,
        stated: None,
        is_late: false,
        body: Body::Readings(["pm2_5", "humidity"].into_iter().map(reading).collect()),
    }
}

fn entry(device: &str, family: Family) -> Device {
    Device {
        id: device.into(),
        family,
        label: "".into(),
        area: "north".into(),
        rank: 0,
        position: None,
        is_enabled: true,
        updated_at: Timestamp(START - 1000),
        limits: Vec::new(),
    }
}

/// Strangers and devices of the registry that speak in spells of a few minutes with hours between them, now and then
/// of what was long ago, and number some messages as they did others before.
fn spells(seed: u64) -> Vec<(i64, String, Record)> {
    let mut chance = Chance(seed);
    let mut inputs = Vec::new();
    for device in 0..12 {
        let name = format!("d{device}");
        if device % 3 > 0 {
            let family = [Family::Air, Family::Machine][device % 3 - 1];
            inputs.push((START - 1000, name.clone(), Record::Device(entry(&name, family))));
        }
        let mut at = START + chance.below(HOUR as u64) as i64;
        while at < START + DAYS * 24 * HOUR {
            for _ in 0..1 + chance.below(5) {
                at += 1 + chance.below(120_000) as i64;
                let sequence = chance.percent(70).then(|| chance.below(9));
                let mut said = message(&name, at, sequence);
                if chance.percent(10) {
                    said.device_time = Some(Timestamp(at - chance.below(5 * HOUR as u64) as i64));
                }
                inputs.push((at, name.clone(), Record::Observation(said)));
            }
            at += chance.below(6 * HOUR as u64) as i64;
        }
    }
    inputs.sort_by_key(|(at, ..)| *at);
    inputs
}

fn run(inputs: &[(i64, String, Record)], partitions: u32, ticks: u64, disturbance: &Disturbance) -> Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime can be built").block_on(async {
        let log = both::log(partitions, 2);
        log.limit_batches(40);
        let mut batches = vec![Batch::new(); partitions as usize];
        let mut chance = Chance(ticks);
        let tick = |at| Record::Tick(Tick { at: Timestamp(at), source: 0, sources: 1 });
        for (at, device, record) in inputs {
            let partition = partition_of(device.as_bytes(), partitions) as usize;
            batches[partition].push_with(device.as_bytes(), |to| record.encode(to));
            if let Some(batch) = batches.get_mut(chance.below(u64::from(partitions) * 2) as usize) {
                batch.push_with(b"", |to| tick(*at).encode(to));
            }
        }
        let end = START + (DAYS + 2) * 24 * HOUR;
        batches.iter_mut().for_each(|batch| batch.push_with(b"", |to| tick(end).encode(to)));
        let place = |partition| TopicPartition { topic: Topic::Telemetry, partition };
        log.append((0..).map(place).zip(batches).collect()).await.expect("memory takes everything");
        both::run(&log, disturbance).await
    })
}

fn after(idle_after: Duration) -> Disturbance {
    let mut disturbance = calm();
    disturbance.config.idle_after = idle_after;
    disturbance
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Who shares a partition with whom decides when a device is let go of, and nothing that comes out.
    #[test]
    fn neighbours_do_not_show(seed: u64, chance: u64, commit in 1..100usize, snapshot in 1..100u64) {
        let inputs = spells(seed);
        let calm = after(Duration::from_secs(3600));
        let expected = run(&inputs, 1, 1, &calm);
        for partitions in [2, 7] {
            prop_assert_eq!(&run(&inputs, partitions, chance, &calm), &expected, "{} partitions", partitions);
        }
        let options = Options { commit_records: commit, snapshot_records: snapshot, ..Options::default() };
        let flaky = Disturbance { seed: chance, failing_percent: 20, options, ..calm };
        prop_assert_eq!(&run(&inputs, 2, chance, &flaky), &expected, "with failures");
    }
}

/// So that the property above is about something.
#[test]
fn letting_go_shows_in_numbers_that_come_again() {
    let inputs = spells(3);
    assert!(run(&inputs, 1, 1, &after(Duration::from_secs(3600))) != run(&inputs, 1, 1, &calm()));
}

const PARTITIONS: Partitions =
    Partitions { telemetry: 1, observations: 1, aggregates: 1, alerts: 1, ledger: 1 };

/// A hundred thousand names that are heard once cost memory for as long as the policy says, and their places are
/// taken by those that come.
#[test]
fn strangers_leave_nothing() {
    let config = DeviceConfig { idle_after: Duration::from_secs(3600), ..DeviceConfig::default() };
    let mut job = DeviceJob::new(config, Ruleset::default(), PARTITIONS);
    let mut out = Outputs::new(PARTITIONS);
    let mut sizes = Vec::new();
    for wave in 0..3 {
        let begin = START + wave * 24 * HOUR;
        for device in 0..100_000 {
            let said = message(&format!("{wave}-{device}"), begin + device % 60_000, Some(1));
            job.run(0, b"", Record::Observation(said), &mut out);
        }
        sizes.push(job.snapshot(0).len());
        let tick = Tick { at: Timestamp(begin + 4 * HOUR), source: 0, sources: 1 };
        job.run(0, b"", Record::Tick(tick), &mut out);
        out.take();
        assert_eq!(out.take_counts().of(Fact::DeviceIdle), 100_000);
    }
    let most = sizes.iter().max().expect("three waves");
    assert!(*most < sizes[0] + sizes[0] / 10, "{sizes:?}");
    // The rules, and nothing else to speak of.
    assert!(job.snapshot(0).len() < Ruleset::default().text.len() + 100);
}
