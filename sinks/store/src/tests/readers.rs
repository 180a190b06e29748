//! Readers beside a writer, seals and merges.

use super::oracle::*;
use crate::Store;
use records::Timestamp;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The writer writes 0, 1, 2, … in turn to several series and days; each reader must see every number below what
/// was written before it asked, once, and none twice.
#[test]
fn a_reader_sees_every_row_exactly_once() {
    const SERIES: [&str; 3] = ["a", "b", "c"];
    let dir = tempfile::tempdir().expect("made");
    let store = Store::open(dir.path(), options()).expect("opens");
    let (written, is_done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let read = |subject: &str| {
        let least = written.load(Ordering::Acquire);
        let points = store.range(subject, "n", Timestamp::MIN, Timestamp::MAX, usize::MAX).expect("answers");
        let mut numbers: Vec<usize> = points.mean.iter().map(|value| *value as usize).collect();
        numbers.sort_unstable();
        assert!(numbers.len() >= least, "{} of {least} rows", numbers.len());
        assert!(numbers.iter().copied().eq(0..numbers.len()), "a row is seen twice or a later one before it");
        let windows = store.aggregates(subject, "n", None, Timestamp::MIN, Timestamp::MAX).expect("answers");
        assert!(windows.len() >= least.div_ceil(20));
    };
    std::thread::scope(|scope| {
        let readers: Vec<_> = SERIES
            .into_iter()
            .map(|subject| {
                let (read, is_done) = (&read, &is_done);
                scope.spawn(move || {
                    let mut reads = 0;
                    while !is_done.load(Ordering::Acquire) {
                        read(subject);
                        reads += 1;
                    }
                    reads
                })
            })
            .collect();
        for round in 0..60 {
            let numbers = round * 20..(round + 1) * 20;
            let at = |number: usize| MIDNIGHT + (number as i64 % 3) * DAY + number as i64;
            let rows: Vec<_> = numbers
                .flat_map(|number| SERIES.map(|subject| raw(subject, "n", at(number), number as f64)))
                .collect();
            let windows = SERIES.map(|subject| aggregate(subject, "n", at(round), 60_000, 0, 1.0));
            let _ = store.write(&rows, &windows);
            written.store((round + 1) * 20, Ordering::Release);
            store.seal(&[]).expect("seals");
            store.compact().expect("merges");
        }
        is_done.store(true, Ordering::Release);
        for reader in readers {
            assert!(reader.join().expect("no reader failed") > 10);
        }
    });
    SERIES.into_iter().for_each(read);
    let left = files(dir.path()).len();
    assert_eq!(left, store.tables().files.all().count(), "merged files are gone when nobody reads them");
    assert!(left < 100, "{left}");
}
