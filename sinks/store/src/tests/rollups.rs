//! Answers from roll-ups are those of a plain list, bit for bit.

use super::oracle::*;
use crate::bucket::Summary;
use crate::{Options, RawRow, Spans, Store};
use proptest::prelude::*;
use records::{Flag, Quality, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 3_600_000;
/// How far the test's events reach.
const DAYS: i64 = 6;

#[derive(Clone, Debug)]
enum Deed {
    Write(Vec<RawRow>),
    Seal,
    Compact,
    /// Passes some hours, then does what is to be done now and then.
    Maintain(i64),
    Reopen,
}

/// What is kept of raw values, minutes, hours; and how much minutes must shrink the values to be made.
type Retentions = (i64, i64, i64, u64);

/// Times that are close to the edges of buckets, and late by up to all days.
fn any_time() -> impl Strategy<Value = i64> {
    let edge = prop::sample::select(vec![1, MINUTE, HOUR, DAY]);
    (0..DAYS * 24, 0..60i64, edge, -1..=1i64).prop_map(|(hour, minute, edge, step)| {
        let at = MIDNIGHT + hour * HOUR + minute * MINUTE;
        at.div_euclid(edge) * edge + step
    })
}

/// Everyday decimals, and now and then what makes sums lose digits, zeros of both signs, and what can't be summed.
fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        20 => (-4_000..4_000i32).prop_map(|tenths| f64::from(tenths) / 10.0),
        2 => prop::sample::select(vec![0.0, -0.0, 1e-20, 1e17, -1e17, 1e-300, 1e200]),
        1 => prop::sample::select(vec![f64::MAX, f64::MIN]),
    ]
}

fn any_rows() -> impl Strategy<Value = Vec<RawRow>> {
    let flags = vec![Flag::Good, Flag::Good, Flag::NotEvaluated, Flag::Suspect, Flag::Bad, Flag::Missing];
    let row = (
        prop::sample::select(vec!["a", "b"]),
        any_time(),
        any_value(),
        prop::sample::select(flags),
        1..3usize,
    );
    prop::collection::vec(row, 1..40).prop_map(|rows| {
        let row = |(subject, at, value, flag, times): (&str, i64, f64, Flag, usize)| {
            // What is written twice counts twice.
            vec![RawRow { quality: Quality { flag, tests: 0 }, ..raw(subject, "n", at, value) }; times]
        };
        rows.into_iter().flat_map(row).collect()
    })
}

fn any_deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        6 => any_rows().prop_map(Deed::Write),
        6 => Just(Deed::Seal),
        1 => Just(Deed::Compact),
        4 => (0..40i64).prop_map(Deed::Maintain),
        1 => Just(Deed::Reopen),
    ]
}

fn any_question() -> impl Strategy<Value = (i64, i64, i64, i64)> {
    let widths = vec![MINUTE / 6, MINUTE, 5 * MINUTE, 90 * MINUTE, HOUR, 2 * HOUR, DAY, 7 * DAY];
    let offsets = prop_oneof![
        3 => Just(0),
        2 => Just(16 * HOUR),
        1 => Just(5 * HOUR + 30 * MINUTE),
        1 => Just(1_234),
    ];
    (any_time(), any_time(), prop::sample::select(widths), offsets)
}

/// The model: all rows of a series, and before which times they are known by the span only.
struct Model<'a> {
    rows: &'a [RawRow],
    horizons: [i64; 3],
}

impl Model<'_> {
    fn buckets(&self, subject: &str, (from, to, width, offset): (i64, i64, i64, i64)) -> Vec<[u64; 6]> {
        let mut buckets: BTreeMap<i64, Summary> = BTreeMap::new();
        for row in self.rows.iter().filter(|row| row.subject == subject) {
            let Some(at) = self.known_at(row.event_time.millis(), (from, to)) else {
                continue;
            };
            let start = (at - offset).div_euclid(width) * width + offset;
            buckets.entry(start).or_default().add(row.value, row.quality.flag);
        }
        let of = |(start, summary): (i64, Summary)| bits(&summary.bucket(start));
        buckets.into_iter().map(of).collect()
    }

    /// The time that a value counts at, `None` outside of the question: its own; or, when it is older than the
    /// retention, the start of the finest span that is left.
    fn known_at(&self, at: i64, (from, to): (i64, i64)) -> Option<i64> {
        let [raw, minutes, hours] = self.horizons;
        let left = if at >= raw {
            1
        } else if at >= minutes {
            MINUTE
        } else if at >= hours {
            HOUR
        } else {
            DAY
        };
        let at = at.div_euclid(left) * left;
        (from..to).contains(&at).then_some(at)
    }
}

