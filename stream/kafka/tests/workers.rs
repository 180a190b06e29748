//! Workers of one job that come, go and die under load: their outputs are those of one worker without a mishap.
#![allow(clippy::unwrap_used, reason = "clippy does not see that this is test code")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::sums::{IN, OUT, Worker, check, feed, numbers};
use common::{connect, options, prefix};
use records::{Commit, Consumer, Delivery, LogError, Pipe, TopicPartition};

const PARTITIONS: u32 = 4;
/// A worker that dies within a commit holds the others up until its broker gives the transaction up: after
/// `transaction_timeout`, and up to 10 s later, since the broker looks for such only every 10 s.
const PATIENCE: Duration = Duration::from_secs(180);
const PREFIX: &str = "SLUICE_TEST_KAFKA_PREFIX";
const INSTANCE: &str = "SLUICE_TEST_KAFKA_INSTANCE";

/// Two processes, one of them killed at random every second or so and started again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kafka"]
async fn killed_workers_neither_lose_nor_double() {
    const KILLS: u64 = 8;
    let prefix = prefix("killed");
    let log = connect(options(&prefix, "test", PARTITIONS)).await;
    let fed = {
        let log = log.clone();
        tokio::spawn(async move { feed(&log, PARTITIONS, Duration::from_secs(14)).await })
    };
    let mut workers = [spawn(&prefix, "a"), spawn(&prefix, "b")];
    for kill in 0..KILLS {
        tokio::time::sleep(Duration::from_millis(900 + 377 * kill % 800)).await;
        let worker = [0, 1, 1, 0, 1, 0, 0, 1][kill as usize % 8];
        workers[worker].0.kill().unwrap();
        workers[worker].0.wait().unwrap();
        workers[worker] = spawn(&prefix, ["a", "b"][worker]);
    }
    let count = fed.await.unwrap();
    assert!(count > 5_000, "{count} is too little to be hit in its middle");
    check(&log, PARTITIONS, count, PATIENCE).await;
}

/// A worker alone, two that join it, and alone again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kafka"]
async fn workers_come_and_go_and_outputs_stay_equal() {
    let prefix = prefix("rebalanced");
    let log = connect(options(&prefix, "test", PARTITIONS)).await;
    let fed = {
        let log = log.clone();
        tokio::spawn(async move { feed(&log, PARTITIONS, Duration::from_secs(20)).await })
    };
    let first = tokio::spawn(live(prefix.clone(), "first", 2 * PATIENCE));
    tokio::time::sleep(Duration::from_secs(4)).await;
    let others =
        ["second", "third"].map(|name| tokio::spawn(live(prefix.clone(), name, Duration::from_secs(7))));
    for other in others {
        let (assigned, _) = other.await.unwrap();
        assert!(assigned > 0, "a worker that joins gets a share");
    }
    let count = fed.await.unwrap();
    check(&log, PARTITIONS, count, PATIENCE).await;
    first.abort();
    let aborted = first.await;
    assert!(aborted.is_err(), "the first worker has worked to the end: {aborted:?}");
}

/// A sink of its own, two that join it, and alone again: each record comes to one of them, though some come twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kafka"]
async fn sinks_come_and_go_and_nothing_is_skipped() {
    let prefix = prefix("sinks");
    let log = connect(options(&prefix, "test", PARTITIONS)).await;
    let fed = {
        let log = log.clone();
        tokio::spawn(async move { feed(&log, PARTITIONS, Duration::from_secs(14)).await })
    };
    let read = Arc::new(Mutex::new(BTreeSet::new()));
    let sink = |instance| sink(prefix.clone(), instance, Arc::clone(&read));
    let first = tokio::spawn(sink("first"));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let others = ["second", "third"].map(|instance| tokio::spawn(sink(instance)));
    tokio::time::sleep(Duration::from_secs(5)).await;
    others.iter().for_each(tokio::task::JoinHandle::abort);
    let all = u64::from(PARTITIONS) * fed.await.unwrap();
    let is_read = || read.lock().unwrap().len() as u64 == all;
    let wait = async {
        while !is_read() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let done = tokio::time::timeout(PATIENCE, wait).await;
    assert!(done.is_ok(), "{} of {all} came", read.lock().unwrap().len());
    first.abort();
}

/// Commits what it has written every tenth of a second.
async fn sink(prefix: String, instance: &'static str, read: Arc<Mutex<BTreeSet<(u32, u64)>>>) {
    let log = connect(options(&prefix, instance, PARTITIONS)).await;
    let mut consumer = log.consumer("sink", &[IN]);
    let mut flush = tokio::time::interval(Duration::from_millis(100));
    let mut flushed = BTreeMap::new();
    loop {
        tokio::select! {
            biased;
            _ = flush.tick() => {
                let offsets: Vec<_> = std::mem::take(&mut flushed).into_iter().collect();
                consumer.commit(&offsets).await.unwrap();
            }
            fetched = consumer.poll() => {
                let fetched = fetched.unwrap().unwrap();
                let offsets = fetched.records().map(|(offset, ..)| (fetched.partition.partition, offset));
                read.lock().unwrap().extend(offsets);
                flushed.insert(fetched.partition, fetched.next());
            }
        }
    }
}

/// A worker of this process that is gone after so long, without a last commit. Tells what came and went.
async fn live(prefix: String, instance: &'static str, duration: Duration) -> (u64, u64) {
    let log = connect(options(&prefix, instance, PARTITIONS)).await;
    let mut worker = Worker::default();
    let end = tokio::time::timeout(duration, worker.work(log.pipe("sums", IN))).await;
    assert!(end.is_err(), "{instance} has ended: {end:?}");
    (worker.seen.assigned.load(Ordering::Relaxed), worker.seen.revoked.load(Ordering::Relaxed))
}

/// A process that is killed when nobody holds it any more.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn spawn(prefix: &str, instance: &str) -> Process {
    start("the_worker", prefix, instance, Stdio::null())
}

