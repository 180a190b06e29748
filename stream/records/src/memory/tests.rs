//! The contract of all logs, and what only this one has.

use super::MemoryLog;
use crate::contract::{Engine, PARTITIONS};
use crate::{
    AppendError, Batch, Commit, Consumer, Delivery, LogError, Pipe, Producer, Record, Tick, Timestamp, Topic,
    TopicPartition,
};
use std::ops::Range;
use std::time::Duration;

const PLACE: TopicPartition = TopicPartition { topic: Topic::Telemetry, partition: 0 };
const OUT: TopicPartition = TopicPartition { topic: Topic::Observations, partition: 0 };

/// The log under the contract, with batches of at most so many records.
struct InMemory(MemoryLog);

impl InMemory {
    fn new(batch_limit: usize) -> InMemory {
        let log = MemoryLog::new(|_| PARTITIONS);
        log.limit_batches(batch_limit);
        InMemory(log)
    }
}

impl Engine for InMemory {
    type Producer = MemoryLog;
    type Consumer = super::MemoryConsumer;
    type Pipe = super::MemoryPipe;

    fn producer(&self) -> MemoryLog {
        self.0.clone()
    }

    fn consumer(&self, group: &str, topics: &[Topic]) -> super::MemoryConsumer {
        self.0.consumer(group, topics)
    }

    fn consumer_from_end(&self, group: &str, topics: &[Topic]) -> super::MemoryConsumer {
        self.0.consumer_from_end(group, topics)
    }

    fn pipe(&self, job: &str, topic: Topic, partitions: Range<u32>) -> super::MemoryPipe {
        self.0.pipe(job, topic, partitions)
    }

    fn close(&self) {
        self.0.close();
    }

    fn restart(self) -> InMemory {
        self
    }
}

mod contract {
    use super::InMemory;
    crate::contract_tests!(InMemory::new(1000));
    crate::range_tests!(InMemory::new(1000));
}

mod contract_in_small_batches {
    use super::InMemory;
    crate::contract_tests!(InMemory::new(3));
}

fn one(value: &[u8]) -> Batch {
    let mut batch = Batch::new();
    batch.push(b"key", value);
    batch
}

fn out(value: &[u8]) -> Commit {
    Commit { outputs: vec![(OUT, one(value))], offsets: vec![(0, 1)], snapshots: vec![] }
}

fn on(log: &MemoryLog, topic: Topic) -> Vec<Vec<u8>> {
    log.read_all(topic).into_iter().map(|(_, _, _, value)| value).collect()
}

#[tokio::test]
async fn failing_appends_leave_nothing_and_doubtful_ones_do() {
    let log = MemoryLog::new(|_| 1);
    log.fail_next_appends(2, || AppendError::Full("as asked".into()));
    log.doubt_next_appends(1);
    for value in [b"a", b"b"] {
        let answer = log.append(vec![(PLACE, one(value))]).await;
        assert!(matches!(answer, Err(AppendError::Full(_))), "{answer:?}");
    }
    let doubtful = log.append(vec![(PLACE, one(b"c"))]).await;
    assert!(matches!(doubtful, Err(AppendError::Unavailable(_))), "{doubtful:?}");
    assert_eq!(log.append(vec![(PLACE, one(b"d"))]).await.expect("taken"), [1]);
    assert_eq!(on(&log, Topic::Telemetry), [b"c", b"d"]);
}

#[tokio::test]
async fn failing_commits_leave_nothing_and_doubtful_ones_do() {
    let log = MemoryLog::new(|_| 1);
    let mut pipe = log.pipe("job", Topic::Telemetry, 0..1);
    log.fail_next_commits(1);
    log.doubt_next_commits(1);
    for value in [b"a", b"b"] {
        let answer = pipe.commit(out(value)).await;
        assert!(matches!(answer, Err(LogError::Unavailable(_))), "{answer:?}");
    }
    assert_eq!(on(&log, Topic::Observations), [b"b"]);
    let mut pipe = log.pipe("job", Topic::Telemetry, 0..1);
    let assigned = pipe.poll().await.expect("readable").expect("open");
    assert!(matches!(assigned, Delivery::Assigned { partition: 0, snapshot: None, committed: 1 }));
}

