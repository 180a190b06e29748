//! What the promises are told with.

use super::Engine;
use crate::{Batch, Commit, Consumer, Delivery, Offset, Pipe, Producer, Snapshot, Topic, TopicPartition};
use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

pub(super) const IN: Topic = Topic::Telemetry;
pub(super) const OUT: Topic = Topic::Observations;

/// Longer than anything that is about to happen takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long nothing must happen to say that nothing happens.
const SILENCE: Duration = Duration::from_millis(60);

/// Key and value of what was read, per partition.
pub(super) type Seen = BTreeMap<TopicPartition, Vec<(Offset, Vec<u8>)>>;

pub(super) fn place(topic: Topic, partition: u32) -> TopicPartition {
    TopicPartition { topic, partition }
}

pub(super) fn batch<V: AsRef<[u8]>>(values: impl IntoIterator<Item = V>) -> Batch {
    let mut batch = Batch::new();
    for value in values {
        batch.push(b"key", value.as_ref());
    }
    batch
}

/// `from..to` as decimal text.
pub(super) fn numbers(range: std::ops::Range<u64>) -> Batch {
    batch(range.map(|number| number.to_string()))
}

pub(super) async fn append<E: Engine>(engine: &E, place: TopicPartition, batch: Batch) -> Offset {
    engine.producer().append(vec![(place, batch)]).await.expect("the log takes it")[0]
}

pub(super) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("this comes soon")
}

pub(super) async fn not_yet<T>(what: impl Future<Output = T>) {
    assert!(tokio::time::timeout(SILENCE, what).await.is_err(), "this must wait");
}

/// Polls until `count` more records are in `seen`, checking that offsets ascend and nothing is lost.
pub(super) async fn consume(consumer: &mut impl Consumer, count: usize, seen: &mut Seen) {
    let mut left = count;
    while left > 0 {
        let fetched = soon(consumer.poll()).await.expect("readable").expect("open");
        assert!(!fetched.batch.is_empty());
        left = left.checked_sub(fetched.batch.len()).expect("no more than was appended");
        note(&fetched, seen);
    }
}

pub(super) fn note(fetched: &crate::Fetched, seen: &mut Seen) {
    let list = seen.entry(fetched.partition).or_default();
    assert_eq!(fetched.lost, 0, "retention removes nothing here");
    for (offset, _, value) in fetched.records() {
        if let Some((last, _)) = list.last() {
            assert!(offset > *last, "a step back in {}", fetched.partition);
        }
        list.push((offset, value.to_vec()));
    }
}

pub(super) fn values(seen: &Seen, place: TopicPartition) -> Vec<String> {
    let text = |(_, value): &(Offset, Vec<u8>)| String::from_utf8(value.clone()).expect("text");
    seen.get(&place).into_iter().flatten().map(text).collect()
}

pub(super) fn texts(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

/// All that is on a partition's topic now, read by a group of its own.
pub(super) async fn all<E: Engine>(engine: &E, topic: Topic, count: usize) -> Seen {
    let mut seen = Seen::new();
    let mut consumer = engine.consumer("contract-reader", &[topic]);
    consume(&mut consumer, count, &mut seen).await;
    not_yet(consumer.poll()).await;
    seen
}

/// What a pipe said of a partition before its first record: snapshot and committed offset.
pub(super) type Assigned = BTreeMap<u32, (Option<Snapshot>, Offset)>;

/// Polls until `partitions` were assigned and `count` records were read.
pub(super) async fn drain(pipe: &mut impl Pipe, partitions: usize, count: usize) -> (Assigned, Seen) {
    let (mut assigned, mut seen, mut left) = (Assigned::new(), Seen::new(), count);
    while assigned.len() < partitions || left > 0 {
        match soon(pipe.poll()).await.expect("readable").expect("open") {
            Delivery::Assigned { partition, snapshot, committed } => {
                assert!(assigned.insert(partition, (snapshot, committed)).is_none(), "assigned twice");
            }
            Delivery::Revoked { partition } => panic!("nobody else wants {partition}"),
            Delivery::Records(fetched) => {
                assert!(
                    assigned.contains_key(&fetched.partition.partition),
                    "records before their assignment"
                );
                left = left.checked_sub(fetched.batch.len()).expect("no more than was appended");
                note(&fetched, &mut seen);
            }
        }
    }
    (assigned, seen)
}

/// A commit of partition 0: these outputs to partition 0 of [`OUT`], the next offset, perhaps a snapshot.
pub(super) fn commit(outputs: Batch, next: Offset, snapshot: Option<Snapshot>) -> Commit {
    Commit {
        outputs: vec![(place(OUT, 0), outputs)],
        offsets: vec![(0, next)],
        snapshots: snapshot.map(|snapshot| (0, snapshot)).into_iter().collect(),
    }
}

pub(super) fn snapshot(offset: Offset, bytes: &[u8]) -> Snapshot {
    Snapshot { offset, bytes: bytes.to_vec() }
}
