//! A snapshot that is taken piece by piece, while records go on, is the state of the instant at which it began.

mod support;

use proptest::prelude::*;
use records::{Batch, Origin, Record, Tick, Timestamp};
use std::time::Duration;
use stream::rule::Ruleset;
use stream::{DeviceConfig, DeviceJob, Job, Outputs, Partitions};
use support::fleet::city;

const PARTITIONS: Partitions =
    Partitions { telemetry: 1, observations: 1, aggregates: 1, alerts: 1, ledger: 1 };

/// Devices that fall idle soon, so that numbers become vacant and are given anew.
fn job() -> DeviceJob {
    let config = DeviceConfig { idle_after: Duration::from_secs(1), ..DeviceConfig::default() };
    let rules = concat!(include_str!("../rules/default.toml"), include_str!("support/jobs.toml"));
    DeviceJob::new(config, Ruleset::parse(rules).expect("they are valid"), PARTITIONS)
}

/// Records of two days of a city, of which some were forwarded, with a day of silence between.
fn records(seed: u64) -> Vec<Record> {
    let mut records: Vec<Record> = city(seed).into_iter().map(|input| input.record).collect();
    let messages = records.iter_mut().enumerate().skip(1).step_by(50);
    messages.for_each(|(n, record)| {
        if let Record::Observation(message) = record {
            message.device = format!("stranger-{n}").into();
        }
    });
    let last = records.iter().rev().find_map(|record| match record {
        Record::Observation(message) => Some(message.ingest_time),
        _ => None,
    });
    let later = |at: Timestamp| at + Duration::from_secs(24 * 3600);
    records.push(Record::Tick(Tick { at: later(last.expect("a city speaks")), source: 0, sources: 1 }));
    for input in city(seed + 1) {
        if let Record::Observation(mut message) = input.record {
            message.ingest_time = later(later(message.ingest_time));
            message.device_time = message.device_time.map(|at| later(later(at)));
            records.push(Record::Observation(message));
        }
    }
    records
}

fn run(job: &mut DeviceJob, out: &mut Outputs, offset: u64, record: Record) {
    let key = match &record {
        Record::Observation(message) => message.device.clone(),
        _ => "".into(),
    };
    if offset.is_multiple_of(3) && !key.is_empty() {
        job.admit(0, key.as_bytes(), Origin { gateway: "g", spool: 1, offset });
    }
    job.run(0, key.as_bytes(), record, out);
}

/// What is written when the records behind `at` run on a state.
fn goes_on(state: &[u8], records: &[Record], at: usize) -> Vec<Batch> {
    let (mut job, mut out) = (job(), Outputs::new(PARTITIONS));
    job.restore(0, Some(state)).expect("it is our own");
    (at..).zip(&records[at..]).for_each(|(n, record)| run(&mut job, &mut out, n as u64, record.clone()));
    out.take().into_iter().map(|(_, batch)| batch).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn is_that_of_its_beginning(seed in 0..5u64, at in 0.0..1.0f64, slice in 0..3usize) {
        let records = records(seed);
        let at = (at * records.len() as f64) as usize;
        let (mut job, mut out) = (job(), Outputs::new(PARTITIONS));
        let numbered = || (0..).zip(records.iter().cloned());
        numbered().take(at).for_each(|(n, record)| run(&mut job, &mut out, n, record));
        let whole = job.snapshot(0);
        job.begin_snapshot(0);
        let mut pieces = None;
        for (n, record) in numbered().skip(at) {
            run(&mut job, &mut out, n, record);
            pieces = pieces.or(job.go_on_with_snapshot(0, slice));
        }
        let pieces = pieces.or(job.go_on_with_snapshot(0, usize::MAX)).expect("it is whole");
        let written = goes_on(&whole, &records, at);
        prop_assert!(written == goes_on(&pieces, &records, at));
        job.restore(0, Some(&pieces)).expect("it is our own");
        prop_assert!(job.snapshot(0) == whole, "the same state, whatever the order of its pieces");
    }
}