fn bits(bucket: &crate::Bucket) -> [u64; 6] {
    let [min, mean, max] = [bucket.min, bucket.mean, bucket.max].map(f64::to_bits);
    [bucket.start.millis().cast_unsigned(), bucket.count, bucket.good, min, mean, max]
}

fn ask(store: &Store, subject: &str, (from, to, width, offset): (i64, i64, i64, i64)) -> Vec<[u64; 6]> {
    let width = Duration::from_millis(width.unsigned_abs());
    let offset = Duration::from_millis(offset.unsigned_abs());
    let (from, to) = (Timestamp(from), Timestamp(to));
    let buckets = store.buckets(subject, "n", from, to, width, offset).expect("answers");
    let spans = Spans { from, to, width, offset, quantiles: &[], most_values: 0 };
    let of = |subject: &str| [(subject.into(), "n".into())];
    let curves = [&of("b")[..], &of(subject), &[], &of("nobody"), &of("a")];
    let joined = store.joined(&curves, spans).expect("answers");
    let joined: Vec<Vec<_>> =
        joined.iter().map(|spans| spans.iter().map(|joined| bits(&joined.bucket)).collect()).collect();
    let found: Vec<_> = buckets.iter().map(bits).collect();
    assert_eq!(joined[1], found);
    assert!(joined[2].is_empty() && joined[3].is_empty());
    assert_eq!(joined[if subject == "a" { 4 } else { 0 }], found);
    found
}

/// Days of the clock, in whole days or months, before which rows are gone.
fn horizons(store: &Store) -> [i64; 3] {
    use crate::day::Kind;
    let files = std::sync::Arc::clone(&store.tables().files);
    let of = |kind: Kind| files.horizon(kind).start().max(MIDNIGHT - 400 * DAY);
    [of(Kind::Observations), of(Kind::Minutes), of(Kind::Hours)]
}

fn open(dir: &std::path::Path, (raw, minutes, hours, minutes_shrink): Retentions) -> Store {
    let days = |days: i64| Some(Duration::from_millis((days * DAY).unsigned_abs()));
    let options = Options {
        retention: days(raw),
        minutes_retention: days(minutes),
        hours_retention: days(hours),
        minutes_shrink,
        ..options()
    };
    Store::open(dir, options).expect("opens")
}

