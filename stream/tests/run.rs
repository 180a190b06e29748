//! The loop: when it commits, what it does about silence, failures and foreign state.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::disallowed_methods, reason = "a test of the loop that waits, on paused time")]

mod support;

use records::{
    AppendError, Batch, Body, Commit, Delivery, Device, Family, Fetched, LogError, MemoryLog, Observation,
    Pipe, Producer, Quality, Quantity, Reading, Record, Rules, Snapshot, Timestamp, Topic, TopicPartition,
};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use stream::rule::{RulesSet, Ruleset};
use stream::{Clock, DeviceConfig, DeviceJob, Job, Metrics, Options, Partitions, StreamError, Ticker};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

const START: i64 = 1_777_852_800_000;

/// A log, a registry, and a job running on them.
struct Bench {
    log: MemoryLog,
    registry: prometheus::Registry,
    started: Instant,
    stop: CancellationToken,
    running: Option<tokio::task::JoinHandle<Result<(), StreamError>>>,
}

impl Bench {
    fn new(telemetry: u32) -> Bench {
        Bench {
            log: support::both::log(telemetry, 1),
            registry: prometheus::Registry::new(),
            started: Instant::now(),
            stop: CancellationToken::new(),
            running: None,
        }
    }

    fn job(&self, rules: Ruleset) -> DeviceJob {
        DeviceJob::new(DeviceConfig::default(), rules, Partitions::of(&self.log))
    }

    fn start(&mut self) {
        self.start_with(Ruleset::default());
    }

    fn start_with(&mut self, rules: Ruleset) {
        let job = self.job(rules.clone());
        self.start_job(job, &rules);
    }

    fn start_job(&mut self, job: DeviceJob, rules: &Ruleset) {
        let partitions = self.log.partitions(Topic::Telemetry);
        let pipe = self.log.pipe("device", Topic::Telemetry, 0..partitions);
        let started = self.started;
        let clock: Clock = Arc::new(move || Timestamp(START + started.elapsed().as_millis() as i64));
        let wanted = RulesSet { text: rules.text.to_string(), since: clock() };
        let wanted = tokio::sync::watch::channel(wanted).1;
        let ticker = Some(Ticker { log: self.log.clone(), clock, wanted });
        self.registry = prometheus::Registry::new();
        let metrics = Metrics::register(&self.registry).unwrap();
        self.stop = CancellationToken::new();
        let run = stream::run(pipe, job, ticker, Options::default(), metrics, self.stop.clone());
        self.running = Some(tokio::spawn(run));
    }

    async fn finish(&mut self) -> Result<(), StreamError> {
        self.stop.cancel();
        self.running.take().expect("it was started").await.expect("it does not panic")
    }

    async fn append(&self, key: &str, record: &Record) {
        self.append_bytes(key, |to| record.encode(to)).await;
    }

    async fn append_bytes(&self, key: &str, write: impl FnOnce(&mut Vec<u8>)) {
        let mut batch = Batch::new();
        batch.push_with(key.as_bytes(), write);
        let place = TopicPartition { topic: Topic::Telemetry, partition: 0 };
        self.log.append(vec![(place, batch)]).await.unwrap();
    }

    fn out(&self, topic: Topic) -> Vec<Record> {
        self.log.decoded(topic)
    }

    fn rows(&self) -> usize {
        self.out(Topic::Aggregates).iter().filter(|record| matches!(record, Record::Aggregate(_))).count()
    }

    fn counted(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let metrics =
            families.iter().filter(|family| family.name() == name).flat_map(|family| family.get_metric());
        metrics.map(|metric| metric.get_counter().get_value()).sum()
    }
}

fn said(second: i64, sequence: u64, quantity: &str, value: f64) -> Record {
    let at = Timestamp(START + second * 1000);
    Record::Observation(Observation {
        device: "m1".into(),
        epoch: 0,
        sequence: Some(sequence),
        device_time: Some(at),
        event_time: at,
        ingest_time: at,
        position: None,
        stated: None,
        is_late: false,
        body: Body::Readings(vec![Reading {
            quantity: Quantity::from_name(quantity),
            value,
            quality: Quality::default(),
        }]),
    })
}

