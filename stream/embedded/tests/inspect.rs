//! Looking into a log's file, and copies of it.
#![allow(clippy::unwrap_used, reason = "clippy does not see that this is test code")]

mod common;

use std::path::Path;
use std::time::Duration;

use common::*;
use embedded::{
    Damage, InspectError, Log, Metrics, OpenError, Options, ReaderName, Selection, backup, export, stats,
    verify,
};
use prometheus::Registry;
use records::{
    Batch, Commit, Consumer, Entry, Origin, Pipe, Producer, Snapshot, Timestamp, Topic, TopicPartition,
};
use rusqlite::Connection;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// Ten rows of ten records in each of two partitions, a reader and a job with a snapshot.
async fn filled(dir: &Path) -> Log {
    let log = open(dir);
    for row in 0..10 {
        for place in [T0, at(Topic::Alerts, 0)] {
            append(&log, place, batch((0..10).map(|n| format!("value-{row}-{n}")))).await;
        }
    }
    log.consumer("sink", &[Topic::Telemetry]).commit(&[(T0, 40)]).await.unwrap();
    let mut pipe = log.pipe("job", Topic::Telemetry, 0..1);
    soon(pipe.poll()).await.unwrap();
    let snapshots = vec![(0, Snapshot { offset: 30, bytes: b"state".to_vec() })];
    pipe.commit(Commit { offsets: vec![(0, 35)], snapshots, ..Commit::default() }).await.unwrap();
    log
}

fn change(dir: &Path, sql: &str) {
    Connection::open(dir.join("log.db")).unwrap().execute_batch(sql).unwrap();
}

/// Changes a bit of the byte where `needle` stands in the file.
fn flip(path: &Path, needle: &[u8]) {
    let mut bytes = std::fs::read(path).unwrap();
    let place = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
    bytes[place + 3] ^= 4;
    std::fs::write(path, bytes).unwrap();
}

fn damages(dir: &Path) -> Vec<String> {
    verify(dir).unwrap().damages.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_whole_log_is_said_to_be_whole_while_it_is_open_and_after() {
    let dir = tempfile::tempdir().unwrap();
    let log = filled(dir.path()).await;
    let held: u64 = log.stats().partitions.iter().map(|partition| partition.bytes).sum();
    for _ in 0..2 {
        let found = verify(dir.path()).unwrap();
        assert_eq!((found.records, found.bytes, found.damages), (200, held, vec![]));
        log.close().await;
    }
}

#[tokio::test]
async fn every_damage_is_found_and_what_is_behind_it_too() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).await.close().await;
    change(
        dir.path(),
        "UPDATE telemetry_0 SET crc32 = 1 WHERE first = 10; DELETE FROM telemetry_0 WHERE first IN (30, 40);
         UPDATE alerts_0 SET count = 11 WHERE first = 90; UPDATE snapshots SET bytes = x'00';
         UPDATE offsets SET next = 300 WHERE kind = 'group'",
    );
    let found = verify(dir.path()).unwrap();
    // Of telemetry ten rows less three, of alerts all but the last.
    assert_eq!(found.records, 70 + 90);
    let told: Vec<String> = found.damages.iter().map(ToString::to_string).collect();
    let expected = [
        "telemetry/0 is damaged at offset 10: checksum",
        "telemetry/0 is damaged at offset 30: the row is missing",
        "alerts/0 is damaged at offset 90: 10 records instead of 11",
        "the snapshot of job for telemetry/0",
        "group sink would read telemetry/0 from 300, which ends at 100",
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told} is not {expected}");
    }
}

#[tokio::test]
async fn a_flipped_bit_is_named_and_what_is_before_it_is_given() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).await.close().await;
    flip(&dir.path().join("log.db"), b"value-6-3");
    let told = damages(dir.path());
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("is damaged at offset 60: checksum"), "{told:?}");
    let topic = if told[0].starts_with("telemetry") { Topic::Telemetry } else { Topic::Alerts };
    let log = open(dir.path());
    let mut reader = log.consumer("reader", &[topic]);
    assert_eq!(read(&mut reader, 60).await.0, 0);
    let error = poll(&mut reader).await.unwrap_err();
    assert!(error.to_string().contains("is damaged at offset 60"), "{error}");
    // What comes is still taken.
    assert_eq!(append(&log, at(topic, 0), batch(["more"])).await, 100);
}

#[tokio::test]
async fn damage_at_the_end_is_told_when_the_log_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).await.close().await;
    change(dir.path(), "UPDATE telemetry_0 SET crc32 = 1 WHERE first = 90");
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).unwrap();
    let _log = Log::open(dir.path(), Options::default(), TestClock::default().clock(), metrics).unwrap();
    let families = registry.gather();
    let damaged = families.iter().find(|family| family.name() == "sluice_log_damaged_partitions").unwrap();
    assert_eq!(damaged.get_metric()[0].get_gauge().get_value(), 1.0);
}

/// The end of the file is gone: it can't be opened, or what is missing is named; in no case is it simply shorter.
#[tokio::test]
async fn a_torn_file_is_never_a_shorter_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = filled(dir.path()).await;
    append(&log, T0, filler(2000, 100)).await;
    log.close().await;
    let path = dir.path().join("log.db");
    let whole = std::fs::read(&path).unwrap();
    for pages in [1, 2, 7, 30] {
        std::fs::write(&path, &whole[..whole.len() - pages * 4096]).unwrap();
        match verify(dir.path()) {
            Ok(found) => assert!(!found.damages.is_empty(), "{pages} pages less"),
            Err(error) => assert!(matches!(error, InspectError::Open(_)), "{pages} pages less: {error}"),
        }
    }
}