fn check(deeds: Vec<Deed>, questions: &[(i64, i64, i64, i64)], retentions: Retentions) {
    let dir = tempfile::tempdir().expect("made");
    let (mut store, mut rows, mut now) = (open(dir.path(), retentions), Vec::new(), MIDNIGHT);
    let mut unsealed = Vec::new();
    for deed in deeds {
        match deed {
            Deed::Write(batch) => {
                let _ = store.write(&batch, &[]);
                unsealed.extend(batch.clone());
                rows.extend(batch);
            }
            Deed::Seal => {
                store.seal(&[]).expect("seals");
                unsealed.clear();
            }
            Deed::Compact => {
                store.compact().expect("merges");
            }
            Deed::Maintain(hours) => {
                now += hours * HOUR;
                store.maintain(Timestamp(now)).expect("maintains");
            }
            Deed::Reopen => {
                drop(store);
                store = open(dir.path(), retentions);
                let _ = store.write(&unsealed, &[]);
            }
        }
    }
    // What is late for a day that is over is known as exactly as it was written until it is rolled up.
    store.seal(&[]).expect("seals");
    store.maintain(Timestamp(now)).expect("maintains");
    let over = (now - HOUR).div_euclid(DAY) * DAY;
    let model =
        Model { rows: &rows, horizons: horizons(&store).map(|day| day.min(over.max(MIDNIGHT - 400 * DAY))) };
    for subject in ["a", "b"] {
        for question in questions {
            let expected = model.buckets(subject, *question);
            assert_eq!(ask(&store, subject, *question), expected, "{subject} {question:?} at {now}");
        }
        let all = (MIDNIGHT - DAY, MIDNIGHT + 99 * DAY, DAY, 0);
        assert_eq!(ask(&store, subject, all), model.buckets(subject, all));
    }
    store.maintain(Timestamp(now + 40 * DAY)).expect("maintains");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.div_ceil(10)))]

    #[test]
    fn roll_ups_answer_as_the_values_would(
        deeds in prop::collection::vec(any_deed(), 1..25),
        questions in prop::collection::vec(any_question(), 12),
        shrink in 1..5u64,
    ) {
        check(deeds, &questions, (99, 99, 99, shrink));
    }

    #[test]
    fn values_that_are_gone_are_known_by_their_spans(
        deeds in prop::collection::vec(any_deed(), 1..25),
        questions in prop::collection::vec(any_question(), 12),
        retentions in (1..4i64, 2..6i64, 3..40i64, 1..5u64),
    ) {
        check(deeds, &questions, retentions);
    }
}

/// A long series, its middle rolled up, late values in memory and in a file of their own.
fn long_series(dir: &std::path::Path) -> (Store, Vec<RawRow>) {
    let store = open(dir, (99, 99, 99, 1));
    let mut rows: Vec<RawRow> = (0..5 * 1440)
        .map(|i| raw("a", "n", MIDNIGHT + i * MINUTE + i % 977, (i * 37 % 1_001) as f64 / 10.0))
        .collect();
    let _ = store.write(&rows, &[]);
    store.seal(&[]).expect("seals");
    store.maintain(Timestamp(MIDNIGHT + 5 * DAY)).expect("rolls up");
    for late in 0..40 {
        let row = raw("a", "n", MIDNIGHT + late * 3 * HOUR + 5, 0.1 + late as f64);
        let _ = store.write(std::slice::from_ref(&row), &[]);
        rows.push(row);
        if late % 13 == 0 {
            store.seal(&[]).expect("seals");
        }
    }
    (store, rows)
}

fn check_long(store: &Store, rows: &[RawRow]) {
    let model = Model { rows, horizons: [i64::MIN; 3] };
    for question in [
        (MIDNIGHT + 12_345, MIDNIGHT + 4 * DAY + 7_654_321, HOUR, 0),
        (MIDNIGHT, MIDNIGHT + 5 * DAY, DAY, 0),
        (MIDNIGHT + 1, MIDNIGHT + 5 * DAY - 1, DAY, 16 * HOUR),
        (MIDNIGHT + HOUR, MIDNIGHT + HOUR + 1, MINUTE, 0),
    ] {
        assert_eq!(ask(store, "a", question), model.buckets("a", question), "{question:?}");
    }
}

#[test]
fn lost_roll_ups_are_made_again_and_missed_by_nobody() {
    for at in ["rollup_1m/day=2026-11-25", "rollup_1h/month=2026-11", "rollup_1d/month=2026-11"] {
        let dir = tempfile::tempdir().expect("made");
        let (store, rows) = long_series(dir.path());
        check_long(&store, &rows);
        drop(store);
        let file =
            std::fs::read_dir(dir.path().join(at)).expect("read").next().expect("a file").expect("read");
        let mut bytes = std::fs::read(file.path()).expect("read");
        let end = bytes.len() - 20;
        bytes.truncate(end);
        std::fs::write(file.path(), bytes).expect("written");
        let store = open(dir.path(), (99, 99, 99, 1));
        // What was in memory is gone with the process.
        let sealed = 5 * 1440 + 40;
        let _ = store.write(&rows[sealed..], &[]);
        assert_eq!(store.damaged().len(), 1, "{at}");
        check_long(&store, &rows);
        store.maintain(Timestamp(MIDNIGHT + 5 * DAY)).expect("makes them again");
        assert_eq!(*store.tables().files.holes(), BTreeSet::new());
        check_long(&store, &rows);
    }
}

