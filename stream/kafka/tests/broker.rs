//! Brokers that are killed under load.
#![allow(clippy::unwrap_used, reason = "clippy does not see that this is test code")]

mod common;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::sums::{IN, OUT, Worker, check, feed};
use common::{connect, options_at};
use kafka::Log;
use records::{Batch, Consumer, Producer, Topic, TopicPartition};
use tokio::time::{sleep, timeout};

const PARTITIONS: u32 = 2;
const WRITERS: u32 = 8;
const AWAY: Duration = Duration::from_secs(4);
/// For what is to be read in the end, on a machine that is busy with other things as well.
const PATIENCE: Duration = Duration::from_secs(180);

/// One node, which is killed and comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kafka (the service's script)"]
async fn a_killed_broker_costs_a_pause_alone() {
    let brokers = Brokers::start(1);
    let outage = async {
        brokers.kill(1);
        sleep(AWAY).await;
        brokers.run(&["start", &brokers.folder(), "1"]);
    };
    undisturbed(&brokers, outage).await;
}

/// Three, with two of three copies behind an acknowledgement; the one that leads is killed and stays away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kafka (the service's script)"]
async fn a_lost_broker_of_three_costs_a_pause_alone() {
    let brokers = Brokers::start(3);
    let outage = async {
        brokers.kill(2);
        sleep(AWAY).await;
    };
    undisturbed(&brokers, outage).await;
}

/// Whatever the `outage`: nobody who appends sees an error, what was acknowledged is there once and in order, and the
/// job's outputs are those of an undisturbed one.
async fn undisturbed(brokers: &Brokers, outage: impl Future<Output = ()>) {
    let mut options = options_at(&brokers.address, "outage-", "test", PARTITIONS);
    options.topics = options.topics.on_brokers(brokers.nodes);
    let log = connect(options).await;
    let job = tokio::spawn(work(log.clone()));
    let fed = {
        let log = log.clone();
        tokio::spawn(async move { feed(&log, PARTITIONS, Duration::from_secs(15)).await })
    };
    let is_over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> =
        (0..WRITERS).map(|writer| tokio::spawn(write(log.clone(), writer, Arc::clone(&is_over)))).collect();
    // The outage begins when all flows: with a broker less Kafka can't make the topics that it keeps for itself.
    let mut begun = log.consumer("begun", &[OUT]);
    timeout(PATIENCE, begun.poll()).await.expect("outputs come").unwrap();
    outage.await;
    let count = fed.await.unwrap();
    is_over.store(true, Ordering::Relaxed);
    let mut written = Vec::new();
    for writer in writers {
        written.push(writer.await.unwrap());
    }
    assert!(written.iter().all(|written| *written > 20), "too little to be hit in its middle: {written:?}");
    check_written(&log, &written).await;
    check(&log, PARTITIONS, count, PATIENCE).await;
    assert!(!job.is_finished(), "the job goes on");
    job.abort();
}

/// Appends numbered records one batch after the other; tells how many were acknowledged.
async fn write(log: Log, writer: u32, is_over: Arc<AtomicBool>) -> u64 {
    let (place, mut next) = (TopicPartition { topic: Topic::Alerts, partition: writer % PARTITIONS }, 0);
    while !is_over.load(Ordering::Relaxed) {
        let mut batch = Batch::new();
        (next..next + 10).for_each(|number| batch.push(&writer.to_be_bytes(), number.to_string().as_bytes()));
        log.append(vec![(place, batch)]).await.expect("a broker that is away for a while is waited for");
        next += 10;
        tokio::task::yield_now().await;
    }
    next
}

async fn check_written(log: &Log, written: &[u64]) {
    let mut next = vec![0; written.len()];
    let mut reader = log.consumer("written", &[Topic::Alerts]);
    let read = async {
        while next != written {
            let fetched = reader.poll().await.unwrap().unwrap();
            for (_, key, value) in fetched.records() {
                let writer = u32::from_be_bytes(key.try_into().unwrap()) as usize;
                let number: u64 = std::str::from_utf8(value).unwrap().parse().unwrap();
                assert_eq!(number, next[writer], "writer {writer}: nothing lost, doubled or out of order");
                next[writer] += 1;
            }
        }
    };
    let is_there = timeout(PATIENCE, read).await.is_ok();
    assert!(is_there, "{next:?} of {written:?}");
}

async fn work(log: Log) {
    loop {
        let error = Worker::default().work(log.pipe("sums", IN)).await;
        eprintln!("{error}: {:?}", std::error::Error::source(&error).map(ToString::to_string));
    }
}

/// Nodes of a test's own, so that nobody else is disturbed.
struct Brokers {
    dir: tempfile::TempDir,
    nodes: u32,
    address: String,
}

impl Brokers {
    fn start(nodes: u32) -> Brokers {
        let mut brokers = Brokers { dir: tempfile::tempdir().unwrap(), nodes, address: String::new() };
        brokers.address = brokers.run(&["up", &brokers.folder(), &nodes.to_string()]);
        brokers
    }

    fn kill(&self, node: u32) {
        self.run(&["kill", &self.folder(), &node.to_string()]);
    }

    fn folder(&self) -> String {
        self.dir.path().to_str().unwrap().to_owned()
    }

    fn run(&self, arguments: &[&str]) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/services/kafka/kafka");
        let output = Command::new(script).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Brokers {
    fn drop(&mut self) {
        self.run(&["down", &self.folder()]);
    }
}
