//! What goes, what stays, and what happens when there is no room.
#![allow(clippy::unwrap_used, reason = "clippy does not see that this is test code")]

mod common;

use std::path::Path;
use std::time::Duration;

use common::*;
use embedded::{Log, Metrics, Options, OverBudget, Retention};
use prometheus::Registry;
use records::{AppendError, Commit, Consumer, Delivery, Pipe, Producer, Snapshot, Topic};

fn keep(bytes: Option<u64>, age: Option<Duration>) -> Options {
    let mut options = Options::default();
    options[Topic::Telemetry].retention = Retention { bytes, age };
    options
}

fn telemetry(log: &Log) -> (u64, u64, u64) {
    let partition = &log.stats().partitions[0];
    (partition.first, partition.next, partition.bytes)
}

fn value(registry: &Registry, name: &str) -> f64 {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == name).unwrap();
    family.get_metric().iter().map(|metric| metric.get_counter().get_value()).sum()
}

#[tokio::test]
async fn a_topic_over_its_size_loses_the_oldest() {
    let dir = tempfile::tempdir().unwrap();
    let log = open_with(dir.path(), keep(Some(100_000), None)).unwrap();
    for _ in 0..100 {
        append(&log, T0, filler(10, 500)).await;
    }
    eventually(|| telemetry(&log).2 <= 100_000).await;
    let (first, next, bytes) = telemetry(&log);
    assert_eq!(next, 1000);
    // No more than needed.
    assert!(bytes > 90_000, "{bytes}");
    let mut consumer = log.consumer("late", &[Topic::Telemetry]);
    assert_eq!(poll(&mut consumer).await.unwrap().unwrap().first, first);
    drop(consumer);
    log.close().await;
    let log = open_with(dir.path(), keep(Some(100_000), None)).unwrap();
    assert_eq!(telemetry(&log), (first, next, bytes));
}

#[tokio::test]
async fn old_records_go_and_the_newest_row_stays() {
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::default();
    let options = keep(None, Some(Duration::from_secs(60)));
    let log =
        Log::open(dir.path(), options, clock.clock(), Metrics::register(&Registry::new()).unwrap()).unwrap();
    append(&log, T0, batch(["a"])).await;
    append(&log, T0, batch(["b"])).await;
    clock.advance(Duration::from_secs(50));
    append(&log, T0, batch(["c"])).await;
    append(&log, T0, batch(["d"])).await;
    clock.advance(Duration::from_secs(20));
    eventually(|| telemetry(&log).0 == 2).await;
    clock.advance(Duration::from_secs(3600));
    eventually(|| telemetry(&log).0 == 3).await;
    assert_eq!(append(&log, T0, batch(["e"])).await, 4);
}

/// A clock that was ten years ahead and was put right: what was appended meanwhile goes an hour after that, not in ten
/// years, and does not keep what stands behind it.
#[tokio::test]
async fn a_clock_that_steps_back_keeps_nothing_for_ever() {
    const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 86_400);
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::default();
    let metrics = Metrics::register(&Registry::new()).unwrap();
    let options = keep(None, Some(Duration::from_secs(3600)));
    let log = Log::open(dir.path(), options, clock.clock(), metrics).unwrap();
    clock.advance(TEN_YEARS);
    for _ in 0..30 {
        append(&log, T0, batch(["ahead"])).await;
    }
    clock.set_back(TEN_YEARS);
    assert_eq!(append(&log, T0, batch(["right"])).await, 30);
    clock.advance(Duration::from_secs(1800));
    append(&log, T0, batch(["later"])).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(telemetry(&log).0, 0);
    clock.advance(Duration::from_secs(1801));
    eventually(|| telemetry(&log).0 == 31).await;
    assert_eq!(telemetry(&log).1, 32);
}

#[tokio::test]
async fn what_somebody_has_not_read_stays() {
    let dir = tempfile::tempdir().unwrap();
    let log = open_with(dir.path(), keep(Some(1000), None)).unwrap();
    let mut fast = log.consumer("fast", &[Topic::Telemetry]);
    let mut slow = log.consumer("slow", &[Topic::Telemetry]);
    assert!(is_pending(slow.poll()).await && is_pending(fast.poll()).await);
    for _ in 0..20 {
        append(&log, T0, filler(10, 100)).await;
    }
    fast.commit(&[(T0, 200)]).await.unwrap();
    slow.commit(&[(T0, 50)]).await.unwrap();
    drop((fast, slow));
    eventually(|| telemetry(&log).0 == 50).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(telemetry(&log).0, 50);
    log.forget(embedded::ReaderName::Group("slow".into())).await.unwrap();
    eventually(|| telemetry(&log).0 == 190).await;
}

