//! Files of what is stored: one per period, whole, through deaths at any moment.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

use jiff::tz::TimeZone;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use records::{Quality, Timestamp, Window};
use sinks::export::{Export, ExportFormat, ExportOptions, Exports, Period};
use sinks::store::{AggregateRow, Options, RawRow, Store};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// 2026-11-21T16:00:00Z: midnight in Shanghai.
const MIDNIGHT: i64 = 1_795_276_800_000;

fn options(folder: &Path) -> ExportOptions {
    ExportOptions {
        name: "air".to_owned(),
        what: Exports::Observations,
        quantities: vec!["pm2_5".into()],
        subjects: vec!["air-*".to_owned()],
        format: ExportFormat::Csv,
        period: Period::Day,
        zone: TimeZone::get("Asia/Shanghai").unwrap(),
        folder: folder.to_owned(),
        delay: Duration::from_secs(900),
        retention: None,
    }
}

fn value(subject: &str, quantity: &str, at: i64, value: f64) -> RawRow {
    let (event_time, ingest_time) = (Timestamp(at), Timestamp(at + 500));
    let (subject, quantity) = (subject.into(), quantity.into());
    RawRow { subject, quantity, event_time, device_time: None, ingest_time, value, quality: Quality::GOOD }
}

fn window(at: i64, revision: u32, good: u32, mean: f64) -> AggregateRow {
    AggregateRow {
        subject: "air-1".into(),
        quantity: "pm2_5".into(),
        window: Window { start: Timestamp(at), end: Timestamp(at + HOUR) },
        revision,
        count: 4,
        good,
        sum: mean * f64::from(good),
        mean,
        min: mean,
        max: mean,
        as_of: Timestamp(at + HOUR),
        is_backfill: false,
    }
}

/// A value every six hours of two days, and what is not asked for.
fn store(folder: &Path) -> Store {
    let store = Store::open(folder, Options::default()).unwrap();
    let mut rows: Vec<RawRow> =
        (0..8).map(|n| value("air-1", "pm2_5", MIDNIGHT + n * 6 * HOUR, n as f64 + 0.5)).collect();
    rows.push(value("air-1", "pm10", MIDNIGHT, 9.0));
    rows.push(value("met-1", "pm2_5", MIDNIGHT, 9.0));
    let windows =
        [window(MIDNIGHT, 0, 4, 1.0), window(MIDNIGHT, 1, 3, 2.0), window(MIDNIGHT + HOUR, 0, 0, 0.0)];
    let _ = store.write(&rows[..5], &windows);
    store.seal(&[]).unwrap();
    let _ = store.write(&rows[5..], &[]);
    store
}

fn files(folder: &Path) -> Vec<String> {
    let entries =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<String> = entries.filter(|name| !name.ends_with(".next")).collect();
    files.sort();
    files
}

fn run_all(export: &Export, now: i64) -> Vec<u64> {
    std::iter::from_fn(|| export.run(Timestamp(now)).unwrap()).map(|exported| exported.rows).collect()
}

#[test]
fn a_file_holds_a_day_of_the_local_calendar() {
    let dir = tempfile::tempdir().unwrap();
    let (store, out) = (store(&dir.path().join("series")), dir.path().join("out"));
    let export = Export::new(options(&out), store);
    assert!(export.is_due(Timestamp(MIDNIGHT)).unwrap(), "where to begin is to be found out");
    assert_eq!(run_all(&export, MIDNIGHT + DAY + 899_999), Vec::<u64>::new(), "the delay is not over");
    assert!(!export.is_due(Timestamp(MIDNIGHT + DAY + 899_999)).unwrap());
    assert!(export.is_due(Timestamp(MIDNIGHT + DAY + 900_000)).unwrap());
    assert_eq!(run_all(&export, MIDNIGHT + DAY + 900_000), [4]);
    assert_eq!(run_all(&export, MIDNIGHT + DAY + 900_000), Vec::<u64>::new(), "once");
    assert_eq!(run_all(&export, MIDNIGHT + 4 * DAY), [4, 0], "a period without rows has a file too");
    assert_eq!(files(&out), ["air-2026-11-22.csv", "air-2026-11-23.csv", "air-2026-11-24.csv"]);
    let text = fs::read_to_string(out.join("air-2026-11-22.csv")).unwrap();
    let expected = "subject,quantity,event_time,device_time,ingest_time,value,flag,tests\r\n\
        air-1,pm2_5,2026-11-21T16:00:00Z,,2026-11-21T16:00:00.5Z,0.5,1,0\r\n\
        air-1,pm2_5,2026-11-21T22:00:00Z,,2026-11-21T22:00:00.5Z,1.5,1,0\r\n\
        air-1,pm2_5,2026-11-22T04:00:00Z,,2026-11-22T04:00:00.5Z,2.5,1,0\r\n\
        air-1,pm2_5,2026-11-22T10:00:00Z,,2026-11-22T10:00:00.5Z,3.5,1,0\r\n";
    assert_eq!(text, expected);
}