/// A test of this file as a process.
fn start(test: &str, prefix: &str, instance: &str, out: Stdio) -> Process {
    let mut process = Command::new(std::env::current_exe().unwrap());
    process.args([test, "--exact", "--ignored", "--nocapture"]).env(PREFIX, prefix).env(INSTANCE, instance);
    Process(process.stdout(out).spawn().unwrap())
}

/// Begins again after every error, as the stream stage does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs somebody who starts it"]
async fn the_worker() {
    let (Ok(prefix), Ok(instance)) = (std::env::var(PREFIX), std::env::var(INSTANCE)) else { return };
    let log = connect(options(&prefix, &instance, PARTITIONS)).await;
    loop {
        let error = Worker::default().work(log.pipe("sums", IN)).await;
        eprintln!("{instance}: {error}: {:?}", std::error::Error::source(&error).map(ToString::to_string));
        assert!(!matches!(error, LogError::Damaged { .. }), "{error}");
    }
}

/// rdkafka's commit polls for a tenth of a second at a time, whatever comes. Ours does not, so one of many at least is
/// done sooner, however busy the machine is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kafka"]
async fn a_commit_takes_no_longer_than_it_must() {
    let prefix = prefix("swift");
    let mut pipe = connect(options(&prefix, "swift", 1)).await.pipe("sums", IN);
    assert!(matches!(pipe.poll().await.unwrap(), Some(Delivery::Assigned { .. })));
    let mut least = Duration::MAX;
    for number in 0..30 {
        let out = TopicPartition { topic: OUT, partition: 0 };
        let outputs = vec![(out, numbers(number..number + 10))];
        let begun = Instant::now();
        pipe.commit(Commit { outputs, offsets: vec![(0, 0)], ..Commit::default() }).await.unwrap();
        least = least.min(begun.elapsed());
    }
    assert!(least < Duration::from_millis(80), "{least:?}");
}

/// Both die while partitions are nobody's, and come back as who they were: the group says again what it said last, in
/// which nobody has them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kafka"]
async fn what_the_group_has_forgotten_is_worked_on_all_the_same() {
    let prefix = prefix("forgotten");
    let log = connect(options(&prefix, "test", PARTITIONS)).await;
    let count = feed(&log, PARTITIONS, Duration::from_secs(1)).await;
    let mut first = start("the_holder", &prefix, "first", Stdio::piped());
    let mut told = BufReader::new(first.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(told.any(|line| line == ASSIGNED));
    let second = spawn(&prefix, "second");
    assert!(told.any(|line| line == REVOKED));
    // The other has what it gets in this generation: nothing.
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop((first, second));
    let workers = ["first", "second"].map(|instance| spawn(&prefix, instance));
    check(&log, PARTITIONS, count, PATIENCE).await;
    drop(workers);
}

const ASSIGNED: &str = "all are assigned";
const REVOKED: &str = "some are to go";

/// Takes all partitions, and never lets go of one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs somebody who starts it"]
async fn the_holder() {
    let (Ok(prefix), Ok(instance)) = (std::env::var(PREFIX), std::env::var(INSTANCE)) else { return };
    let mut pipe = connect(options(&prefix, &instance, PARTITIONS)).await.pipe("sums", IN);
    let mut assigned = 0;
    loop {
        match pipe.poll().await.unwrap() {
            Some(Delivery::Assigned { .. }) => assigned += 1,
            Some(Delivery::Revoked { .. }) => break,
            _ => {}
        }
        if assigned == PARTITIONS {
            assigned = 0;
            println!("\n{ASSIGNED}");
        }
    }
    println!("{REVOKED}");
    std::future::pending().await
}
