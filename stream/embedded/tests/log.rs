//! Appending and reading.

mod common;

use std::path::Path;
use std::time::Duration;

use common::*;
use embedded::{Log, Metrics, OpenError, Options, ReaderName};
use prometheus::Registry;
use records::{AppendError, Batch, Consumer, LogError, Producer, Timestamp, Topic};
use rusqlite::Connection;

#[tokio::test]
async fn offsets_count_through_each_partition() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let other = at(Topic::Alerts, 0);
    let mixed = vec![(T0, batch(["a", "b"])), (other, batch(["c"])), (T0, Batch::new()), (T0, batch(["d"]))];
    assert_eq!(log.append(mixed).await.unwrap(), [0, 0, 2, 2]);
    assert!(log.append(vec![]).await.unwrap().is_empty());
    assert_eq!(append(&log, T0, batch(["e"])).await, 3);
    assert_eq!(append(&log, other, batch(["f"])).await, 1);
    assert_eq!(log.partitions(Topic::Telemetry), 4);
    assert_eq!(log.partitions(Topic::Audit), 1);
}

#[tokio::test]
async fn a_partition_that_does_not_exist_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let error = open(dir.path()).append(vec![(at(Topic::Telemetry, 4), batch(["a"]))]).await.unwrap_err();
    let AppendError::Unavailable(source) = error else { panic!("{error:?}") };
    assert_eq!(source.to_string(), "there is no telemetry/4: telemetry has 4 partitions");
}

#[tokio::test]
async fn a_reader_follows_and_begins_at_its_commit() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    append(&log, T0, batch(["a", "b", "c"])).await;
    let mut consumer = log.consumer("sink", &[Topic::Telemetry]);
    assert_eq!(read(&mut consumer, 3).await, (0, vec!["a".into(), "b".into(), "c".into()]));
    assert!(is_pending(consumer.poll()).await);
    append(&log, T0, batch(["d"])).await;
    assert_eq!(read(&mut consumer, 1).await, (3, vec!["d".into()]));
    // In the middle of a batch.
    consumer.commit(&[(T0, 2)]).await.unwrap();
    drop(consumer);
    let mut again = log.consumer("sink", &[Topic::Telemetry]);
    assert_eq!(read(&mut again, 2).await, (2, vec!["c".into(), "d".into()]));
    let mut other = log.consumer("other", &[Topic::Telemetry]);
    assert_eq!(read(&mut other, 4).await.0, 0);
}

#[tokio::test]
async fn everything_is_there_after_opening_again() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    for n in 0..300 {
        append(&log, T0, batch([n.to_string()])).await;
    }
    let mut consumer = log.consumer("sink", &[Topic::Telemetry, Topic::Alerts]);
    consumer.commit(&[(T0, 7)]).await.unwrap();
    drop(consumer);
    log.close().await;
    let log = open(dir.path());
    assert_eq!(append(&log, T0, batch(["300"])).await, 300);
    let mut consumer = log.consumer("sink", &[Topic::Telemetry, Topic::Alerts]);
    // Rows that were written one by one come together.
    let fetched = poll(&mut consumer).await.unwrap().unwrap();
    assert!(fetched.batch.len() >= 293, "{}", fetched.batch.len());
    assert_eq!(fetched.first, 7);
    assert_eq!(values(&fetched)[0], "7");
}

#[tokio::test]
async fn a_reader_far_behind_reads_the_file_and_catches_up() {
    let dir = tempfile::tempdir().unwrap();
    let log = open_with(dir.path(), Options { tail_bytes: 10_000, ..Options::default() }).unwrap();
    let mut consumer = log.consumer("sink", &[Topic::Telemetry]);
    let mut expected = Vec::new();
    for n in 0..200 {
        let texts: Vec<_> = (0..50).map(|m| format!("{n}-{m}-{}", "x".repeat(500))).collect();
        append(&log, T0, batch(&texts)).await;
        expected.extend(texts);
    }
    assert_eq!(read(&mut consumer, expected.len()).await, (0, expected));
    append(&log, T0, batch(["live"])).await;
    assert_eq!(read(&mut consumer, 1).await, (10_000, vec!["live".into()]));
}

#[tokio::test]
async fn a_busy_partition_does_not_starve_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let log = open_with(dir.path(), Options { tail_bytes: 1000, ..Options::default() }).unwrap();
    for _ in 0..50 {
        append(&log, T0, filler(100, 1000)).await;
    }
    append(&log, at(Topic::Telemetry, 3), batch(["quiet"])).await;
    let mut consumer = log.consumer("sink", &[Topic::Telemetry]);
    for _ in 0..3 {
        if poll(&mut consumer).await.unwrap().unwrap().partition.partition == 3 {
            return;
        }
    }
    panic!("the quiet partition waits for the busy one");
}

