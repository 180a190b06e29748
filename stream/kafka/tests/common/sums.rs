//! A job that adds up its input: it puts out every sum, so that what was lost or doubled anywhere shows behind it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kafka::{KafkaPipe, Log};
use records::{
    Batch, Commit, Consumer, Delivery, Fetched, LogError, Offset, Pipe, Producer, Snapshot, Topic,
    TopicPartition,
};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

pub const IN: Topic = Topic::Telemetry;
pub const OUT: Topic = Topic::Observations;

/// How often a worker commits; every fifth time with states.
const COMMIT: Duration = Duration::from_millis(50);

/// One worker of the job.
#[derive(Default)]
pub struct Worker {
    sums: BTreeMap<u32, Sum>,
    outputs: Vec<(TopicPartition, Batch)>,
    commits: u32,
    pub seen: Seen,
}

/// What came to a worker.
#[derive(Debug, Default)]
pub struct Seen {
    pub assigned: AtomicU64,
    pub revoked: AtomicU64,
}

#[derive(Default)]
struct Sum {
    sum: u64,
    next: Offset,
    committed: Offset,
}

impl Worker {
    /// Until an error.
    pub async fn work(&mut self, mut pipe: KafkaPipe) -> LogError {
        let mut due = interval(COMMIT);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                biased;
                _ = due.tick() => self.commit(&mut pipe).await,
                delivery = pipe.poll() => match delivery {
                    Ok(Some(delivery)) => self.take(delivery, &mut pipe).await,
                    Ok(None) => panic!("nobody closes this log"),
                    Err(error) => Err(error),
                },
            };
            if let Err(error) = done {
                return error;
            }
        }
    }

    async fn take(&mut self, delivery: Delivery, pipe: &mut KafkaPipe) -> Result<(), LogError> {
        match delivery {
            Delivery::Assigned { partition, snapshot, committed } => {
                self.seen.assigned.fetch_add(1, Ordering::Relaxed);
                self.sums.insert(partition, Sum::restore(snapshot, committed));
            }
            Delivery::Revoked { partition } => {
                self.seen.revoked.fetch_add(1, Ordering::Relaxed);
                self.commit(pipe).await?;
                assert!(self.sums.remove(&partition).is_some(), "{partition} was ours");
            }
            Delivery::Records(fetched) => self.run(&fetched),
        }
        Ok(())
    }

    fn run(&mut self, fetched: &Fetched) {
        let partition = fetched.partition.partition;
        let sum = self.sums.get_mut(&partition).expect("records come of what was assigned");
        let mut batch = Batch::new();
        for (offset, key, value) in fetched.records() {
            assert_eq!(offset, sum.next, "in order, from where the state ends");
            sum.sum += std::str::from_utf8(value).unwrap().parse::<u64>().unwrap();
            sum.next += 1;
            if offset >= sum.committed {
                batch.push(key, sum.sum.to_string().as_bytes());
            }
        }
        self.outputs.push((TopicPartition { topic: OUT, partition }, batch));
    }

    async fn commit(&mut self, pipe: &mut KafkaPipe) -> Result<(), LogError> {
        let moved: Vec<_> = self.sums.iter().filter(|(_, sum)| sum.next > sum.committed).collect();
        if moved.is_empty() {
            return Ok(());
        }
        self.commits += 1;
        let state = |(partition, sum): &(&u32, &Sum)| (**partition, sum.snapshot());
        let is_due = self.commits.is_multiple_of(5);
        let snapshots = if is_due { moved.iter().map(state).collect() } else { vec![] };
        let offsets = moved.iter().map(|(partition, sum)| (**partition, sum.next)).collect();
        let outputs = std::mem::take(&mut self.outputs);
        pipe.commit(Commit { outputs, offsets, snapshots }).await?;
        self.sums.values_mut().for_each(|sum| sum.committed = sum.committed.max(sum.next));
        Ok(())
    }
}

impl Sum {
    fn restore(snapshot: Option<Snapshot>, committed: Offset) -> Sum {
        let sum = |snapshot: &Snapshot| u64::from_le_bytes(snapshot.bytes[..].try_into().unwrap());
        Sum { sum: snapshot.as_ref().map_or(0, sum), next: snapshot.map_or(0, |at| at.offset), committed }
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot { offset: self.next, bytes: self.sum.to_le_bytes().to_vec() }
    }
}

/// Appends ascending numbers to each partition for so long; tells how many each has.
pub async fn feed(log: &Log, partitions: u32, duration: Duration) -> u64 {
    let (begin, mut next) = (Instant::now(), 0);
    let mut pace = interval(Duration::from_millis(20));
    while begin.elapsed() < duration {
        pace.tick().await;
        let batch = numbers(next..next + 20);
        let batches =
            (0..partitions).map(|partition| (TopicPartition { topic: IN, partition }, batch.clone()));
        log.append(batches.collect()).await.unwrap();
        next += 20;
    }
    next
}

pub fn numbers(range: std::ops::Range<u64>) -> Batch {
    let mut batch = Batch::new();
    range.for_each(|number| batch.push(b"key", number.to_string().as_bytes()));
    batch
}

/// Reads the job's output until there are `count` sums in each partition, and checks that they are what one worker
/// without a mishap puts out.
pub async fn check(log: &Log, partitions: u32, count: u64, patience: Duration) {
    let mut reader = log.consumer("check", &[OUT]);
    let mut found = BTreeMap::<u32, Vec<u64>>::new();
    let mut left = u64::from(partitions) * count;
    let read = async {
        while left > 0 {
            let fetched = reader.poll().await.unwrap().unwrap();
            left = left.saturating_sub(fetched.batch.len() as u64);
            let number = |value| std::str::from_utf8(value).unwrap().parse::<u64>().unwrap();
            let values = fetched.records().map(|(_, _, value)| number(value));
            found.entry(fetched.partition.partition).or_default().extend(values);
        }
    };
    let is_there = timeout(patience, read).await.is_ok();
    let sums: Vec<u64> = (0..count)
        .scan(0, |sum, number| {
            *sum += number;
            Some(*sum)
        })
        .collect();
    for partition in 0..partitions {
        let found = found.get(&partition).map_or(&[][..], Vec::as_slice);
        let wrong = found.iter().zip(&sums).position(|(found, sum)| found != sum);
        assert_eq!(wrong, None, "partition {partition}, {} of {count} sums", found.len());
        assert!(
            is_there || found.len() as u64 == count,
            "partition {partition} has {} of {count}",
            found.len()
        );
    }
    let more = timeout(Duration::from_millis(500), reader.poll()).await;
    assert!(more.is_err(), "nothing comes behind the last sum: {more:?}");
}
