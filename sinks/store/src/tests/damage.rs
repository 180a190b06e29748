//! Files that are not what was written.

use super::oracle::*;
use crate::{Store, StoreError};
use records::Timestamp;
use std::path::PathBuf;

/// Two days, a file each; the first day's is the one that suffers.
fn store_of_two_days() -> (tempfile::TempDir, Store, PathBuf) {
    let dir = tempfile::tempdir().expect("made");
    let store = Store::open(dir.path(), options()).expect("opens");
    let rows: Vec<_> = (0..2_000).map(|i| raw("d", "pm2_5", MIDNIGHT + i * 86_400, i as f64 / 8.0)).collect();
    let _ = store.write(&rows, &[]);
    store.seal(&[(PARTITION, 7)]).expect("seals");
    let path = dir.path().join("observations/day=2026-11-24/0000000001.parquet");
    (dir, store, path)
}

fn count(store: &Store) -> usize {
    let points = store.range("d", "pm2_5", Timestamp::MIN, Timestamp::MAX, 10_000).expect("answers");
    points.t.len()
}

fn check_set_aside(store: &Store, path: &std::path::Path, detail: &str) {
    assert_eq!(count(store), 1_000, "the other day serves");
    let damaged = store.damaged();
    assert_eq!(damaged.len(), 1);
    assert_eq!((damaged[0].day.as_str(), damaged[0].rows), ("2026-11-24", 1_000));
    assert!(damaged[0].detail.contains(detail), "{}", damaged[0].detail);
    assert!(!path.exists());
}

#[test]
fn a_flipped_bit_anywhere_is_found() {
    let (_dir, store, path) = store_of_two_days();
    let size = std::fs::metadata(&path).expect("there").len() as usize;
    drop(store);
    let mut unread = 0;
    for at in (4..size).step_by(size / 97) {
        let (dir, store, path) = store_of_two_days();
        drop(store);
        let mut bytes = std::fs::read(&path).expect("read");
        bytes[at] ^= 0x10;
        std::fs::write(&path, bytes).expect("written");
        let store = Store::open(dir.path(), options()).expect("opens");
        if count(&store) == 2_000 {
            // In a column that a curve doesn't read.
            unread += 1;
            assert!(store.damaged().is_empty());
            continue;
        }
        check_set_aside(&store, &path, "checksum");
        drop(store);
        let store = Store::open(dir.path(), options()).expect("opens");
        check_set_aside(&store, &path, "checksum");
        assert_eq!(store.offsets(), [(PARTITION, 7)]);
    }
    assert!(unread < 70, "{unread}");
}

#[test]
fn a_file_that_is_cut_or_gone_is_named_at_the_start() {
    let (dir, store, path) = store_of_two_days();
    drop(store);
    let bytes = std::fs::read(&path).expect("read");
    std::fs::write(&path, &bytes[..bytes.len() - 1]).expect("written");
    let store = Store::open(dir.path(), options()).expect("opens");
    assert_eq!(store.damaged().len(), 1);
    check_set_aside(&store, &path, "bytes instead of");

    let (dir, store, path) = store_of_two_days();
    drop(store);
    std::fs::remove_file(&path).expect("removed");
    let store = Store::open(dir.path(), options()).expect("opens");
    check_set_aside(&store, &path, "gone");
}

#[test]
fn a_file_that_vanishes_under_a_reader_is_named() {
    let (_dir, store, path) = store_of_two_days();
    std::fs::remove_file(&path).expect("removed");
    check_set_aside(&store, &path, "");
}

#[test]
fn a_merge_goes_on_without_a_damaged_file() {
    let dir = tempfile::tempdir().expect("made");
    let store = Store::open(dir.path(), options()).expect("opens");
    for number in 0..13 {
        let _ = store.write(&[raw("d", "pm2_5", MIDNIGHT + number, 1.0)], &[]);
        store.seal(&[]).expect("seals");
    }
    let path = dir.path().join("observations/day=2026-11-24/0000000005.parquet");
    let mut bytes = std::fs::read(&path).expect("read");
    let middle = bytes.len() / 8;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).expect("written");
    assert_eq!(store.compact().expect("merges"), 11);
    assert_eq!((count(&store), store.damaged().len()), (12, 1));
}

#[test]
fn a_manifest_that_is_newer_or_not_one_is_refused() {
    let (dir, store, _) = store_of_two_days();
    drop(store);
    let manifest = dir.path().join("manifest.db");
    let connection = rusqlite::Connection::open(&manifest).expect("opens");
    connection.pragma_update(None, "user_version", 99).expect("set");
    drop(connection);
    let refused = Store::open(dir.path(), options()).map(|_| ());
    assert!(matches!(refused, Err(StoreError::Version { found: 99, .. })), "{refused:?}");
    std::fs::write(&manifest, [7; 8192]).expect("written");
    let refused = Store::open(dir.path(), options()).map(|_| ());
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
}
