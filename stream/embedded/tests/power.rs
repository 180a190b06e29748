//! A power cut: of what was not synced nothing is left, and of what was acknowledged nothing is missing.
#![allow(unsafe_code, reason = "the disk takes the place of two functions of the C library")]
#![allow(clippy::unwrap_used, reason = "clippy does not see that this is test code")]

mod common;
#[path = "common/disk.rs"]
mod disk;

use std::path::Path;

use common::*;
use embedded::{Log, verify};
use records::{Note, Topic};

fn key(n: usize) -> Vec<u8> {
    format!("id-{n}").into_bytes()
}

fn claim(n: usize) -> Note {
    Note::Claim { key: key(n), value: b"here".to_vec() }
}

/// What a cut leaves: how many records, and the keys.
async fn after_a_cut(dir: &Path) -> (u64, Vec<Vec<u8>>) {
    let after = disk::cut(dir);
    assert_eq!(verify(after.path()).unwrap().damages, []);
    let log = open(after.path());
    let noted = log.notes(b"").await.unwrap();
    assert_eq!(noted.damaged, [b""; 0]);
    (records(&log), noted.pairs.into_iter().map(|(key, _)| key).collect())
}

fn records(log: &Log) -> u64 {
    log.stats().partitions.iter().find(|it| it.partition == T0).unwrap().next
}

#[tokio::test]
async fn what_was_acknowledged_is_there_with_its_note_at_every_step() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    for n in 0..30 {
        log.append_noted(vec![(T0, batch([format!("{n}")]))], vec![claim(n)]).await.unwrap();
        assert_eq!(after_a_cut(dir.path()).await, (n as u64 + 1, vec![key(n)]), "appended");
        log.append_noted(vec![], vec![Note::Remove { key: key(n) }]).await.unwrap();
        assert_eq!(after_a_cut(dir.path()).await, (n as u64 + 1, vec![]), "released");
    }
}

#[tokio::test]
async fn a_record_and_its_note_are_there_together_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    // Far over what a checkpoint leaves in the write-ahead file, so that the main file is written too.
    let writer = tokio::spawn({
        let log = log.clone();
        async move {
            for n in 0..400 {
                log.append_noted(vec![(T0, filler(1, 9_000))], vec![claim(n)]).await.unwrap();
            }
        }
    });
    let mut seen = 0;
    while !writer.is_finished() {
        let (records, keys) = after_a_cut(dir.path()).await;
        assert_eq!(records, keys.len() as u64);
        assert!(records >= seen, "what was there once stays");
        seen = records;
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
    assert_eq!(after_a_cut(dir.path()).await.0, 400);
    assert!(disk::synced_bytes(&dir.path().join("log.db")) > 1 << 20, "checkpoints were synced");
}

/// The disk of these tests does forget.
#[test]
fn what_is_not_synced_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    std::fs::write(&path, "old").unwrap();
    let file = std::fs::File::options().read(true).write(true).open(&path).unwrap();
    file.sync_all().unwrap();
    std::fs::write(&path, "newer").unwrap();
    let left = || std::fs::read(disk::cut(dir.path()).path().join("file")).unwrap();
    assert_eq!(left(), b"old");
    file.sync_data().unwrap();
    assert_eq!(left(), b"newer");
}

#[tokio::test]
async fn a_reader_reads_what_a_cut_has_left() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    for n in 0..20 {
        append(&log, T0, batch([format!("{n}")])).await;
    }
    let after = disk::cut(dir.path());
    let left = open(after.path());
    let expected: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    assert_eq!(read(&mut left.consumer("reader", &[Topic::Telemetry]), 20).await, (0, expected));
}
