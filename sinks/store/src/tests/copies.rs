//! Backups, the way back, and comparing a folder with its manifest.

use super::oracle::*;
use crate::{CopyError, Options, Store, backup, restore, verify};
use records::Timestamp;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn store_with(dir: &std::path::Path, seals: i64) -> Store {
    let store = Store::open(dir, options()).expect("opens");
    for number in 0..seals {
        let rows: Vec<_> = (0..50).map(|i| raw("d", "pm2_5", MIDNIGHT + number * 50 + i, i as f64)).collect();
        let _ = store.write(&rows, &[aggregate("d", "pm2_5", MIDNIGHT + number * 60_000, 60_000, 0, 1.0)]);
        store.seal(&[(PARTITION, number.unsigned_abs() + 1)]).expect("seals");
    }
    store
}

fn count(store: &Store) -> usize {
    store.range("d", "pm2_5", Timestamp::MIN, Timestamp::MAX, 1_000_000).expect("answers").t.len()
}

#[test]
fn a_sound_folder_is_found_sound_while_it_is_open() {
    let dir = tempfile::tempdir().expect("made");
    let _store = store_with(dir.path(), 3);
    let verified = verify(dir.path()).expect("reads");
    assert_eq!((verified.files, verified.rows), (6, 3 * 51));
    assert!(verified.faults.is_empty() && verified.strays.is_empty());
}

/// Every byte of a file counts, those too that no curve reads.
#[test]
fn any_flipped_bit_is_found() {
    let dir = tempfile::tempdir().expect("made");
    let store = store_with(dir.path(), 1);
    let path = dir.path().join("observations/day=2026-11-24/0000000001.parquet");
    let bytes = std::fs::read(&path).expect("read");
    for at in (4..bytes.len()).step_by(13) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x04;
        std::fs::write(&path, flipped).expect("written");
        let verified = verify(dir.path()).expect("reads");
        assert_eq!(verified.faults.len(), 1, "byte {at}");
        let fault = &verified.faults[0];
        assert_eq!((fault.rows, fault.first.millis(), fault.last.millis()), (50, MIDNIGHT, MIDNIGHT + 49));
    }
    std::fs::remove_file(&path).expect("removed");
    assert_eq!(
        verify(dir.path()).expect("reads").faults[0].detail,
        "it is gone; its rows are from 00:00 to 00:00 UTC"
    );
    drop(store);
}

#[test]
fn what_no_manifest_names_is_told() {
    let dir = tempfile::tempdir().expect("made");
    let store = store_with(dir.path(), 13);
    store.compact().expect("merges");
    let day = dir.path().join("observations/day=2026-11-24");
    std::fs::write(day.join("0000000001.parquet"), "left").expect("written");
    std::fs::write(day.join("README"), "not ours").expect("written");
    assert_eq!(verify(dir.path()).expect("reads").strays, [day.join("0000000001.parquet")]);
}

/// Copies taken while rows are written, sealed and merged open, are sound, and end where a seal ended.
#[test]
fn a_backup_of_a_busy_store_is_whole() {
    let (dir, copies) = (tempfile::tempdir().expect("made"), tempfile::tempdir().expect("made"));
    let store = store_with(dir.path(), 1);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 1..i64::MAX {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                let rows: Vec<_> =
                    (0..50).map(|i| raw("d", "pm2_5", MIDNIGHT + number * 50 + i, i as f64)).collect();
                let _ = store.write(&rows, &[]);
                store.seal(&[(PARTITION, number.unsigned_abs() + 1)]).expect("seals");
                store.compact().expect("merges");
            }
        });
        for number in 0..8 {
            let copy = copies.path().join(format!("{number}"));
            let copied = backup(dir.path(), &copy).expect("copies");
            let verified = verify(&copy).expect("reads");
            assert!(verified.faults.is_empty() && verified.strays.is_empty(), "{verified:?}");
            assert!(copied.files >= verified.files);
            let restored = copies.path().join(format!("{number}-restored"));
            restore(&copy, &restored).expect("restores");
            let restored = Store::open(&restored, options()).expect("opens");
            let seals = restored.offsets()[0].1;
            assert_eq!(count(&restored) as u64, seals * 50, "all rows of all seals");
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn nothing_is_overwritten_and_nothing_damaged_restored() {
    let (dir, copies) = (tempfile::tempdir().expect("made"), tempfile::tempdir().expect("made"));
    let _store = store_with(dir.path(), 2);
    let copy = copies.path().join("copy");
    backup(dir.path(), &copy).expect("copies");
    assert!(matches!(backup(dir.path(), &copy), Err(CopyError::Occupied(_))));
    assert!(matches!(restore(&copy, dir.path()), Err(CopyError::Occupied(_))));
    let path = copy.join("observations/day=2026-11-24/0000000001.parquet");
    let mut bytes = std::fs::read(&path).expect("read");
    bytes[20] ^= 1;
    std::fs::write(&path, bytes).expect("written");
    let refused = restore(&copy, &copies.path().join("new"));
    assert!(matches!(&refused, Err(CopyError::Damaged(faults)) if faults.len() == 1), "{refused:?}");
}

#[test]
fn a_budget_removes_the_oldest_days_and_never_today() {
    let dir = tempfile::tempdir().expect("made");
    let day_of = |number: i64| MIDNIGHT + number * DAY;
    let fill = |store: &Store| {
        for day in 0..5 {
            let rows: Vec<_> =
                (0..500).map(|i| raw("d", "pm2_5", day_of(day) + i * 7, (i % 97) as f64)).collect();
            let _ = store.write(&rows, &[]);
        }
        store.seal(&[]).expect("seals");
    };
    let now = Timestamp(day_of(4)) + Duration::from_secs(7_200);
    let all = Store::open(dir.path(), options()).expect("opens");
    fill(&all);
    all.maintain(now).expect("rolls up");
    drop(all);
    let bytes = verify(dir.path()).expect("reads").bytes;
    let raw = std::fs::read_dir(dir.path().join("observations/day=2026-11-24")).expect("read");
    let day_bytes: u64 = raw.map(|file| file.expect("read").metadata().expect("there").len()).sum();
    let raw_days = || std::fs::read_dir(dir.path().join("observations")).expect("read").count();
    let check = |budget: u64, days: usize| {
        let options = Options { budget_bytes: Some(budget), ..options() };
        let store = Store::open(dir.path(), options).expect("opens");
        store.maintain(now).expect("removes");
        assert_eq!(raw_days(), days, "{budget} of {bytes}");
        store
    };
    let mean_of_all = |store: &Store| {
        let all = (Timestamp::MIN, Timestamp::MAX, Duration::from_secs(86_400));
        let days = store.buckets("d", "pm2_5", all.0, all.1, all.2, Duration::ZERO).expect("answers");
        days.iter().map(|day| (day.count, day.mean.to_bits())).collect::<Vec<_>>()
    };
    let before = mean_of_all(&check(bytes, 5));
    assert_eq!(before.len(), 5);
    assert_eq!(mean_of_all(&check(bytes - 1, 4)), before);
    assert_eq!(mean_of_all(&check(bytes - 5 * day_bytes / 2, 2)), before);
    assert_eq!(mean_of_all(&check(1, 1)), before, "the month of these days is not over");
}
