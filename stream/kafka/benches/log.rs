//! What a record costs the client, in CPU time of this process, and how fast it goes: appending, reading, and a pipe
//! with transactions against a reader and a writer without.
//!
//! `SLUICE_KAFKA=host:port cargo bench -p kafka [-- RECORDS]`
#![allow(clippy::unwrap_used, reason = "clippy does not see that this is no product code")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use common::{connect, options, prefix};
use kafka::Log;
use records::{Batch, Commit, Consumer, Delivery, Fetched, Pipe, Producer, Topic, TopicPartition};
use tokio::task::JoinSet;

const PARTITIONS: u32 = 4;
/// Bytes of a value: one observation of six readings, with what JSON or other clients add.
const VALUE: usize = 200;
/// As the gateway and the forwarder append.
const BATCH: u64 = 500;
const WRITERS: u64 = 8;
/// Between two commits.
const COMMIT: Duration = Duration::from_millis(200);

fn main() {
    if std::env::args().any(|argument| argument == "--test" || argument == "--list") {
        return;
    }
    let records = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(1_000_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(measure(records));
}

async fn measure(records: u64) {
    let log = connect(options(&prefix("bench"), "bench", PARTITIONS)).await;
    let cost = Cost::begin();
    write(&log, records).await;
    cost.end("append", records);
    for _ in 0..2 {
        let cost = Cost::begin();
        read(&log, &format!("read-{}", cost.cpu.as_nanos()), records).await;
        cost.end("consumer", records);
    }
    for turn in 0..3 {
        let cost = Cost::begin();
        copy(&log, &format!("copy-{turn}"), records).await;
        cost.end("consumer, append, commit every 200 ms", records);
        let cost = Cost::begin();
        pipe(&log, &format!("pipe-{turn}"), records).await;
        cost.end("pipe, transaction every 200 ms", records);
    }
}

async fn write(log: &Log, records: u64) {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let log = log.clone();
        writers.spawn(async move {
            let place = TopicPartition { topic: Topic::Telemetry, partition: writer as u32 % PARTITIONS };
            for _ in 0..records / WRITERS / BATCH {
                let mut batch = Batch::new();
                (0..BATCH).for_each(|number| batch.push(b"device-1234", &value(number)));
                log.append(vec![(place, batch)]).await.unwrap();
            }
        });
    }
    writers.join_all().await;
}

/// A version and a kind, and bytes that do not compress to nothing.
fn value(number: u64) -> [u8; VALUE] {
    let mut value = [0; VALUE];
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for chunk in value.chunks_mut(16) {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let len = chunk.len().min(8);
        chunk[..len].copy_from_slice(&state.to_le_bytes()[..len]);
    }
    value[..3].copy_from_slice(&[0x83, 1, 1]);
    value
}

async fn read(log: &Log, group: &str, records: u64) {
    let mut consumer = log.consumer(group, &[Topic::Telemetry]);
    let mut left = records;
    while left > 0 {
        left -= consumer.poll().await.unwrap().unwrap().batch.len() as u64;
    }
}

fn output(fetched: &Fetched) -> (TopicPartition, Batch) {
    let place = TopicPartition { topic: Topic::Observations, ..fetched.partition };
    (place, (*fetched.batch).clone())
}

/// At least once: what a job without transactions would do.
async fn copy(log: &Log, group: &str, records: u64) {
    let mut consumer = log.consumer(group, &[Topic::Telemetry]);
    let (mut left, mut due) = (records, Instant::now() + COMMIT);
    let (mut outputs, mut offsets) = (Vec::new(), std::collections::BTreeMap::new());
    while left > 0 {
        let fetched = consumer.poll().await.unwrap().unwrap();
        left -= fetched.batch.len() as u64;
        outputs.push(output(&fetched));
        offsets.insert(fetched.partition, fetched.next());
        if left == 0 || Instant::now() >= due {
            log.append(std::mem::take(&mut outputs)).await.unwrap();
            let offsets: Vec<_> = offsets.iter().map(|(place, next)| (*place, *next)).collect();
            consumer.commit(&offsets).await.unwrap();
            due = Instant::now() + COMMIT;
        }
    }
}

/// Exactly once.
async fn pipe(log: &Log, job: &str, records: u64) {
    let mut pipe = log.pipe(job, Topic::Telemetry);
    let (mut left, mut due) = (records, Instant::now() + COMMIT);
    let (mut outputs, mut offsets) = (Vec::new(), std::collections::BTreeMap::new());
    while left > 0 {
        let Some(Delivery::Records(fetched)) = pipe.poll().await.unwrap() else { continue };
        left -= fetched.batch.len() as u64;
        outputs.push(output(&fetched));
        offsets.insert(fetched.partition.partition, fetched.next());
        if left == 0 || Instant::now() >= due {
            let outputs = std::mem::take(&mut outputs);
            let offsets = offsets.iter().map(|(partition, next)| (*partition, *next)).collect();
            pipe.commit(Commit { outputs, offsets, snapshots: vec![] }).await.unwrap();
            due = Instant::now() + COMMIT;
        }
    }
}

struct Cost {
    since: Instant,
    cpu: Duration,
}

impl Cost {
    fn begin() -> Cost {
        Cost { since: Instant::now(), cpu: cpu() }
    }

    fn end(self, what: &str, records: u64) {
        let (wall, cpu) = (self.since.elapsed().as_secs_f64(), (cpu() - self.cpu).as_secs_f64());
        let (micros, rate) = (cpu * 1e6 / records as f64, records as f64 / wall);
        println!("{what}: {micros:.2} us of CPU a record, {rate:.0} records/s");
    }
}

/// CPU time of this process so far, user and system.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit(')').next().unwrap().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    // A tick is a hundredth of a second on every Linux that matters.
    Duration::from_millis(ticks * 10)
}