#[tokio::test]
async fn a_job_keeps_what_its_snapshot_needs() {
    let dir = tempfile::tempdir().unwrap();
    let log = open_with(dir.path(), keep(Some(1000), None)).unwrap();
    let mut pipe = log.pipe("job", Topic::Telemetry, 0..1);
    assert!(matches!(soon(pipe.poll()).await.unwrap(), Some(Delivery::Assigned { .. })));
    for _ in 0..20 {
        append(&log, T0, filler(10, 100)).await;
    }
    pipe.commit(Commit { offsets: vec![(0, 200)], ..Commit::default() }).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(telemetry(&log).0, 0);
    let snapshot = Snapshot { offset: 120, bytes: vec![] };
    pipe.commit(Commit { snapshots: vec![(0, snapshot)], ..Commit::default() }).await.unwrap();
    eventually(|| telemetry(&log).0 == 120).await;
}

const BUDGET: u64 = 2 << 20;

fn small(over_budget: OverBudget) -> Options {
    Options { budget_bytes: Some(BUDGET), over_budget, ..Options::default() }
}

/// Appends until it is refused; how many records were acknowledged.
async fn fill(log: &Log) -> u64 {
    for n in 0.. {
        match log.append(vec![(T0, filler(10, 1000))]).await {
            Ok(offsets) => assert_eq!(offsets, [n * 10]),
            Err(AppendError::Full(_)) => return n * 10,
            Err(other) => panic!("{other:?}"),
        }
    }
    unreachable!()
}

#[tokio::test]
async fn a_full_log_refuses_keeps_its_promises_and_recovers_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let log = open_with(dir.path(), small(OverBudget::Refuse)).unwrap();
    let mut consumer = log.consumer("sink", &[Topic::Telemetry]);
    assert!(is_pending(consumer.poll()).await);
    let acknowledged = fill(&log).await;
    assert!(acknowledged > 1000, "{acknowledged}");
    assert!(matches!(log.append(vec![(T0, batch(["x"]))]).await, Err(AppendError::Full(_))));
    assert!(size(dir.path()) <= BUDGET);
    assert_eq!(read(&mut consumer, acknowledged as usize).await.0, 0);
    assert!(is_pending(consumer.poll()).await);
    consumer.commit(&[(T0, acknowledged)]).await.unwrap();
    for _ in 0..1000 {
        if let Ok(offsets) = log.append(vec![(T0, batch(["again"]))]).await {
            assert_eq!(offsets, [acknowledged]);
            assert_eq!(read(&mut consumer, 1).await, (acknowledged, vec!["again".into()]));
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("there is room and nobody uses it");
}

/// What nobody reads goes; a group that was introduced counts before it has ever polled, also after a restart.
#[tokio::test]
async fn nothing_goes_that_an_introduced_group_has_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let log = open_with(dir.path(), small(OverBudget::Refuse)).unwrap();
    log.introduce("forwarder", &[Topic::Telemetry]).await.unwrap();
    append(&log, T0, filler(10, 1000)).await;
    log.close().await;
    drop(log);
    let log = open_with(dir.path(), small(OverBudget::Refuse)).unwrap();
    while log.append(vec![(T0, filler(10, 1000))]).await.is_ok() {
        assert!(telemetry(&log).1 * 1000 < 2 * BUDGET, "something goes");
    }
    assert_eq!(telemetry(&log).0, 0);
    let mut late = log.consumer("forwarder", &[Topic::Telemetry]);
    assert_eq!(poll(&mut late).await.unwrap().unwrap().first, 0);
}