#[tokio::test]
async fn stats_of_the_file_are_those_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = filled(dir.path()).await;
    let survey = stats(dir.path()).unwrap();
    let stored: Vec<_> = survey.partitions.iter().map(|partition| partition.stats.clone()).collect();
    assert_eq!(stored, log.stats().partitions);
    assert_eq!(survey.made, Some(log.made()));
    assert!(survey.file_bytes + survey.wal_bytes > 20_000);
    let telemetry = &survey.partitions[0];
    assert_eq!((telemetry.oldest, telemetry.newest), (Some(Timestamp(0)), Some(Timestamp(0))));
    assert!(telemetry.stats.readers.iter().any(|reader| reader.name == ReaderName::Group("sink".into())));
}

#[tokio::test]
async fn export_gives_what_was_selected() {
    let dir = tempfile::tempdir().unwrap();
    let log = filled(dir.path()).await;
    let origin = Some(Origin { gateway: "g", spool: 3, offset: 7 });
    let forwarded = Batch::from_iter([Entry { key: b"k", value: b"v", origin, mirrored: None }]);
    append(&log, at(Topic::Telemetry, 2), forwarded).await;
    let select = |from, limit, partition| {
        let selection = Selection { topic: Topic::Telemetry, partition, from, limit };
        let mut found = Vec::new();
        let count = export(dir.path(), selection, |at, offset, entry| {
            let value = String::from_utf8(entry.value.to_vec()).unwrap();
            found.push((at.partition, offset, value, entry.origin.map(|origin| origin.offset)));
            Ok(())
        });
        assert_eq!(count.unwrap(), found.len() as u64);
        found
    };
    assert_eq!(select(0, u64::MAX, None).len(), 101);
    assert_eq!(select(0, u64::MAX, None)[100], (2, 0, "v".into(), Some(7)));
    let few = select(8, 4, Some(0));
    let values: Vec<&str> = few.iter().map(|(_, _, value, _)| value.as_str()).collect();
    assert_eq!(values, ["value-0-8", "value-0-9", "value-1-0", "value-1-1"]);
    assert_eq!(few[0].1, 8);
    log.close().await;
    change(dir.path(), "UPDATE telemetry_0 SET crc32 = 1 WHERE first = 10");
    let selection = Selection { topic: Topic::Telemetry, partition: None, from: 0, limit: u64::MAX };
    let error = export(dir.path(), selection, |_, _, _| Ok(())).unwrap_err();
    assert!(matches!(error, InspectError::Damaged { partition: T0, offset: 10, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_busy_log_is_a_whole_log() {
    let (dir, copies) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = filled(dir.path()).await;
    let writer = log.clone();
    let writing =
        tokio::spawn(async move { while writer.append(vec![(T0, filler(50, 200))]).await.is_ok() {} });
    for copy in ["first", "second"] {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let (from, to) = (dir.path().to_owned(), copies.path().join(copy));
        tokio::task::spawn_blocking(move || backup(&from, &to, NOW)).await.unwrap().unwrap();
    }
    log.close().await;
    writing.await.unwrap();
    for copy in ["first", "second"] {
        let to = copies.path().join(copy);
        assert_eq!(damages(&to), [""; 0]);
        let copied = open(&to);
        assert_eq!(copied.made(), NOW);
        let mut reader = copied.consumer("sink", &[Topic::Telemetry]);
        let (first, values) = read(&mut reader, 60).await;
        assert!(first == 40 && values[..60] == read_values(40..100));
        let found = &stats(&to).unwrap().partitions[0].stats;
        assert!(found.next > 100 && found.next <= log.stats().partitions[0].next, "{found:?}");
        assert_eq!(append(&copied, T0, batch(["more"])).await, found.next);
    }
}

fn read_values(numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.map(|number| format!("value-{}-{}", number / 10, number % 10)).collect()
}

#[tokio::test]
async fn a_backup_overwrites_nothing_and_leaves_nothing_half_done() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = filled(dir.path()).await;
    std::fs::write(copy.path().join("log.db.part"), "of an earlier try").unwrap();
    backup(dir.path(), copy.path(), NOW).unwrap();
    let error = backup(dir.path(), copy.path(), NOW).unwrap_err();
    assert!(matches!(error, InspectError::Exists { .. }), "{error}");
    let names: Vec<_> =
        std::fs::read_dir(copy.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["log.db"]);
    log.close().await;
}

#[test]
fn what_is_no_log_is_said_to_be_none() {
    let dir = tempfile::tempdir().unwrap();
    let missing = verify(dir.path()).unwrap_err();
    assert!(matches!(missing, InspectError::Open(OpenError::Folder { .. })), "{missing}");
    std::fs::write(dir.path().join("log.db"), vec![7; 5000]).unwrap();
    let foreign = stats(dir.path()).unwrap_err();
    assert!(matches!(foreign, InspectError::Open(OpenError::NotALog { .. })), "{foreign}");
    let place = TopicPartition { topic: Topic::Audit, partition: 0 };
    assert_eq!(
        Damage::Records { partition: place, offset: 3, detail: "x".into() }.to_string(),
        "audit/0 is damaged at offset 3: x"
    );
}
