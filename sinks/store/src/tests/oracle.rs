//! What a store must answer: a plain list of all rows, searched from end to end.

use crate::steps::{Step, Steps};
use crate::{AggregateRow, Latest, Options, RawRow, SeriesKind, Store};
use records::{Flag, Name, Quality, Timestamp, Topic, TopicPartition, Window};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A batch of the log: rows that one write brings.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub raw: Vec<RawRow>,
    pub aggregates: Vec<AggregateRow>,
}

/// Where the batches stand on the log: batch number = offset.
pub const PARTITION: TopicPartition = TopicPartition { topic: Topic::Observations, partition: 0 };

pub const MIDNIGHT: i64 = 1_795_478_400_000;
pub const DAY: i64 = 86_400_000;

pub fn raw(subject: &str, quantity: &str, at: i64, value: f64) -> RawRow {
    RawRow {
        subject: subject.into(),
        quantity: quantity.into(),
        event_time: Timestamp(at),
        device_time: Some(Timestamp(at - 7)),
        ingest_time: Timestamp(at + 250),
        value,
        quality: Quality::GOOD,
    }
}

pub fn aggregate(
    subject: &str,
    quantity: &str,
    start: i64,
    length: i64,
    revision: u32,
    mean: f64,
) -> AggregateRow {
    AggregateRow {
        subject: subject.into(),
        quantity: quantity.into(),
        window: Window { start: Timestamp(start), end: Timestamp(start + length) },
        revision,
        count: 4,
        good: 3,
        sum: mean * 3.0,
        mean,
        min: mean - 1.0,
        max: mean + 1.0,
        as_of: Timestamp(start + length + 5_000),
        is_backfill: revision % 2 == 1,
    }
}

/// Options under which nothing is due by itself.
/// With all roll-ups, however little they shrink.
pub fn options() -> Options {
    Options { minutes_shrink: 1, ..Options::default() }
}

/// A store whose steps are watched.
pub fn watched(dir: &Path, hook: impl Fn(Step) -> io::Result<()> + Send + Sync + 'static) -> Store {
    Store::open_with(dir, options(), Steps { hook: Some(Arc::new(hook)), ..Steps::default() }).expect("opens")
}

/// Writes what the store lost: the batches behind its last seal.
pub fn replay(store: &Store, log: &[Batch]) {
    let from = store.offsets().first().map_or(0, |(_, offset)| *offset as usize);
    for batch in &log[from..] {
        let _ = store.write(&batch.raw, &batch.aggregates);
    }
}

pub fn seal(store: &Store, log: &[Batch]) -> Result<crate::Sealed, crate::StoreError> {
    store.seal(&[(PARTITION, log.len() as u64)])
}

/// A copy of a folder as a process that dies now leaves it.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("read") {
        let entry = entry.expect("read");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("known").is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}

