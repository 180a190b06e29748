//! Damage, and a file that can't be written for a while.
#![allow(clippy::unwrap_used, reason = "clippy does not see that this is test code")]

mod common;

use std::path::Path;

use common::*;
use embedded::Log;
use records::{AppendError, Commit, Delivery, LogError, Pipe, Producer, Snapshot, Topic};
use rusqlite::Connection;

fn change(dir: &Path, sql: &str) {
    let conn = Connection::open(dir.join("log.db")).unwrap();
    assert!(conn.execute(sql, []).unwrap() > 0, "{sql} changes nothing");
}

/// A log with three rows of two records, damaged by `sql`.
async fn damaged(dir: &Path, sql: &str) -> Log {
    let log = open(dir);
    for _ in 0..3 {
        append(&log, T0, batch(["a", "b"])).await;
    }
    log.close().await;
    change(dir, sql);
    open(dir)
}

/// Whole rows before the damage are given, then the damage is named, again and again.
async fn check(sql: &str, whole: usize, offset: u64, detail: &str) {
    let dir = tempfile::tempdir().unwrap();
    let log = damaged(dir.path(), sql).await;
    let mut consumer = log.consumer("sink", &[Topic::Telemetry]);
    read(&mut consumer, whole).await;
    for _ in 0..2 {
        match poll(&mut consumer).await {
            Err(LogError::Damaged { partition, offset: found, detail: what }) => {
                assert_eq!((partition, found), (T0, offset), "{sql}");
                assert!(what.contains(detail), "{sql}: {what}");
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn damage_is_named_and_never_passed_over() {
    let other = "x'0100000001000000aaaa0100000001000000bbbb'";
    check(&format!("UPDATE telemetry_0 SET batch = {other} WHERE first = 2"), 2, 2, "checksum").await;
    check("UPDATE telemetry_0 SET batch = substr(batch, 2) WHERE first = 0", 0, 0, "checksum").await;
    check("UPDATE telemetry_0 SET count = 1 WHERE first = 2", 2, 2, "2 records instead of 1").await;
    check("UPDATE telemetry_0 SET crc32 = 1 WHERE first = 4", 4, 4, "checksum").await;
    check("UPDATE telemetry_0 SET batch = 'text' WHERE first = 2", 0, 0, "batch").await;
    check("DELETE FROM telemetry_0 WHERE first = 2", 2, 2, "missing").await;
    check("UPDATE telemetry_0 SET first = 3 WHERE first = 2", 2, 2, "").await;
}

#[tokio::test]
async fn a_damaged_snapshot_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    append(&log, T0, batch(["a", "b"])).await;
    let mut pipe = log.pipe("job", Topic::Telemetry, 0..1);
    assert!(matches!(soon(pipe.poll()).await.unwrap(), Some(Delivery::Assigned { .. })));
    let snapshot = Snapshot { offset: 2, bytes: b"state".to_vec() };
    pipe.commit(Commit { snapshots: vec![(0, snapshot)], ..Commit::default() }).await.unwrap();
    drop(pipe);
    log.close().await;
    change(dir.path(), "UPDATE snapshots SET bytes = x'00'");
    let error = open(dir.path()).pipe("job", Topic::Telemetry, 0..1).poll().await.unwrap_err();
    assert!(matches!(error, LogError::Damaged { partition: T0, offset: 2, .. }), "{error:?}");
}

#[tokio::test]
async fn a_reader_ahead_of_the_file_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let log = damaged(dir.path(), "INSERT INTO offsets VALUES ('group', 'sink', 'telemetry', 0, 7, 7)").await;
    let error = poll(&mut log.consumer("sink", &[Topic::Telemetry])).await.unwrap_err();
    assert!(matches!(error, LogError::Damaged { partition: T0, offset: 7, .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_held_fails_appends_until_it_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    append(&log, T0, batch(["a"])).await;
    let other = Connection::open(dir.path().join("log.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut consumer = log.consumer("sink", &[Topic::Telemetry]);
    let error = log.append(vec![(T0, batch(["b"]))]).await.unwrap_err();
    assert!(matches!(error, AppendError::Unavailable(_)), "{error:?}");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(append(&log, T0, batch(["c"])).await, 1);
    assert_eq!(read(&mut consumer, 2).await.1, ["a", "c"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_changed_from_outside_is_read_anew_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    append(&log, T0, batch(["a"])).await;
    // A row where the next one should stand: as after a commit that happened and was answered by an error.
    change(
        dir.path(),
        "INSERT INTO telemetry_0 SELECT 1, count, crc32, appended_ms, 2 * total_bytes, batch FROM telemetry_0",
    );
    let error = log.append(vec![(T0, batch(["b"]))]).await.unwrap_err();
    assert!(matches!(error, AppendError::Unavailable(_)), "{error:?}");
    assert_eq!(append(&log, T0, batch(["b"])).await, 2);
}
