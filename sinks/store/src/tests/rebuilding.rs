//! Lost days come back from the log, or stay as they are with a clear word.

use super::oracle::*;
use crate::{RebuildError, Rebuilt, Store};
use records::Timestamp;
use std::path::Path;
use std::time::Duration;

/// Three days, a batch every two hours.
fn log() -> Vec<Batch> {
    (0..36)
        .map(|number| {
            let at = MIDNIGHT + number * 7_200_000;
            Batch {
                raw: (0..30)
                    .map(|i| raw("d", "pm2_5", at + i * 60_000, (number * i % 97) as f64 / 4.0))
                    .collect(),
                aggregates: vec![
                    aggregate("d", "pm2_5", at, 3_600_000, 0, number as f64),
                    aggregate("d", "pm2_5", at, 3_600_000, 1, number as f64 + 0.5),
                ],
            }
        })
        .collect()
}

fn lived(dir: &Path, log: &[Batch]) -> Store {
    let store = Store::open(dir, options()).expect("opens");
    for (number, batch) in log.iter().enumerate() {
        let _ = store.write(&batch.raw, &batch.aggregates);
        if number % 3 == 2 {
            seal(&store, &log[..=number]).expect("seals");
        }
    }
    store.maintain(Timestamp(MIDNIGHT + 2 * DAY + 7_200_000)).expect("rolls up two days");
    store
}

fn flip_a_bit(path: &Path) {
    let mut bytes = std::fs::read(path).expect("read");
    bytes[40] ^= 2;
    std::fs::write(path, bytes).expect("written");
}

fn from_log(store: &Store, log: &[Batch]) -> Result<Option<Rebuilt>, RebuildError> {
    let Some(mut rebuild) = store.rebuild(None) else { return Ok(None) };
    for batch in log {
        rebuild.write(&batch.raw, &batch.aggregates, &[])?;
    }
    rebuild.finish().map(Some)
}

fn first_file(dir: &Path, folder: &str) -> std::path::PathBuf {
    std::fs::read_dir(dir.join(folder)).expect("read").next().expect("a file").expect("read").path()
}

fn days(store: &Store) -> Vec<(u64, u64)> {
    let (from, to) = (Timestamp(MIDNIGHT), Timestamp(MIDNIGHT + 9 * DAY));
    let width = Duration::from_secs(86_400);
    let days = store.buckets("d", "pm2_5", from, to, width, Duration::ZERO).expect("answers");
    days.iter().map(|day| (day.count, day.mean.to_bits())).collect()
}

#[test]
fn a_flipped_bit_costs_nothing_while_the_log_has_the_rows() {
    for folder in ["observations/day=2026-11-24", "observations/day=2026-11-26", "aggregates/day=2026-11-25"]
    {
        let (dir, log) = (tempfile::tempdir().expect("made"), log());
        let store = lived(dir.path(), &log);
        let before = days(&store);
        check(&store, &log);
        flip_a_bit(&first_file(dir.path(), folder));
        store.examine().expect("reads");
        let damaged = store.damaged();
        assert_eq!(damaged.len(), 1);
        assert!(damaged[0].detail.contains("its rows are from "), "{}", damaged[0].detail);
        let rebuilt = from_log(&store, &log).expect("rebuilds").expect("there is something to do");
        assert_eq!((rebuilt.days.len(), rebuilt.regained), (1, damaged[0].rows));
        assert_eq!(store.damaged(), []);
        assert!(!damaged[0].path.exists());
        check(&store, &log);
        assert_eq!(days(&store), before);
        assert_eq!(from_log(&store, &log).expect("reads"), None, "nothing is left to do");
        let offsets = store.offsets();
        drop(store);
        let store = Store::open(dir.path(), options()).expect("opens");
        check(&store, &log);
        assert_eq!((days(&store), store.offsets()), (before, offsets));
        assert!(crate::verify(dir.path()).expect("reads").strays.is_empty());
        store.maintain(Timestamp(MIDNIGHT + 9 * DAY)).expect("merges");
        check(&store, &log);
    }
}

#[test]
fn what_the_log_no_longer_has_stays_lost_and_nothing_else_goes() {
    let (dir, log) = (tempfile::tempdir().expect("made"), log());
    let store = lived(dir.path(), &log);
    flip_a_bit(&first_file(dir.path(), "observations/day=2026-11-24"));
    store.examine().expect("reads");
    let (before, on_disk, damaged) = (days(&store), files(dir.path()), store.damaged());
    let refused = from_log(&store, &log[1..]).expect_err("a batch is gone");
    assert!(matches!(refused, RebuildError::Incomplete { known: 360, found: 330, .. }), "{refused:?}");
    assert!(refused.to_string().contains("no longer has all of 2026-11-24"), "{refused}");
    assert_eq!((days(&store), files(dir.path()), store.damaged()), (before, on_disk, damaged));
}

#[test]
fn a_range_is_written_anew_and_stays_what_it_was() {
    let (dir, log) = (tempfile::tempdir().expect("made"), log());
    let store = lived(dir.path(), &log);
    let range = (Timestamp(MIDNIGHT + DAY + 3_600_000), Timestamp(MIDNIGHT + DAY + 7_200_000));
    let mut rebuild = store.rebuild(Some(range)).expect("a day with rows");
    assert_eq!(rebuild.range(), (Timestamp(MIDNIGHT + DAY), Timestamp(MIDNIGHT + 2 * DAY)));
    for batch in &log {
        rebuild.write(&batch.raw, &batch.aggregates, &[]).expect("writes");
    }
    let rebuilt = rebuild.finish().expect("rebuilds");
    assert_eq!((rebuilt.days, rebuilt.regained), (vec!["2026-11-25".to_owned()], 0));
    check(&store, &log);
    assert!(store.rebuild(Some((Timestamp(0), Timestamp(MIDNIGHT)))).is_none());
}