/// The names of all files in the partitions, sorted.
pub fn files(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for kind in ["aggregates", "happenings", "observations", "rollup_1d", "rollup_1h", "rollup_1m"] {
        for day in std::fs::read_dir(dir.join(kind)).expect("read") {
            let day = day.expect("read").path();
            for file in std::fs::read_dir(&day).expect("read") {
                let file = file.expect("read").path();
                found.push(file.strip_prefix(dir).expect("inside").to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

/// Compares every answer of the store with what the log says.
pub fn check(store: &Store, log: &[Batch]) {
    let raw: Vec<&RawRow> = log.iter().flat_map(|batch| &batch.raw).collect();
    let aggregates: Vec<&AggregateRow> = log.iter().flat_map(|batch| &batch.aggregates).collect();
    let names: BTreeSet<(Name, Name)> = raw
        .iter()
        .map(|row| (row.subject.clone(), row.quantity.clone()))
        .chain(aggregates.iter().map(|row| (row.subject.clone(), row.quantity.clone())))
        .collect();
    for (subject, quantity) in &names {
        let of_series: Vec<&RawRow> =
            raw.iter().filter(|row| (&row.subject, &row.quantity) == (subject, quantity)).copied().collect();
        let windows: Vec<&AggregateRow> = aggregates
            .iter()
            .filter(|row| (&row.subject, &row.quantity) == (subject, quantity))
            .copied()
            .collect();
        for (from, to) in spans() {
            check_values(store, subject, quantity, &of_series, from, to);
            check_buckets(store, subject, quantity, &of_series, from, to);
            check_windows(store, subject, quantity, &windows, from, to);
        }
        check_series(store, subject, quantity, &of_series);
        check_latest(store, subject, quantity, &of_series);
    }
}

fn spans() -> [(i64, i64); 4] {
    [
        (i64::MIN, i64::MAX),
        (MIDNIGHT - 1_000, MIDNIGHT + 1_000),
        (MIDNIGHT, MIDNIGHT + DAY),
        (MIDNIGHT + 3_600_000, MIDNIGHT + 1_800_000),
    ]
}

fn inside<'a>(rows: &[&'a RawRow], from: i64, to: i64) -> Vec<&'a RawRow> {
    rows.iter().filter(|row| from <= row.event_time.0 && row.event_time.0 < to).copied().collect()
}

fn check_values(store: &Store, subject: &str, quantity: &str, rows: &[&RawRow], from: i64, to: i64) {
    let points = store.range(subject, quantity, Timestamp(from), Timestamp(to), 100_000).expect("answers");
    assert_eq!(points.width, None);
    assert!(points.t.is_sorted());
    let mut found: Vec<(i64, u64, u64, u64)> = (0..points.t.len())
        .map(|i| (points.t[i].0, points.mean[i].to_bits(), points.count[i], points.good_share[i].to_bits()))
        .collect();
    let mut expected: Vec<(i64, u64, u64, u64)> = inside(rows, from, to)
        .into_iter()
        .map(|row| {
            let is_there = row.quality.flag != Flag::Missing;
            let value = if is_there { row.value } else { f64::NAN };
            let share = f64::from(u8::from(row.quality.is_usable()));
            (row.event_time.0, value.to_bits(), u64::from(is_there), share.to_bits())
        })
        .collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected, "{subject} {quantity} [{from}, {to})");
}

fn check_buckets(store: &Store, subject: &str, quantity: &str, rows: &[&RawRow], from: i64, to: i64) {
    let (width, offset) = (21_600_000, 3_600_000);
    let found = store
        .buckets(
            subject,
            quantity,
            Timestamp(from),
            Timestamp(to),
            Duration::from_millis(width as u64),
            Duration::from_millis(offset as u64),
        )
        .expect("answers");
    let mut expected: BTreeMap<i64, Vec<&RawRow>> = BTreeMap::new();
    for row in inside(rows, from, to) {
        let start = (row.event_time.0 - offset).div_euclid(width) * width + offset;
        expected.entry(start).or_default().push(row);
    }
    assert_eq!(found.len(), expected.len());
    for (bucket, (start, rows)) in found.iter().zip(expected) {
        let good: Vec<f64> = rows.iter().filter(|row| row.quality.is_usable()).map(|row| row.value).collect();
        let count = rows.iter().filter(|row| row.quality.flag != Flag::Missing).count() as u64;
        assert_eq!((bucket.start.0, bucket.count, bucket.good), (start, count, good.len() as u64));
        if good.is_empty() {
            assert!(bucket.min.is_nan() && bucket.mean.is_nan() && bucket.max.is_nan());
            continue;
        }
        // Values are multiples of a quarter, so that this sum is exact in any order.
        let mean = good.iter().sum::<f64>() / good.len() as f64;
        let (min, max) =
            good.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)));
        assert_eq!((bucket.min, bucket.mean, bucket.max), (min, mean, max));
    }
}

fn check_windows(store: &Store, subject: &str, quantity: &str, rows: &[&AggregateRow], from: i64, to: i64) {
    let mut expected: BTreeMap<(i64, i64), AggregateRow> = BTreeMap::new();
    for row in rows.iter().filter(|row| from <= row.window.start.0 && row.window.start.0 < to) {
        let length = row.window.end.0 - row.window.start.0;
        let known = expected.entry((length, row.window.start.0)).or_insert_with(|| (*row).clone());
        if row.revision >= known.revision {
            *known = (*row).clone();
        }
    }
    let all = store.aggregates(subject, quantity, None, Timestamp(from), Timestamp(to)).expect("answers");
    assert_eq!(all, expected.values().cloned().collect::<Vec<_>>(), "{subject} {quantity} [{from}, {to})");
    let hours: Vec<AggregateRow> =
        expected.into_iter().filter(|((length, _), _)| *length == 3_600_000).map(|(_, row)| row).collect();
    let hour = Some(Duration::from_secs(3600));
    assert_eq!(
        store.aggregates(subject, quantity, hour, Timestamp(from), Timestamp(to)).expect("answers"),
        hours
    );
}

fn check_series(store: &Store, subject: &str, quantity: &str, rows: &[&RawRow]) {
    let found = store.series(subject);
    let found = found.iter().find(|info| info.quantity == quantity && info.kind == SeriesKind::Raw);
    let times = rows.iter().map(|row| row.event_time);
    assert_eq!(
        found.map(|info| (info.first, info.last, info.count)),
        times.clone().min().map(|first| (
            first,
            times.max().expect("as there is a first"),
            rows.len() as u64
        ))
    );
}

fn check_latest(store: &Store, subject: &str, quantity: &str, rows: &[&RawRow]) {
    let expected = rows.iter().max_by_key(|row| (row.event_time, row.ingest_time)).map(|row| Latest {
        quantity: row.quantity.clone(),
        event_time: row.event_time,
        ingest_time: row.ingest_time,
        value: row.value,
        quality: row.quality,
    });
    let of_subject = store.latest(subject);
    assert_eq!(of_subject.iter().find(|latest| latest.quantity == quantity), expected.as_ref());
    let all = store.latest_all();
    assert_eq!(
        all.iter().find(|(name, _)| name == subject).map(|(_, latest)| latest),
        Some(&of_subject).filter(|l| !l.is_empty())
    );
}
