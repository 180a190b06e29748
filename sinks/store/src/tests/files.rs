//! The files as others read them, and rows at the edges.

use super::oracle::*;
use crate::columns::Layout;
use crate::point::{RawPoint, WindowPoint};
use crate::{AggregateRow, RawRow, SeriesKind, Store, StoreError};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Row, RowAccessor};
use parquet::schema::parser::parse_message_type;
use records::{Flag, Quality, Test, Timestamp};
use std::fs::File;
use std::path::Path;
use std::time::Duration;

fn read(path: &Path, schema: &str) -> Vec<Row> {
    let reader = SerializedFileReader::new(File::open(path).expect("there")).expect("Parquet");
    let found = reader.metadata().file_metadata().schema();
    assert_eq!(*found, parse_message_type(schema).expect("a schema"));
    reader.get_row_iter(None).expect("rows").map(|row| row.expect("a row")).collect()
}

#[test]
fn observations_read_back_by_the_record_api() {
    let dir = tempfile::tempdir().expect("made");
    let store = Store::open(dir.path(), options()).expect("opens");
    let suspect = Quality::GOOD.failed(Test::Spike, Flag::Suspect);
    let rows = [
        RawRow { quality: suspect, ..raw("b", "pm2_5", MIDNIGHT + 2, 35.5) },
        RawRow { device_time: None, ..raw("b", "pm2_5", MIDNIGHT + 1, -0.1) },
        raw("a", "pm2_5", MIDNIGHT, f64::MAX),
        raw("a", "pm2_5", MIDNIGHT - 1, 1.0),
    ];
    let _ = store.write(&rows, &[]);
    assert_eq!(store.seal(&[]).expect("seals").files, 2);
    let on_disk = files(dir.path());
    assert_eq!(on_disk[0], "observations/day=2026-11-23/0000000001.parquet", "a UTC day ends at midnight");
    let rows = read(&dir.path().join(&on_disk[1]), RawPoint::SCHEMA);
    let plain: Vec<_> = rows
        .iter()
        .map(|row| {
            let name = (row.get_string(0).expect("text").as_str(), row.get_string(1).expect("text").as_str());
            let times =
                (row.get_timestamp_millis(2).expect("time"), row.get_timestamp_millis(4).expect("time"));
            let device_time = row.get_timestamp_millis(3).ok();
            let quality = (row.get_ubyte(6).expect("flag"), row.get_ushort(7).expect("tests"));
            (name, times, device_time, row.get_double(5).expect("value"), quality)
        })
        .collect();
    let at = |offset| MIDNIGHT + offset;
    assert_eq!(
        plain,
        [
            (("a", "pm2_5"), (at(0), at(250)), Some(at(-7)), f64::MAX, (1, 0)),
            (("b", "pm2_5"), (at(1), at(251)), None, -0.1, (1, 0)),
            (("b", "pm2_5"), (at(2), at(252)), Some(at(-5)), 35.5, (3, 4)),
        ]
    );
}

#[test]
fn aggregates_read_back_by_the_record_api() {
    let dir = tempfile::tempdir().expect("made");
    let store = Store::open(dir.path(), options()).expect("opens");
    let empty = AggregateRow { good: 0, ..aggregate("n", "iaqi", MIDNIGHT + 60_000, 60_000, u32::MAX, 5.0) };
    let _ = store.write(&[], &[empty, aggregate("n", "iaqi", MIDNIGHT, 60_000, 1, 42.0)]);
    store.seal(&[]).expect("seals");
    let rows = read(&dir.path().join(&files(dir.path())[0]), WindowPoint::SCHEMA);
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].get_timestamp_millis(3).expect("end"), MIDNIGHT + 60_000);
    assert_eq!((rows[0].get_double(8).expect("mean"), rows[0].get_bool(12).expect("flag")), (42.0, true));
    assert_eq!(rows[1].get_uint(4).expect("revision"), u32::MAX);
    assert!(rows[1].get_double(8).is_err(), "no usable value, no mean");
}

#[test]
fn a_series_across_row_groups_and_pages_reads_back() {
    let dir = tempfile::tempdir().expect("made");
    let store = Store::open(dir.path(), options()).expect("opens");
    let mut rows: Vec<RawRow> = (0..250_000).map(|i| raw("b", "n", MIDNIGHT + i, i as f64)).collect();
    rows.extend((0..3_000).flat_map(|i| ["a", "c"].map(|name| raw(name, "n", MIDNIGHT + i * 7, i as f64))));
    let _ = store.write(&rows, &[]);
    store.seal(&[]).expect("seals");
    let path = dir.path().join(&files(dir.path())[0]);
    let reader = SerializedFileReader::new(File::open(path).expect("there")).expect("Parquet");
    let groups: Vec<i64> = reader.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
    assert_eq!(groups, [3_000, 100_000, 100_000, 53_000], "cut where a series ends, or at 100,000 rows");
    for (name, count) in [("a", 3_000), ("b", 250_000), ("c", 3_000)] {
        let points = store.range(name, "n", Timestamp::MIN, Timestamp::MAX, usize::MAX).expect("answers");
        assert!(points.mean.iter().copied().eq((0..count).map(f64::from)), "{name}");
    }
    let (from, to) = (Timestamp(MIDNIGHT + 99_990), Timestamp(MIDNIGHT + 100_010));
    let points = store.range("b", "n", from, to, 100).expect("answers");
    assert!(points.mean.iter().copied().eq((99_990..100_010).map(f64::from)));
}

