//! The write-ahead file as a crash leaves it: cut off, or with a bit that has flipped.
#![allow(clippy::unwrap_used, reason = "clippy does not see that this is test code")]

mod common;

use std::path::Path;

use common::*;
use embedded::{OpenError, Options, verify};
use records::Topic;

const COMMITS: usize = 10;

/// The files of a log with ten commits behind the last checkpoint, as if its process had been killed.
async fn killed() -> tempfile::TempDir {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = open(dir.path());
    for commit in 0..COMMITS {
        append(&log, T0, batch([format!("value-{commit}-of-a-commit")])).await;
    }
    for name in ["log.db", "log.db-wal", "log.lock"] {
        std::fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
    }
    copy
}

fn change(dir: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let path = dir.join("log.db-wal");
    let mut bytes = std::fs::read(&path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

/// Flips a bit where `text` stands for the first time: in the frame that its commit wrote.
fn flip(bytes: &mut [u8], text: &str) {
    let place = bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap();
    bytes[place] ^= 1;
}

async fn opens_with(dir: &Path, commits: usize) {
    assert_eq!(verify(dir).unwrap().damages, []);
    let log = open(dir);
    let expected: Vec<String> = (0..commits).map(|commit| format!("value-{commit}-of-a-commit")).collect();
    let mut reader = log.consumer("reader", &[Topic::Telemetry]);
    assert_eq!(read(&mut reader, commits).await, (0, expected));
    assert_eq!(append(&log, T0, batch(["more"])).await, commits as u64);
}

fn is_refused(dir: &Path) -> u64 {
    let told = verify(dir).unwrap().damages;
    assert!(told.iter().any(|damage| damage.to_string().contains("log.db-wal is damaged")), "{told:?}");
    match open_with(dir, Options::default()) {
        Err(OpenError::Torn { frame, .. }) => frame,
        other => panic!("{:?}", other.err()),
    }
}

#[tokio::test]
async fn what_a_kill_leaves_is_whole() {
    let dir = killed().await;
    opens_with(dir.path(), COMMITS).await;
}

#[tokio::test]
async fn a_torn_tail_is_a_commit_that_never_was() {
    for missing in [1, 100, 4_000] {
        let dir = killed().await;
        change(dir.path(), |bytes| bytes.truncate(bytes.len() - missing));
        opens_with(dir.path(), COMMITS - 1).await;
    }
}

#[tokio::test]
async fn a_flipped_bit_before_whole_commits_is_named_and_nothing_is_forgotten() {
    let mut frames = Vec::new();
    for commit in [0, 3, 8] {
        let dir = killed().await;
        change(dir.path(), |bytes| flip(bytes, &format!("value-{commit}-of")));
        let before = std::fs::read(dir.path().join("log.db-wal")).unwrap();
        frames.push(is_refused(dir.path()));
        assert_eq!(std::fs::read(dir.path().join("log.db-wal")).unwrap(), before, "it is left as it is");
    }
    assert!(frames.is_sorted() && frames[0] > 0, "{frames:?}");
}

#[tokio::test]
async fn a_flipped_bit_in_the_head_is_named() {
    let dir = killed().await;
    change(dir.path(), |bytes| bytes[17] ^= 4);
    assert_eq!(is_refused(dir.path()), 0);
}