fn machine() -> Record {
    Record::Device(Device {
        id: "m1".into(),
        family: Family::Machine,
        label: "".into(),
        area: "line-1".into(),
        rank: 0,
        position: None,
        is_enabled: true,
        updated_at: Timestamp(START),
        limits: Vec::new(),
    })
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[tokio::test(start_paused = true)]
async fn outputs_wait_a_little_for_company() {
    let mut bench = Bench::new(1);
    bench.start();
    bench.append("m1", &said(0, 1, "vibration", 1.0)).await;
    sleep(millis(50)).await;
    bench.append("m1", &said(0, 2, "vibration", 1.0)).await;
    sleep(millis(49)).await;
    assert_eq!(bench.out(Topic::Observations).len(), 0);
    sleep(millis(2)).await;
    assert_eq!(bench.out(Topic::Observations).len(), 2);
    assert_eq!(bench.counted("sluice_stream_commits_total"), 1.0);
    bench.finish().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_alert_does_not_wait() {
    let mut bench = Bench::new(1);
    bench.append("m1", &machine()).await;
    for second in [0, 60, 120] {
        bench.append("m1", &said(second, second as u64, "vibration", 4.0)).await;
    }
    bench.start();
    sleep(millis(1)).await;
    assert_eq!(bench.out(Topic::Alerts).len(), 0);
    bench.append("m1", &said(150, 150, "vibration", 4.0)).await;
    sleep(millis(3)).await;
    assert_eq!(bench.out(Topic::Alerts).len(), 1);
    bench.finish().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn silence_is_filled_with_ticks() {
    let mut bench = Bench::new(2);
    bench.start();
    bench.append("m1", &said(0, 1, "vibration", 1.0)).await;
    sleep(millis(90_000)).await;
    assert_eq!(bench.rows(), 0);
    sleep(millis(4_000)).await;
    assert_eq!(bench.rows(), 1);
    let ticks = |partition: u32| {
        let all = bench.log.read_all(Topic::Telemetry);
        let all = all.into_iter().filter(|(place, _, key, _)| place.partition == partition && key.is_empty());
        all.count()
    };
    // The first look finds that somebody has spoken in partition 0.
    assert_eq!((ticks(0), ticks(1)), (92, 93));
    bench.finish().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_full_log_takes_no_tick_and_stops_nobody() {
    let mut bench = Bench::new(1);
    bench.log.fail_next_appends(5, || AppendError::Full("no room".into()));
    bench.start();
    sleep(millis(20_000)).await;
    assert!(bench.log.read_all(Topic::Telemetry).len() >= 5);
    bench.finish().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn stopping_commits_and_closes_nothing() {
    let mut bench = Bench::new(1);
    bench.start();
    bench.append("m1", &said(0, 1, "vibration", 1.0)).await;
    bench.append("m1", &said(1, 2, "vibration", 3.0)).await;
    sleep(millis(1)).await;
    bench.finish().await.unwrap();
    assert_eq!((bench.out(Topic::Observations).len(), bench.rows()), (2, 0));
    // From the snapshot, without running anything again.
    bench.start();
    bench.append("m1", &said(1, 2, "vibration", 3.0)).await;
    bench.append("m1", &said(70, 3, "vibration", 1.0)).await;
    sleep(millis(101)).await;
    assert_eq!(bench.counted("sluice_stream_replayed_records_total"), 0.0);
    assert_eq!(bench.counted("sluice_stream_duplicates_total"), 1.0);
    let rows = bench.out(Topic::Aggregates);
    let [Record::Aggregate(row)] =
        rows.iter().filter(|row| matches!(row, Record::Aggregate(_))).collect::<Vec<_>>()[..]
    else {
        panic!("{rows:?}")
    };
    assert_eq!((row.count, row.mean), (2, 2.0));
    bench.finish().await.unwrap();
}

/// Other times: the old state is refused, said so, and built again from the log in silence.
#[tokio::test(start_paused = true)]
async fn state_of_other_times_is_built_again() {
    let mut bench = Bench::new(1);
    bench.start();
    bench.append("m1", &said(0, 1, "vibration", 1.0)).await;
    sleep(millis(1)).await;
    bench.finish().await.unwrap();
    let rules = Ruleset::default();
    let config = DeviceConfig { backfill_after: Duration::from_secs(60), ..DeviceConfig::default() };
    let job = || DeviceJob::new(config.clone(), rules.clone(), Partitions::of(&bench.log));
    let (refused, again) = (job(), job());
    bench.start_job(refused, &rules);
    sleep(millis(1)).await;
    let refused = bench.finish().await.unwrap_err();
    assert!(matches!(
        refused,
        StreamError::Reset { partition: 0, source: stream::StateError::Configuration, .. }
    ));
    bench.start_job(again, &rules);
    bench.append("m1", &said(70, 2, "vibration", 1.0)).await;
    sleep(millis(101)).await;
    assert_eq!(bench.counted("sluice_stream_replayed_records_total"), 1.0);
    assert_eq!((bench.out(Topic::Observations).len(), bench.rows()), (2, 1));
    bench.finish().await.unwrap();
}

/// State of an older program: refused with its version, said so, and given up, so that the next start builds it from
/// the log.
#[tokio::test(start_paused = true)]
async fn state_of_an_older_version_is_refused_and_given_up() {
    let bench = Bench::new(1);
    let mut bytes = bench.job(Ruleset::default()).snapshot(0);
    assert_eq!(bytes[0], 0x84, "an array of four, of which the version is the first");
    bytes[1] -= 1;
    let found = u32::from(bytes[1]);
    let commits = Arc::new(Mutex::new(Vec::new()));
    let deliveries = vec![assigned(0, Some(Snapshot { offset: 7, bytes }), 9)];
    let pipe = Prepared { deliveries: deliveries.into(), commits: Arc::clone(&commits) };
    let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
    let (job, stop) = (bench.job(Ruleset::default()), CancellationToken::new());
    let refused = stream::run::<MemoryLog>(pipe, job, None, Options::default(), metrics, stop).await;
    let StreamError::Reset { source, .. } = refused.unwrap_err() else { panic!("it would be misread") };
    assert_eq!(
        source.to_string(),
        format!("state has version {found}, this program reads version {}", found + 1)
    );
    let snapshots: Vec<_> =
        commits.lock().unwrap().iter().flat_map(|commit| commit.snapshots.clone()).collect();
    assert_eq!(snapshots, [(0, Snapshot { offset: 0, bytes: Vec::new() })]);
}

/// The partitions to which rules were written, in order.
fn written(bench: &Bench) -> Vec<(u32, Rules)> {
    let records = bench.log.read_all(Topic::Telemetry).into_iter();
    let rules = records.filter_map(|(at, _, _, value)| match Record::decode(&value) {
        Ok(Record::Rules(rules)) => Some((at.partition, rules)),
        _ => None,
    });
    rules.collect()
}

/// Other rules: written to every partition once, and the state goes on.
#[tokio::test(start_paused = true)]
async fn other_rules_are_written_to_every_partition_once() {
    let mut bench = Bench::new(2);
    bench.start();
    bench.append("m1", &machine()).await;
    bench.append("m1", &said(0, 1, "vibration", 1.0)).await;
    sleep(millis(1500)).await;
    bench.finish().await.unwrap();
    assert_eq!(written(&bench), []);

    let before = Ruleset::default();
    let after = Ruleset::parse(&before.text.replace("open = 2.8,", "open = 2.7,")).unwrap();
    for _ in 0..2 {
        bench.start_with(after.clone());
        sleep(millis(3500)).await;
        let found = written(&bench);
        assert_eq!(found.iter().map(|(partition, _)| *partition).collect::<Vec<_>>(), [0, 1]);
        for (_, rules) in found {
            assert_eq!((rules.text.as_str(), rules.replaces.as_str()), (&*after.text, &*before.text));
        }
        bench.finish().await.unwrap();
    }
    // The same device, the same window: the reading of before is in it, and counted once.
    bench.start_with(after);
    bench.append("m1", &said(1, 1, "vibration", 1.0)).await;
    bench.append("m1", &said(70, 2, "vibration", 1.0)).await;
    sleep(millis(101)).await;
    assert_eq!(bench.counted("sluice_stream_duplicates_total"), 1.0);
    assert_eq!((bench.out(Topic::Observations).len(), bench.rows()), (3, 1));
    bench.finish().await.unwrap();
}

/// Some partitions were told and others not when the process died: the next one tells these, and no other.
#[tokio::test(start_paused = true)]
async fn a_change_that_was_interrupted_is_finished() {
    let mut bench = Bench::new(3);
    bench.start();
    sleep(millis(1500)).await;
    bench.finish().await.unwrap();
    let before = Ruleset::default();
    let after = Ruleset::parse(&before.text.replace("open = 2.8,", "open = 2.7,")).unwrap();
    let (text, replaces) = (after.text.to_string(), before.text.to_string());
    bench.append("", &Record::Rules(Rules { at: Timestamp(START + 1600), text, replaces })).await;
    bench.start_with(after);
    sleep(millis(5000)).await;
    let partitions: Vec<u32> = written(&bench).iter().map(|(partition, _)| *partition).collect();
    assert_eq!(partitions, [0, 1, 2]);
    assert_eq!(bench.counted("sluice_stream_rules_changes_total"), 3.0);
    bench.finish().await.unwrap();
}

/// Who wished for other rules before does not overrule who did later.
#[tokio::test(start_paused = true)]
async fn the_newest_wish_counts() {
    let mut bench = Bench::new(1);
    let before = Ruleset::default();
    let after = Ruleset::parse(&before.text.replace("open = 2.8,", "open = 2.7,")).unwrap();
    bench.start();
    let (text, replaces) = (after.text.to_string(), before.text.to_string());
    bench.append("", &Record::Rules(Rules { at: Timestamp(START + 1600), text, replaces })).await;
    sleep(millis(5000)).await;
    assert_eq!(written(&bench).len(), 1);
    assert_eq!(bench.counted("sluice_stream_rules_changes_total"), 1.0);
    bench.finish().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_no_record_is_counted_and_left_aside() {
    let mut bench = Bench::new(1);
    bench.start();
    bench.append_bytes("m1", |to| to.extend_from_slice(b"\xff\x00 nonsense")).await;
    bench.append_bytes("m1", |_| {}).await;
    bench.append("m1", &said(0, 1, "vibration", 1.0)).await;
    sleep(millis(101)).await;
    assert_eq!(bench.out(Topic::Observations).len(), 1);
    assert_eq!(bench.counted("sluice_stream_records_total"), 3.0);
    bench.finish().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_fails_stops_the_job() {
    let mut bench = Bench::new(1);
    bench.start();
    bench.log.fail_next_commits(1);
    bench.append("m1", &said(0, 1, "vibration", 1.0)).await;
    sleep(millis(200)).await;
    let error = bench.finish().await.unwrap_err();
    assert!(matches!(error, StreamError::Log { job: "device", source: LogError::Unavailable(_) }));
    assert_eq!(bench.out(Topic::Observations).len(), 0);
    bench.start();
    sleep(millis(101)).await;
    assert_eq!(bench.out(Topic::Observations).len(), 1);
    bench.finish().await.unwrap();
}

/// A pipe that hands out what it was given and keeps what is committed.
struct Prepared {
    deliveries: VecDeque<Delivery>,
    commits: Arc<Mutex<Vec<Commit>>>,
}

impl Pipe for Prepared {
    async fn poll(&mut self) -> Result<Option<Delivery>, LogError> {
        Ok(self.deliveries.pop_front())
    }

    async fn commit(&mut self, commit: Commit) -> Result<(), LogError> {
        self.commits.lock().unwrap().push(commit);
        Ok(())
    }
}

async fn commits_of(deliveries: Vec<Delivery>, options: Options) -> (Vec<Commit>, prometheus::Registry) {
    let commits = Arc::new(Mutex::new(Vec::new()));
    let pipe = Prepared { deliveries: deliveries.into(), commits: Arc::clone(&commits) };
    let bench = Bench::new(2);
    let registry = prometheus::Registry::new();
    let metrics = Metrics::register(&registry).unwrap();
    let job = bench.job(Ruleset::default());
    stream::run::<MemoryLog>(pipe, job, None, options, metrics, CancellationToken::new()).await.unwrap();
    let mut commits = std::mem::take(&mut *commits.lock().unwrap());
    commits.retain(|commit| !is_beginning(commit));
    (commits, registry)
}

/// Of a partition that has no state yet: the rules that it begins with.
fn is_beginning(commit: &Commit) -> bool {
    commit.outputs.is_empty()
        && commit.offsets.is_empty()
        && matches!(&commit.snapshots[..], [(_, only)] if only.offset == 0)
}

fn fetched(partition: u32, first: u64, records: &[Record]) -> Delivery {
    let mut batch = Batch::new();
    records.iter().for_each(|record| batch.push_with(b"m1", |to| record.encode(to)));
    let partition = TopicPartition { topic: Topic::Telemetry, partition };
    Delivery::Records(Fetched { partition, first, lost: 0, batch: Arc::new(batch) })
}

/// The same, when so many records before it were removed unread.
fn fetched_after_loss(partition: u32, first: u64, lost: u64, records: &[Record]) -> Delivery {
    let Delivery::Records(behind) = fetched(partition, first, records) else { unreachable!() };
    Delivery::Records(Fetched { lost, ..behind })
}

fn assigned(partition: u32, snapshot: Option<Snapshot>, committed: u64) -> Delivery {
    Delivery::Assigned { partition, snapshot, committed }
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_is_taken_away_is_committed_first() {
    let records = [said(0, 1, "vibration", 1.0)];
    let deliveries = vec![
        assigned(0, None, 0),
        fetched(0, 0, &records),
        Delivery::Revoked { partition: 0 },
        assigned(1, None, 0),
    ];
    let (commits, _) = commits_of(deliveries, Options::default()).await;
    assert_eq!(commits.len(), 1);
    assert_eq!(commits[0].offsets, [(0, 1)]);
    assert_eq!(commits[0].outputs.len(), 2);
    assert_eq!(commits[0].snapshots[0].1.offset, 1, "who takes over has nothing to run again");
}

#[tokio::test(start_paused = true)]
async fn alerts_that_come_together_go_together() {
    let mut records = vec![machine()];
    records.extend([0, 60, 120, 150].map(|second| said(second, second as u64, "vibration", 4.0)));
    let deliveries =
        vec![assigned(0, None, 0), assigned(1, None, 0), fetched(0, 0, &records), fetched(1, 0, &records)];
    let (commits, _) = commits_of(deliveries, Options::default()).await;
    assert_eq!(commits.len(), 1);
    let alerts = commits[0].outputs.iter().filter(|(at, _)| at.topic == Topic::Alerts);
    assert_eq!(alerts.map(|(_, batch)| batch.len()).sum::<usize>(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_silent_replay_writes_nothing_but_snapshots() {
    let records: Vec<Record> = (0..6).map(|n| said(n, n as u64, "vibration", 1.0)).collect();
    let deliveries = vec![assigned(0, None, 4), fetched(0, 0, &records[..3]), fetched(0, 3, &records[3..])];
    let options = Options { commit_records: 3, snapshot_records: 3, ..Options::default() };
    let (commits, _) = commits_of(deliveries, options).await;
    assert_eq!(commits.len(), 2);
    assert_eq!((commits[0].outputs.len(), commits[0].offsets.len()), (0, 0));
    assert_eq!(commits[0].snapshots[0].1.offset, 3);
    assert_eq!(commits[1].offsets, [(0, 6)]);
    let written: usize = commits[1].outputs.iter().map(|(_, batch)| batch.len()).sum();
    // Two observations. What the area job was told at offset 0 is out already, and told again only a second later:
    // at the records of the fourth and the fifth second.
    assert_eq!(written, 4);
}

/// Retention that overtook the reader is loss, and is said; offsets that never held a record are not.
#[tokio::test(start_paused = true)]
async fn records_that_retention_removed_are_counted() {
    async fn check(deliveries: Vec<Delivery>, expected: u64) {
        let (_, registry) = commits_of(deliveries, Options::default()).await;
        let families = registry.gather();
        let lost = families.iter().find(|family| family.name() == "sluice_stream_lost_records_total");
        let lost = lost.map_or(0.0, |family| family.get_metric()[0].get_counter().get_value());
        assert_eq!(lost, expected as f64);
    }
    let record = || [said(0, 1, "vibration", 1.0)];
    check(vec![assigned(0, None, 9), fetched(0, 5, &record()), fetched(0, 6, &record())], 0).await;
    check(vec![assigned(0, None, 9), fetched_after_loss(0, 12, 3, &record())], 3).await;
    check(vec![assigned(0, None, 0), fetched(0, 0, &record()), fetched(0, 4, &record())], 0).await;
}