#[test]
fn curves_are_thinned_to_the_points_asked_for() {
    let dir = tempfile::tempdir().expect("made");
    let store = Store::open(dir.path(), options()).expect("opens");
    let rows: Vec<RawRow> = (0..86_400).map(|i| raw("d", "n", MIDNIGHT + i * 1_000, i as f64)).collect();
    let _ = store.write(&rows[..50_000], &[]);
    store.seal(&[]).expect("seals");
    let _ = store.write(&rows[50_000..], &[]);
    let (from, to) = (Timestamp(MIDNIGHT), Timestamp(MIDNIGHT + DAY));
    let points = store.range("d", "n", from, to, 300).expect("answers");
    assert_eq!((points.width, points.t.len()), (Some(Duration::from_secs(300)), 288));
    for (i, start) in points.t.iter().enumerate() {
        let first = (i * 300) as f64;
        assert_eq!(start.0, MIDNIGHT + i as i64 * 300_000);
        assert_eq!((points.min[i], points.mean[i], points.max[i]), (first, first + 149.5, first + 299.0));
        assert_eq!((points.count[i], points.good_share[i]), (300, 1.0));
    }
    for max_points in [0, 1, 2, 3, 7, 100, 86_399] {
        let points = store.range("d", "n", from, to, max_points).expect("answers");
        assert!(points.t.len() <= max_points.max(2), "{} of {max_points}", points.t.len());
        assert_eq!(points.count.iter().sum::<u64>(), 86_400);
    }
    assert_eq!(store.range("d", "n", from, to, 86_400).expect("answers").width, None);
}

#[test]
fn rows_that_no_calendar_knows_are_refused_and_counted() {
    let dir = tempfile::tempdir().expect("made");
    let store = Store::open(dir.path(), options()).expect("opens");
    let good = raw("d", "n", MIDNIGHT, 1.0);
    let bad = [
        RawRow { value: f64::NAN, ..good.clone() },
        RawRow { value: f64::INFINITY, ..good.clone() },
        RawRow { event_time: Timestamp::MAX, ..good.clone() },
        RawRow { event_time: Timestamp::MIN, ..good.clone() },
        RawRow { ingest_time: Timestamp::MAX, ..good.clone() },
    ];
    let odd = RawRow { device_time: Some(Timestamp::MAX), ..good };
    let written = store.write(&[&bad[..], &[odd]].concat(), &[aggregate("d", "n", MIDNIGHT, 0, 0, 1.0)]);
    assert_eq!((written.accepted, written.refused), (1, 6));
    let edges = [-62_135_596_800_000, 253_402_300_799_999 - 250]
        .map(|at| RawRow { device_time: None, ..raw("d", "n", at, 2.0) });
    assert_eq!(store.write(&edges, &[]).accepted, 2);
    store.seal(&[]).expect("seals");
    let points = store.range("d", "n", Timestamp::MIN, Timestamp::MAX, 10).expect("answers");
    assert_eq!(points.mean, [2.0, 1.0, 2.0]);
    assert_eq!(store.range("d", "n", Timestamp::MIN, Timestamp::MAX, 2).expect("answers").count, [1, 2]);
}

#[test]
fn an_answer_beyond_its_limit_is_an_error() {
    let dir = tempfile::tempdir().expect("made");
    let store = Store::open(dir.path(), crate::Options { answer_rows: 10, ..options() }).expect("opens");
    let rows: Vec<_> = (0..11).map(|i| raw("d", "n", MIDNIGHT + i * 1_000, 0.0)).collect();
    let windows: Vec<_> =
        (0..11).map(|i| aggregate("d", "n", MIDNIGHT + i * 60_000, 60_000, 0, 0.0)).collect();
    let revised = aggregate("d", "n", MIDNIGHT, 60_000, 1, 9.0);
    let _ = store.write(&rows, &[&windows[..10], &[revised]].concat());
    let ask = |store: &Store| {
        let second = Duration::from_secs(1);
        let buckets = store.buckets("d", "n", Timestamp::MIN, Timestamp::MAX, second, Duration::ZERO);
        (buckets, store.aggregates("d", "n", None, Timestamp::MIN, Timestamp::MAX))
    };
    let (buckets, aggregates) = ask(&store);
    assert!(matches!(buckets, Err(StoreError::TooManyRows { limit: 10 })));
    assert_eq!(aggregates.expect("ten windows, one of them revised").len(), 10);
    store.seal(&[]).expect("seals");
    let _ = store.write(&[], &windows[10..]);
    assert!(matches!(ask(&store).1, Err(StoreError::TooManyRows { limit: 10 })));
}

#[test]
fn series_are_listed_by_quantity_and_kind() {
    let dir = tempfile::tempdir().expect("made");
    let store = Store::open(dir.path(), options()).expect("opens");
    let _ = store.write(&[raw("d", "b", MIDNIGHT, 0.0)], &[aggregate("d", "a", MIDNIGHT, 60_000, 0, 0.0)]);
    store.seal(&[]).expect("seals");
    let hour = aggregate("d", "a", MIDNIGHT, 3_600_000, 0, 0.0);
    let _ = store.write(&[raw("d", "b", MIDNIGHT + DAY, 0.0)], &[hour.clone(), hour]);
    let listed: Vec<_> = store
        .series("d")
        .into_iter()
        .map(|s| (s.quantity.to_string(), s.kind, s.first.0, s.last.0, s.count))
        .collect();
    let window = |seconds| SeriesKind::Window(Duration::from_secs(seconds));
    assert_eq!(
        listed,
        [
            ("a".to_owned(), window(60), MIDNIGHT, MIDNIGHT, 1),
            ("a".to_owned(), window(3600), MIDNIGHT, MIDNIGHT, 1),
            ("b".to_owned(), SeriesKind::Raw, MIDNIGHT, MIDNIGHT + DAY, 2),
        ]
    );
    assert_eq!(store.series("nobody"), []);
    assert_eq!(store.range("nobody", "a", Timestamp::MIN, Timestamp::MAX, 1).expect("answers").t, []);
}