#[tokio::test]
async fn a_failing_commit_of_a_consumer_leaves_it_where_it_was() {
    let log = MemoryLog::new(|_| 1);
    log.append(vec![(PLACE, one(b"a"))]).await.expect("taken");
    let mut consumer = log.consumer("sink", &[Topic::Telemetry]);
    log.fail_next_commits(1);
    assert!(consumer.commit(&[(PLACE, 1)]).await.is_err());
    let again = log.consumer("sink", &[Topic::Telemetry]).poll().await.expect("readable").expect("open");
    assert_eq!(again.first, 0);
}

#[tokio::test(start_paused = true)]
async fn held_appends_are_answered_on_release() {
    let log = MemoryLog::new(|_| 1);
    log.hold_appends(true);
    let held = log.clone();
    let append = tokio::spawn(async move { held.append(vec![(PLACE, one(b"a"))]).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!append.is_finished());
    log.hold_appends(false);
    assert_eq!(append.await.expect("no panic").expect("taken"), [0]);
}

#[tokio::test]
async fn a_commit_to_nowhere_changes_nothing() {
    let log = MemoryLog::new(|_| 1);
    let mut pipe = log.pipe("job", Topic::Telemetry, 0..1);
    let nowhere = TopicPartition { topic: Topic::Alerts, partition: 7 };
    let outputs = vec![(OUT, one(b"a")), (nowhere, one(b"b"))];
    let answer = pipe.commit(Commit { outputs, ..Commit::default() }).await;
    assert!(matches!(answer, Err(LogError::Unavailable(_))), "{answer:?}");
    let answer = pipe.commit(Commit { offsets: vec![(0, 1), (7, 1)], ..out(b"c") }).await;
    assert!(matches!(answer, Err(LogError::Fenced)), "{answer:?}");
    assert_eq!(on(&log, Topic::Observations), [[0; 0]; 0]);
}

#[tokio::test]
async fn a_reader_that_was_replaced_learns_it_while_it_waits() {
    let log = MemoryLog::new(|_| 1);
    let mut consumer = log.consumer("sink", &[Topic::Telemetry]);
    let waiting = tokio::spawn(async move { consumer.poll().await });
    tokio::task::yield_now().await;
    let _newer = log.consumer("sink", &[Topic::Telemetry]);
    let answer = tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("it wakes");
    assert!(matches!(answer, Ok(Err(LogError::Fenced))), "{answer:?}");
}

#[tokio::test]
async fn partitions_take_turns() {
    let log = MemoryLog::new(|_| 2);
    log.limit_batches(1);
    let places = [PLACE, TopicPartition { partition: 1, ..PLACE }];
    for place in [places[0], places[0], places[0], places[1]] {
        log.append(vec![(place, one(b"a"))]).await.expect("taken");
    }
    let mut consumer = log.consumer("sink", &[Topic::Telemetry]);
    let mut turns = Vec::new();
    for _ in 0..4 {
        turns.push(consumer.poll().await.expect("readable").expect("open").partition.partition);
    }
    assert_eq!(turns, [0, 1, 0, 0]);
}

#[tokio::test]
async fn decoded_gives_records() {
    let log = MemoryLog::new(|_| 1);
    let record = Record::Tick(Tick { at: Timestamp(5), source: 0, sources: 1 });
    let mut batch = Batch::new();
    batch.push_with(b"", |bytes| record.encode(bytes));
    log.append(vec![(PLACE, batch)]).await.expect("taken");
    assert_eq!(log.decoded(Topic::Telemetry), [record]);
}