#[test]
fn long_ranges_are_answered_from_roll_ups() {
    let dir = tempfile::tempdir().expect("made");
    let (store, _) = long_series(dir.path());
    // Nobody can read the values any more, and nobody has to.
    let files = std::sync::Arc::clone(&store.tables().files);
    for file in files.all().filter(|file| files.is_rolled(file)) {
        std::fs::write(&file.path, "").expect("written");
    }
    let points =
        store.range("a", "n", Timestamp(MIDNIGHT), Timestamp(MIDNIGHT + 5 * DAY), 200).expect("answers");
    assert_eq!(points.width, Some(Duration::from_secs(3_600)));
    assert_eq!(points.count.iter().sum::<u64>(), 5 * 1440 + 40);
    assert_eq!(store.damaged(), []);
}

/// The folders of minutes on disk.
fn days_by_the_minute(dir: &std::path::Path) -> usize {
    std::fs::read_dir(dir.join("rollup_1m")).expect("read").count()
}

/// Two days of values at this distance; the store keeps values for two days and minutes for ninety-nine.
fn two_days(dir: &std::path::Path, distance: i64) -> (Store, Vec<RawRow>) {
    let store = open(dir, (2, 99, 99, 8));
    let rows: Vec<RawRow> = (0..2 * DAY / distance)
        .map(|i| raw("a", "n", MIDNIGHT + i * distance, (i * 37 % 1_001) as f64 / 10.0))
        .collect();
    let _ = store.write(&rows, &[]);
    store.seal(&[]).expect("seals");
    store.maintain(Timestamp(MIDNIGHT + 2 * DAY + 2 * HOUR)).expect("rolls up");
    (store, rows)
}

#[test]
fn values_that_are_few_are_rolled_up_by_the_minute_when_they_go() {
    let dir = tempfile::tempdir().expect("made");
    let (store, mut rows) = two_days(dir.path(), 20_000);
    assert_eq!(days_by_the_minute(dir.path()), 0, "three values a minute serve themselves");
    let by_minute = (MIDNIGHT, MIDNIGHT + 2 * DAY, MINUTE, 0);
    let of = |rows: &[RawRow], horizons| Model { rows, horizons }.buckets("a", by_minute);
    assert_eq!(ask(&store, "a", by_minute), of(&rows, [i64::MIN; 3]));
    // Late ones, which alone are no reason for minutes either.
    let late: Vec<RawRow> = (0..20).map(|i| raw("a", "n", MIDNIGHT + i * 100, 0.5)).collect();
    let _ = store.write(&late, &[]);
    store.seal(&[]).expect("seals");
    store.maintain(Timestamp(MIDNIGHT + 2 * DAY + 3 * HOUR)).expect("rolls up");
    rows.extend(late);
    assert_eq!(days_by_the_minute(dir.path()), 0);
    assert_eq!(ask(&store, "a", by_minute), of(&rows, [i64::MIN; 3]));
    drop(store);
    let store = open(dir.path(), (2, 99, 99, 8));
    store.maintain(Timestamp(MIDNIGHT + 3 * DAY + 2 * HOUR)).expect("removes the first day's values");
    assert_eq!(days_by_the_minute(dir.path()), 1);
    assert_eq!(ask(&store, "a", by_minute), of(&rows, [MIDNIGHT + DAY, i64::MIN, i64::MIN]));
}

#[test]
fn values_that_are_many_are_rolled_up_by_the_minute() {
    let dir = tempfile::tempdir().expect("made");
    let (store, rows) = two_days(dir.path(), 7_000);
    assert_eq!(days_by_the_minute(dir.path()), 2);
    let by_minute = (MIDNIGHT, MIDNIGHT + 2 * DAY, MINUTE, 0);
    assert_eq!(
        ask(&store, "a", by_minute),
        Model { rows: &rows, horizons: [i64::MIN; 3] }.buckets("a", by_minute)
    );
}
