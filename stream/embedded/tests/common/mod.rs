//! What the tests of the log share.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "clippy does not see that this is test code")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use embedded::{Clock, EmbeddedConsumer, Log, Metrics, OpenError, Options};
use prometheus::Registry;
use records::{Batch, Consumer, Fetched, LogError, Offset, Producer, Timestamp, Topic, TopicPartition};

/// A clock that tests move.
#[derive(Clone, Default)]
pub struct TestClock(Arc<AtomicI64>);

impl TestClock {
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }

    pub fn set_back(&self, by: Duration) {
        self.0.fetch_sub(i64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }

    pub fn clock(&self) -> Clock {
        let clock = self.clone();
        Arc::new(move || Timestamp(clock.0.load(Ordering::Relaxed)))
    }
}

pub fn open(dir: &Path) -> Log {
    open_with(dir, Options::default()).unwrap()
}

pub fn open_with(dir: &Path, options: Options) -> Result<Log, OpenError> {
    Log::open(dir, options, TestClock::default().clock(), Metrics::register(&Registry::new()).unwrap())
}

pub const T0: TopicPartition = TopicPartition { topic: Topic::Telemetry, partition: 0 };

pub fn at(topic: Topic, partition: u32) -> TopicPartition {
    TopicPartition { topic, partition }
}

pub fn batch<T: AsRef<[u8]>>(values: impl IntoIterator<Item = T>) -> Batch {
    let mut batch = Batch::new();
    for value in values {
        batch.push(b"key", value.as_ref());
    }
    batch
}

/// `count` records of `bytes` bytes.
pub fn filler(count: usize, bytes: usize) -> Batch {
    batch(std::iter::repeat_n(vec![b'x'; bytes], count))
}

pub async fn append(log: &Log, at: TopicPartition, batch: Batch) -> Offset {
    log.append(vec![(at, batch)]).await.unwrap()[0]
}

/// The text of the records.
pub fn values(fetched: &Fetched) -> Vec<String> {
    fetched.records().map(|(_, _, value)| String::from_utf8(value.to_vec()).unwrap()).collect()
}

/// Polls, and gives up after a while instead of hanging.
pub async fn poll(consumer: &mut EmbeddedConsumer) -> Result<Option<Fetched>, LogError> {
    soon(consumer.poll()).await
}

pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it should have happened by now")
}

/// Whether nothing comes for a moment.
pub async fn is_pending<T>(future: impl Future<Output = T>) -> bool {
    tokio::time::timeout(Duration::from_millis(100), future).await.is_err()
}

/// Waits until a claim holds.
pub async fn eventually(mut claim: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if claim() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it should have become true by now");
}

/// Reads `count` records and returns their texts with the offset of the first.
pub async fn read(consumer: &mut EmbeddedConsumer, count: usize) -> (Offset, Vec<String>) {
    let (mut first, mut texts) = (None, Vec::new());
    while texts.len() < count {
        let fetched = poll(consumer).await.unwrap().expect("the log is open");
        assert_eq!(*first.get_or_insert(fetched.first) + texts.len() as Offset, fetched.first);
        texts.extend(values(&fetched));
    }
    (first.unwrap_or(0), texts)
}
