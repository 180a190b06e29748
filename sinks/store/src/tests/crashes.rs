//! What a death or a full disk leaves behind, step by step.

use super::oracle::*;
use crate::steps::Step;
use crate::{Options, Store, StoreError};
use records::Timestamp;
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn batches(count: i64) -> Vec<Batch> {
    (0..count)
        .map(|number| Batch {
            raw: (0..20)
                .map(|i| raw("d", "pm2_5", MIDNIGHT - 300_000 + (number * 20 + i) * 1_000, i as f64))
                .collect(),
            aggregates: vec![aggregate("d", "pm2_5", MIDNIGHT + number * 60_000, 60_000, 0, number as f64)],
        })
        .collect()
}

/// Writes and seals each batch; the thirteen files of each kind are then merged.
fn live(store: &Store, log: &[Batch]) {
    for number in 0..log.len() {
        let _ = store.write(&log[number].raw, &log[number].aggregates);
        seal(store, &log[..=number]).expect("seals");
    }
    store.compact().expect("merges");
}

#[test]
fn every_death_leaves_a_folder_that_opens_whole() {
    let log = batches(13);
    let dir = tempfile::tempdir().expect("made");
    let graves = Arc::new(Mutex::new(Vec::new()));
    let (root, copies) = (dir.path().to_owned(), Arc::clone(&graves));
    let store = watched(dir.path(), move |step| {
        let grave = tempfile::tempdir().expect("made");
        copy(&root, grave.path());
        copies.lock().expect("unpoisoned").push((step, grave));
        Ok(())
    });
    live(&store, &log);
    drop(store);
    let graves = std::mem::take(&mut *graves.lock().expect("unpoisoned"));
    for step in
        [Step::Frozen, Step::FileWritten, Step::FileNamed, Step::BeforeCommit, Step::Committed, Step::Swapped]
    {
        assert!(graves.iter().any(|(reached, _)| *reached == step), "{step:?} was never reached");
    }
    for (step, grave) in graves {
        let store = Store::open(grave.path(), options()).expect("opens");
        let count = store.offsets().first().map_or(0, |(_, offset)| *offset as usize);
        check(&store, &log[..count]);
        let named: usize = store.tables().files.all().count();
        assert_eq!(files(grave.path()).len(), named, "no stray file after a death at {step:?}");
        replay(&store, &log);
        check(&store, &log);
    }
}

#[test]
fn a_file_in_the_way_of_a_seal_loses_nothing() {
    let log = batches(2);
    let dir = tempfile::tempdir().expect("made");
    let store = Store::open(dir.path(), options()).expect("opens");
    let _ = store.write(&log[0].raw, &log[0].aggregates);
    let in_the_way = dir.path().join("observations/day=2026-11-23");
    std::fs::write(&in_the_way, "not a folder").expect("written");
    assert!(matches!(seal(&store, &log[..1]), Err(StoreError::Unavailable(_))));
    assert_eq!(store.offsets(), []);
    let _ = store.write(&log[1].raw, &log[1].aggregates);
    check(&store, &log);
    std::fs::remove_file(&in_the_way).expect("removed");
    let sealed = seal(&store, &log).expect("seals");
    assert_eq!((sealed.rows, store.rows_in_memory()), (42, 0));
    assert_eq!(store.offsets(), [(PARTITION, 2)]);
    check(&store, &log);
}

#[test]
fn one_process_at_a_time() {
    let dir = tempfile::tempdir().expect("made");
    let store = Store::open(dir.path(), options()).expect("opens");
    assert!(matches!(Store::open(dir.path(), options()), Err(StoreError::InUse { .. })));
    drop(store);
    Store::open(dir.path(), options()).expect("opens");
}

#[test]
fn files_of_others_are_left_alone() {
    let dir = tempfile::tempdir().expect("made");
    let day = dir.path().join("observations/day=2026-11-24");
    std::fs::create_dir_all(&day).expect("made");
    for name in ["notes.txt", "export.parquet", "0000000009.parquet", "_0000000010.parquet.tmp"] {
        std::fs::write(day.join(name), name).expect("written");
    }
    let store = Store::open(dir.path(), options()).expect("opens");
    let left = ["observations/day=2026-11-24/export.parquet", "observations/day=2026-11-24/notes.txt"];
    assert_eq!(files(dir.path()), left);
    let log = batches(1);
    let _ = store.write(&log[0].raw, &log[0].aggregates);
    seal(&store, &log).expect("seals beside them");
    check(&store, &log);
}

#[test]
fn a_seal_is_due_by_rows_or_by_age() {
    let dir = tempfile::tempdir().expect("made");
    let row = size_of::<(crate::point::RawPoint, u32)>() + size_of::<u32>();
    let options = Options { seal_rows: 30, memory_bytes: 45 * row, ..options() };
    let store = Store::open(dir.path(), options).expect("opens");
    let log = batches(3);
    let at = |seconds: i64| Timestamp(seconds * 1_000);
    assert!(!store.is_seal_due(at(0)));
    assert!(!store.write(&log[0].raw, &[]).is_over_bound);
    assert!(!store.is_seal_due(at(500)));
    assert!(!store.is_seal_due(at(559)));
    assert!(store.is_seal_due(at(560)));
    store.seal(&[]).expect("seals");
    assert!(!store.is_seal_due(at(561)));
    assert!(!store.write(&log[1].raw, &[]).is_over_bound);
    assert!(!store.is_seal_due(at(600)));
    assert!(!store.write(&log[2].raw, &[]).is_over_bound);
    assert!(store.is_seal_due(at(600)));
    assert!(store.write(&log[0].raw, &[]).is_over_bound);
}

#[test]
fn retention_removes_whole_days() {
    let dir = tempfile::tempdir().expect("made");
    let options = Options { retention: Some(Duration::from_secs(86_400)), ..options() };
    let store = Store::open(dir.path(), options).expect("opens");
    let rows: Vec<_> = (-3..3).map(|day| raw("d", "pm2_5", MIDNIGHT + day * DAY, day as f64)).collect();
    let _ = store.write(&rows, &[]);
    store.seal(&[]).expect("seals");
    assert_eq!(files(dir.path()).len(), 6);
    assert_eq!(store.maintain(Timestamp(MIDNIGHT + DAY - 1)).expect("removes"), 2);
    let raw_files = |dir| files(dir).into_iter().filter(|path| path.starts_with("observations")).count();
    let points = store.range("d", "pm2_5", Timestamp::MIN, Timestamp::MAX, 100).expect("answers");
    assert_eq!(points.mean, [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0], "what is rolled up stays");
    assert_eq!(points.width, Some(Duration::from_secs(2 * 3600)));
    let days = std::fs::read_dir(dir.path().join("observations")).expect("read").count();
    assert_eq!((raw_files(dir.path()), days), (4, 4));
}