#[tokio::test]
async fn a_dropped_poll_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let log = open_with(dir.path(), Options { tail_bytes: 1000, ..Options::default() }).unwrap();
    for n in 0..100 {
        append(&log, T0, batch([format!("{n:0500}")])).await;
    }
    let mut consumer = log.consumer("sink", &[Topic::Telemetry]);
    let mut seen = 0;
    while seen < 100 {
        // Each time dropped a little later, so in each of its waits.
        for micros in [0, 1, 10, 100, 1000, 10_000] {
            if let Ok(fetched) = tokio::time::timeout(Duration::from_micros(micros), consumer.poll()).await {
                let fetched = fetched.unwrap().unwrap();
                assert_eq!(fetched.first, seen);
                seen = fetched.next();
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_dropped_append_is_not_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    drop(tokio::time::timeout(Duration::ZERO, log.append(vec![(T0, batch(["a"]))])).await);
    assert_eq!(append(&log, T0, batch(["b"])).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_share_commits_and_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let log = open_with(dir.path(), Options { max_pending_bytes: 20_000, ..Options::default() }).unwrap();
    let writers: Vec<_> = (0..8).map(|writer| tokio::spawn(write(log.clone(), writer))).collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let mut consumer = log.consumer("sink", &[Topic::Telemetry]);
    let (first, texts) = read(&mut consumer, 8 * 100 * 10).await;
    assert_eq!(first, 0);
    for writer in 0..8 {
        let prefix = format!("{writer} ");
        let own: Vec<_> = texts.iter().filter_map(|text| text.strip_prefix(&prefix)).collect();
        let expected: Vec<_> = (0..1000).map(|n| n.to_string()).collect();
        assert_eq!(own, expected);
    }
}

async fn write(log: Log, writer: usize) {
    for n in 0..100 {
        append(&log, T0, batch((0..10).map(|m| format!("{writer} {}", n * 10 + m)))).await;
    }
}

#[tokio::test]
async fn a_full_queue_makes_appends_wait() {
    let dir = tempfile::tempdir().unwrap();
    // So long a gathering that nothing leaves the queue by itself.
    let gather = Duration::from_secs(3600);
    let options =
        Options { max_pending_bytes: 10_000, gather, gather_bytes: usize::MAX, ..Options::default() };
    let log = open_with(dir.path(), options).unwrap();
    let first = tokio::spawn({
        let log = log.clone();
        async move { log.append(vec![(T0, filler(1, 9000))]).await }
    });
    eventually(|| log.stats().queue_bytes > 9000).await;
    assert!(is_pending(log.append(vec![(T0, filler(1, 9000))])).await);
    assert!(log.stats().queue_bytes < 10_000);
    soon(log.close()).await;
    assert_eq!(first.await.unwrap().unwrap(), [0]);
}

#[tokio::test]
async fn after_close_appends_fail_and_readers_end() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let mut consumer = log.consumer("sink", &[Topic::Telemetry]);
    let mut waiting = log.consumer("waiting", &[Topic::Alerts]);
    append(&log, T0, batch(["a"])).await;
    let waiting = tokio::spawn(async move { waiting.poll().await });
    soon(log.close()).await;
    assert!(matches!(log.append(vec![(T0, batch(["b"]))]).await, Err(AppendError::Closed)));
    assert_eq!(read(&mut consumer, 1).await, (0, vec!["a".into()]));
    assert!(poll(&mut consumer).await.unwrap().is_none());
    assert!(soon(waiting).await.unwrap().unwrap().is_none());
    // What was read last can still be committed.
    consumer.commit(&[(T0, 1)]).await.unwrap();
    drop(consumer);
    soon(log.close()).await;
    let log = open(dir.path());
    assert!(is_pending(log.consumer("sink", &[Topic::Telemetry]).poll()).await);
}

#[tokio::test]
async fn a_log_that_is_dropped_can_be_opened_again_at_once() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..5 {
        let log = open(dir.path());
        assert_eq!(append(&log, T0, batch(["a"])).await, n);
    }
}

#[tokio::test]
async fn a_second_consumer_of_a_group_takes_over() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    append(&log, T0, batch(["a", "b"])).await;
    let mut old = log.consumer("sink", &[Topic::Telemetry]);
    read(&mut old, 2).await;
    let mut new = log.consumer("sink", &[Topic::Telemetry]);
    assert!(matches!(old.commit(&[(T0, 2)]).await, Err(LogError::Fenced)));
    assert!(matches!(poll(&mut old).await, Err(LogError::Fenced)));
    assert_eq!(read(&mut new, 2).await.0, 0);
    new.commit(&[(T0, 2)]).await.unwrap();
}