#[test]
fn windows_go_out_by_their_highest_revision() {
    let dir = tempfile::tempdir().unwrap();
    let (store, out) = (store(&dir.path().join("series")), dir.path().join("out"));
    let what = Exports::Windows(Duration::from_secs(3600));
    let export = |format| Export::new(ExportOptions { what, format, ..options(&out) }, store.clone());
    assert_eq!(run_all(&export(ExportFormat::Csv), MIDNIGHT + DAY + HOUR), [2]);
    let text = fs::read_to_string(out.join("air-2026-11-22.csv")).unwrap();
    assert!(text.contains(",1,4,3,6,2,2,2,"), "{text}");
    assert!(text.contains(",0,4,0,,,,,"), "{text}");
    fs::remove_file(out.join(".air.next")).unwrap();
    assert_eq!(run_all(&export(ExportFormat::Parquet), MIDNIGHT + DAY + HOUR), [2]);
    let file = SerializedFileReader::new(File::open(out.join("air-2026-11-22.parquet")).unwrap()).unwrap();
    let rows: Vec<_> = file.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    assert_eq!((rows[0].get_uint(4).unwrap(), rows[0].get_double(8).unwrap()), (1, 2.0));
    assert!(rows[1].get_double(8).is_err(), "null");
}

#[test]
fn old_files_go_and_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let (store, out) = (store(&dir.path().join("series")), dir.path().join("out"));
    fs::create_dir_all(&out).unwrap();
    for name in ["air-notes-2026.csv", "airport-2020-01-01.csv", "air-2020-01-01.parquet"] {
        fs::write(out.join(name), "").unwrap();
    }
    let retention = Some(Duration::from_secs(2 * 24 * 3600));
    let export = Export::new(ExportOptions { retention, ..options(&out) }, store);
    run_all(&export, MIDNIGHT + 4 * DAY + HOUR);
    let expected = [
        "air-2020-01-01.parquet",
        "air-2026-11-24.csv",
        "air-2026-11-25.csv",
        "air-notes-2026.csv",
        "airport-2020-01-01.csv",
    ];
    assert_eq!(files(&out), expected);
}

#[test]
fn what_stops_half_way_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let (store, out) = (store(&dir.path().join("series")), dir.path().join("out"));
    let export = Export::new(options(&out), store);
    assert_eq!(run_all(&export, MIDNIGHT + DAY + HOUR), [4]);
    let whole = fs::read(out.join("air-2026-11-22.csv")).unwrap();
    // Died after the file was in place and before the mark moved; and, in the next try, while writing.
    fs::write(out.join(".air.next"), MIDNIGHT.to_string()).unwrap();
    fs::write(out.join(".air.part"), "half a fi").unwrap();
    assert_eq!(run_all(&export, MIDNIGHT + DAY + HOUR), [4]);
    assert_eq!(fs::read(out.join("air-2026-11-22.csv")).unwrap(), whole);
    assert_eq!(files(&out), ["air-2026-11-22.csv"]);
}

const CHILD: &str = "SLUICE_EXPORT_CHILD";
const HOURS: i64 = 400;

/// What the next test kills. Alone it does nothing.
#[test]
fn a_child_that_exports_hours() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let folder = Path::new(&folder);
    let store = Store::open(&folder.join("series"), Options::default()).unwrap();
    let export = Export::new(ExportOptions { period: Period::Hour, ..options(&folder.join("out")) }, store);
    run_all(&export, MIDNIGHT + HOURS * HOUR + HOUR / 2);
}

#[test]
fn a_killed_export_leaves_neither_a_gap_nor_a_row_twice() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    {
        let store = Store::open(&dir.path().join("series"), Options::default()).unwrap();
        let rows: Vec<RawRow> =
            (0..HOURS * 10).map(|n| value("air-1", "pm2_5", MIDNIGHT + n * HOUR / 10, n as f64)).collect();
        let _ = store.write(&rows, &[]);
        store.seal(&[]).unwrap();
    }
    let child = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "a_child_that_exports_hours"]).env(CHILD, dir.path());
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let is_whole = |name: &String| {
        let text = fs::read_to_string(out.join(name)).unwrap();
        assert_eq!(text.lines().count(), 11, "{name}: {text}");
    };
    let count = || if out.exists() { files(&out).len() } else { 0 };
    let mut killed = 0;
    for round in 1..=12 {
        let (mut child, before) = (child(), count());
        // Each time a little further, so that it is met at every step.
        while count() < before + round * 2 && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        killed += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        files(&out).iter().filter(|name| name.starts_with("air-")).for_each(is_whole);
    }
    assert!(killed > 6, "only {killed} were killed while they wrote");
    assert!(child().wait().unwrap().success());
    let files: Vec<String> = files(&out);
    assert_eq!(files.len() as i64, HOURS, "each hour has its file, and nothing else is left");
    files.iter().for_each(is_whole);
    let mut values = Vec::new();
    for name in &files {
        let text = fs::read_to_string(out.join(name)).unwrap();
        values
            .extend(text.lines().skip(1).map(|line| line.split(',').nth(5).unwrap().parse::<i64>().unwrap()));
    }
    assert_eq!(values, (0..HOURS * 10).collect::<Vec<_>>());
}
