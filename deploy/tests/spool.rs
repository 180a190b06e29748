//! The forwarder between two embedded logs that are closed and opened again while devices speak.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use embedded::Log;
use gateway::forward::{self, ForwardError};
use records::{Batch, Consumer, Offset, Producer, Timestamp, Topic, TopicPartition, partition_of};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const DEVICES: u64 = 40;
const PER_DEVICE: u64 = 150;
const TOPICS: [Topic; 2] = [Topic::Telemetry, Topic::Quarantine];
const PATIENCE: Duration = Duration::from_secs(60);

fn open(dir: &Path) -> Log {
    let metrics = embedded::Metrics::register(&prometheus::Registry::new()).expect("a new registry");
    let clock = Arc::new(|| Timestamp(1_800_000_000_000));
    Log::open(dir, embedded::Options::default(), clock, metrics).expect("nobody else has it")
}

fn forward(spool: &Log, target: &Log, stop: &CancellationToken) -> JoinHandle<Result<(), ForwardError>> {
    let readers = forward::Spool {
        gateway: "gateway-1".into(),
        made: spool.made(),
        live: spool.consumer("forward-live", &TOPICS),
        backlog: spool.consumer("forward-backlog", &TOPICS),
    };
    let metrics = forward::Metrics::register(&prometheus::Registry::new()).expect("a new registry");
    let options = forward::Options {
        append_bytes: 2_000,
        commit_interval: Duration::from_millis(30),
        ..forward::Options::default()
    };
    let clock = Arc::new(|| Timestamp(1_800_000_000_000));
    tokio::spawn(forward::run(readers, target.clone(), clock, options, metrics, stop.clone()))
}

/// Each device says its next number; half of them where an unreadable payload goes.
async fn say(spool: &Log, number: u64) {
    let mut batches = BTreeMap::new();
    for device in 0..DEVICES {
        let key = format!("device-{device}");
        let topic = TOPICS[usize::from(device % 2 == 1)];
        let partition = partition_of(key.as_bytes(), spool.partitions(topic));
        let batch: &mut Batch = batches.entry(TopicPartition { topic, partition }).or_default();
        batch.push(key.as_bytes(), &number.to_le_bytes());
    }
    spool.append(batches.into_iter().collect()).await.expect("the spool takes it");
}

/// What each device has said, for a reader that drops what is not beyond the greatest offset of that device; and how
/// many records that dropped.
async fn arrived(target: &Log) -> (BTreeMap<String, Vec<u64>>, usize) {
    let mut reader = target.consumer("check", &TOPICS);
    let mut seen: BTreeMap<String, (Offset, Vec<u64>)> = BTreeMap::new();
    let mut resent = 0;
    while seen.values().map(|(_, numbers)| numbers.len() as u64).sum::<u64>() < DEVICES * PER_DEVICE {
        let fetched = tokio::time::timeout(PATIENCE, reader.poll()).await.expect("there is more");
        for (_, entry) in fetched.expect("readable").expect("open").entries() {
            let origin = entry.origin.expect("it was forwarded");
            let number = u64::from_le_bytes(entry.value.try_into().expect("a number"));
            let key = String::from_utf8(entry.key.to_vec()).expect("a name");
            match seen.get_mut(&key) {
                Some((last, _)) if origin.offset <= *last => resent += 1,
                Some((last, numbers)) => {
                    *last = origin.offset;
                    numbers.push(number);
                }
                None => {
                    seen.insert(key, (origin.offset, vec![number]));
                }
            }
        }
    }
    (seen.into_iter().map(|(key, (_, numbers))| (key, numbers)).collect(), resent)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_a_spool_took_arrives_in_order_however_often_both_logs_are_opened_anew() {
    let (here, there) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let mut made = None;
    for part in 0..10 {
        let (spool, target) = (open(here.path()), open(there.path()));
        assert_eq!(*made.get_or_insert(spool.made()), spool.made());
        let running = forward(&spool, &target, &CancellationToken::new());
        for number in part * PER_DEVICE / 10..(part + 1) * PER_DEVICE / 10 {
            say(&spool, number).await;
        }
        // A crash: whatever was under way is dropped.
        running.abort();
        assert!(running.await.is_err_and(|error| error.is_cancelled()));
    }
    let (spool, target) = (open(here.path()), open(there.path()));
    let stop = CancellationToken::new();
    let running = forward(&spool, &target, &stop);
    let (arrived, resent) = arrived(&target).await;
    for (device, numbers) in &arrived {
        assert!(numbers.iter().copied().eq(0..PER_DEVICE), "{device}: {numbers:?}");
    }
    assert_eq!(arrived.len() as u64, DEVICES);
    assert!(resent > 0, "no crash was one");
    stop.cancel();
    running.await.expect("no panic").expect("a good end");
    // What was committed is not sent again.
    let end = |log: &Log| log.stats().partitions.iter().map(|partition| partition.next).sum::<u64>();
    let before = end(&target);
    let running = forward(&spool, &target, &CancellationToken::new());
    let lag = || {
        spool.stats().partitions.iter().flat_map(|partition| &partition.readers).map(|r| r.lag).sum::<u64>()
    };
    assert_eq!(lag(), 0);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(end(&target), before);
    running.abort();
}