#[tokio::test]
async fn only_what_was_read_can_be_committed() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    append(&log, T0, batch(["a"])).await;
    let mut consumer = log.consumer("sink", &[Topic::Telemetry]);
    assert!(matches!(consumer.commit(&[(T0, 2)]).await, Err(LogError::Unavailable(_))));
    assert!(matches!(consumer.commit(&[(at(Topic::Audit, 0), 0)]).await, Err(LogError::Unavailable(_))));
    consumer.commit(&[(T0, 1)]).await.unwrap();
}

#[tokio::test]
async fn one_process_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let error = open_with(dir.path(), Options::default()).err().unwrap();
    let expected =
        format!("{} is in use by another sluice (pid {})", dir.path().display(), std::process::id());
    assert_eq!(error.to_string(), expected);
    append(&log, T0, batch(["a"])).await;
}

#[tokio::test]
async fn a_log_remembers_when_it_was_made() {
    let clock = TestClock::default();
    let open_in = |dir: &Path| {
        clock.advance(Duration::from_secs(1));
        let metrics = Metrics::register(&Registry::new()).unwrap();
        Log::open(dir, Options::default(), clock.clock(), metrics).unwrap()
    };
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    assert_eq!(open_in(dir.path()).made(), Timestamp(1_000));
    assert_eq!(open_in(other.path()).made(), Timestamp(2_000));
    assert_eq!(open_in(dir.path()).made(), Timestamp(1_000));
    // A log of before this was noted is signed when it is opened.
    Connection::open(dir.path().join("log.db")).unwrap().execute_batch("DROP TABLE about").unwrap();
    assert_eq!(open_in(dir.path()).made(), Timestamp(4_000));
}

#[tokio::test]
async fn partition_counts_are_fixed() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let mut options = Options::default();
    options[Topic::Observations].partitions = 8;
    let error = open_with(dir.path(), options.clone()).err().unwrap();
    assert!(
        matches!(error, OpenError::Partitions { topic: Topic::Observations, stored: 4, asked: 8 }),
        "{error}"
    );
    options[Topic::Observations].partitions = 0;
    let error = open_with(dir.path(), options).err().unwrap();
    assert!(matches!(error, OpenError::PartitionCount { asked: 0, .. }), "{error}");
}

#[tokio::test]
async fn a_foreign_file_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.db");
    std::fs::write(&path, [b'?'; 10_000]).unwrap();
    assert!(matches!(open_with(dir.path(), Options::default()), Err(OpenError::NotALog { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), [b'?'; 10_000]);
    std::fs::remove_file(&path).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE mine(a); PRAGMA user_version = 3").unwrap();
    let error = open_with(dir.path(), Options::default()).err().unwrap();
    assert!(matches!(error, OpenError::NotALog { .. }), "{error:?}");
    other.execute_batch("PRAGMA application_id = 0x534C5543").unwrap();
    let error = open_with(dir.path(), Options::default()).err().unwrap();
    assert!(error.to_string().ends_with("version 3"), "{error}");
}

#[tokio::test]
async fn stats_tell_extent_and_lag() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    append(&log, T0, batch(["a", "b", "c"])).await;
    let mut consumer = log.consumer("sink", &[Topic::Telemetry]);
    read(&mut consumer, 3).await;
    consumer.commit(&[(T0, 1)]).await.unwrap();
    let check = |log: &Log| {
        let stats = log.stats();
        assert_eq!(stats.partitions.len(), 16);
        let telemetry = &stats.partitions[0];
        assert_eq!((telemetry.first, telemetry.next, telemetry.bytes), (0, 3, 36));
        let readers: Vec<_> = telemetry.readers.iter().map(|r| (r.name.to_string(), r.next, r.lag)).collect();
        assert_eq!(readers, [("group sink".to_owned(), 1, 2)]);
    };
    check(&log);
    assert!(matches!(log.forget(ReaderName::Group("sink".into())).await, Err(LogError::Unavailable(_))));
    drop(consumer);
    log.close().await;
    let log = open(dir.path());
    check(&log);
    log.forget(ReaderName::Group("sink".into())).await.unwrap();
    assert_eq!(log.stats().partitions[0].readers, []);
}