/// It is scarce before it is full, never for what has been read, and no longer when readers have moved on.
#[tokio::test]
async fn room_is_scarce_while_the_unread_nearly_fills_the_log() {
    const LARGE: u64 = 4 * BUDGET;
    let dir = tempfile::tempdir().unwrap();
    let log = open_with(dir.path(), Options { budget_bytes: Some(LARGE), ..Options::default() }).unwrap();
    let mut consumer = log.consumer("sink", &[Topic::Telemetry]);
    assert!(is_pending(consumer.poll()).await);
    // More than the budget, all of it read: what was read goes in time.
    let mut next = 0;
    while next * 1000 < LARGE / 4 * 5 {
        append(&log, T0, filler(10, 1000)).await;
        next += 10;
        consumer.commit(&[(T0, next)]).await.unwrap();
        assert!(!log.is_scarce(), "{next}");
        tokio::time::sleep(Duration::from_millis(4)).await;
    }
    let mut scarce_at = None;
    while log.append(vec![(T0, filler(10, 1000))]).await.is_ok() {
        next += 10;
        scarce_at = scarce_at.or(log.is_scarce().then_some(next));
    }
    let scarce_at = scarce_at.expect("before it was full");
    // A twentieth of the budget lies between, but for what pages and the file's own tables take.
    let between = (next - scarce_at) * 1000;
    assert!((LARGE / 30..LARGE / 15).contains(&between), "{between} of {LARGE}");
    consumer.commit(&[(T0, next)]).await.unwrap();
    eventually(|| !log.is_scarce()).await;
    append(&log, T0, batch(["again"])).await;
}

#[tokio::test]
async fn a_job_can_work_its_way_out_of_a_full_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = open_with(dir.path(), small(OverBudget::Refuse)).unwrap();
    let mut pipe = log.pipe("job", Topic::Telemetry, 0..1);
    assert!(matches!(soon(pipe.poll()).await.unwrap(), Some(Delivery::Assigned { .. })));
    let acknowledged = fill(&log).await;
    let outputs = vec![(at(Topic::Observations, 0), filler(100, 1000))];
    let snapshot = Snapshot { offset: acknowledged, bytes: vec![1; 10_000] };
    let (offsets, snapshots) = (vec![(0, acknowledged)], vec![(0, snapshot)]);
    pipe.commit(Commit { outputs, offsets, snapshots }).await.unwrap();
    eventually(|| telemetry(&log).0 > acknowledged / 10).await;
    assert_eq!(append(&log, T0, batch(["again"])).await, acknowledged);
}

#[tokio::test]
async fn the_last_page_is_a_full_log_for_jobs_too() {
    let dir = tempfile::tempdir().unwrap();
    let log = open_with(dir.path(), small(OverBudget::Refuse)).unwrap();
    let mut pipe = log.pipe("job", Topic::Telemetry, 0..1);
    soon(pipe.poll()).await.unwrap();
    let outputs = |count| Commit {
        outputs: vec![(at(Topic::Observations, 0), filler(count, 1000))],
        ..Commit::default()
    };
    let error = pipe.commit(outputs(3000)).await.unwrap_err();
    assert!(matches!(error, records::LogError::Unavailable(_)), "{error:?}");
    assert_eq!(log.stats().partitions[4].next, 0);
    // Nothing of it is there, and a smaller one fits. After an error the job begins with its assignment.
    assert!(matches!(soon(pipe.poll()).await.unwrap(), Some(Delivery::Assigned { committed: 0, .. })));
    pipe.commit(outputs(100)).await.unwrap();
    assert_eq!(log.stats().partitions[4].next, 100);
}

#[tokio::test]
async fn when_the_budget_says_so_unread_records_go_and_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).unwrap();
    let clock = TestClock::default().clock();
    let log = Log::open(dir.path(), small(OverBudget::RemoveUnread), clock, metrics).unwrap();
    let mut slow = log.consumer("slow", &[Topic::Telemetry]);
    assert!(is_pending(slow.poll()).await);
    slow.commit(&[]).await.unwrap();
    for _ in 0..500 {
        append(&log, T0, filler(10, 1000)).await;
        // As slow as a disk that gets full.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    eventually(|| telemetry(&log).2 < BUDGET).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let first = telemetry(&log).0;
    assert!(first > 1000, "{first}");
    assert_eq!(value(&registry, "sluice_log_lost_records_total"), first as f64);
    assert_eq!(value(&registry, "sluice_log_removed_records_total"), first as f64);
    assert_eq!(value(&registry, "sluice_log_appended_records_total"), 5000.0);
    // The reader sees where the hole ends. What it holds in memory it may still read.
    let mut position = 0;
    while position < 5000 {
        position = poll(&mut slow).await.unwrap().unwrap().next();
    }
    assert!(size(dir.path()) < 2 * BUDGET);
}

fn size(dir: &Path) -> u64 {
    std::fs::metadata(dir.join("log.db")).unwrap().len()
}
