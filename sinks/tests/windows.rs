//! `/query` over the windows that the stream stage closed, its Parquet answers, and what a question may cost.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod support;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use records::{Aggregate, Device, Family, Quantity, Record, Subject, Timestamp, Topic, Window};
use serde_json::{Value, json};
use sinks::console::QueryLimits;
use std::time::Duration;
use support::{Console, T0, append, device, eventually, reading};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

fn window(subject: Subject, start: i64, minutes: i64, values: &[f64], revision: u32) -> Record {
    let sum: f64 = values.iter().sum();
    let bound = |fold: fn(f64, f64) -> f64| values.iter().copied().reduce(fold).unwrap_or(0.0);
    Record::Aggregate(Aggregate {
        subject,
        area: "Tianhe".into(),
        quantity: Quantity::from_name("pm2_5"),
        window: Window { start: Timestamp(start), end: Timestamp(start + minutes * MINUTE) },
        revision,
        count: values.len() as u32 + 1,
        good: values.len() as u32,
        sum,
        mean: if values.is_empty() { 0.0 } else { sum / values.len() as f64 },
        min: bound(f64::min),
        max: bound(f64::max),
        as_of: Timestamp(start + minutes * MINUTE),
        is_backfill: false,
    })
}

fn of_device(id: &str, start: i64, minutes: i64, values: &[f64], revision: u32) -> Record {
    window(Subject::Device(id.into()), start, minutes, values, revision)
}

/// Two devices of one area with ten-minute windows over an hour, and hopping hours of one of them.
async fn console(limits: QueryLimits) -> Console {
    let console = Console::start_bounded(None, limits).await;
    let known = |id: &str| Record::Device(Device { area: "Tianhe".into(), ..device(id, Family::Air, 1) });
    let mut observations = vec![known("air-1"), known("air-2")];
    observations.extend((0..60).map(|n| reading("air-1", T0 - HOUR + n * MINUTE, "pm2_5", n as f64)));
    append(&console.log, Topic::Observations, &observations).await;
    let mut windows = Vec::new();
    for number in 0..6 {
        let (start, low) = (T0 - HOUR + number * 10 * MINUTE, number as f64);
        windows.push(of_device("air-1", start, 10, &[low, low + 10.0], 0));
        windows.push(of_device("air-2", start, 10, &[low + 100.0], 0));
    }
    // Two late values came to the first window.
    windows.push(of_device("air-1", T0 - HOUR, 10, &[0.0, 10.0, 20.0, 30.0], 1));
    // Nothing usable in the last.
    windows.push(of_device("air-2", T0 - 10 * MINUTE, 10, &[], 1));
    windows.extend((0..4).map(|hop| of_device("air-1", T0 - 3 * HOUR + hop * HOUR / 2, 60, &[7.0], 0)));
    windows.push(window(Subject::Area("Tianhe".into()), T0 - HOUR, 60, &[1.0, 3.0], 2));
    append(&console.log, Topic::Aggregates, &windows).await;
    let rows = 60 + windows.len();
    eventually(async || {
        (console.store.rows_in_memory() >= rows - 2 && console.devices.len() == 2).then_some(())
    })
    .await;
    console
}

fn hour() -> String {
    format!("quantity=pm2_5&from={}&to={}", T0 - HOUR, T0)
}

async fn curve(console: &Console, question: &str) -> Value {
    let answer = console.get(&format!("/api/v1/query?{question}&{}", hour())).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["series"][0].clone()
}

#[tokio::test]
async fn stored_windows_are_curves_with_their_revisions() {
    let console = console(QueryLimits::default()).await;
    let found = curve(&console, "device=air-1&window=10m").await;
    let starts: Vec<i64> = (0..6).map(|number| T0 - HOUR + number * 10 * MINUTE).collect();
    assert_eq!(found["t"], json!(starts));
    assert_eq!(found["mean"], json!([15.0, 6.0, 7.0, 8.0, 9.0, 10.0]));
    assert_eq!(found["max"][0], json!(30.0));
    assert_eq!(found["revision"], json!([1, 0, 0, 0, 0, 0]));
    assert_eq!((&found["count"][0], &found["good"][0]), (&json!(5), &json!(0.8)));
    let empty = curve(&console, "device=air-2&window=10m").await;
    assert_eq!(
        (&empty["mean"][5], &empty["min"][5], &empty["good"][5]),
        (&json!(null), &json!(null), &json!(0.0))
    );
}

#[tokio::test]
async fn windows_of_several_devices_are_joined_by_what_they_hold() {
    let console = console(QueryLimits::default()).await;
    let found = curve(&console, "area=Tianhe&group=area&window=10m&bucket=1h&percentiles=50").await;
    // 4 values of mean 15, 2 each of 6, 7, 8, 9, 10; five single ones of 100…104.
    let mean = (60.0 + 80.0 + 510.0) / 19.0;
    assert_eq!((&found["mean"], &found["count"]), (&json!([mean]), &json!([5 + 5 * 3 + 6 * 2 - 1])));
    assert_eq!(found["revision"], json!([1]));
    let percentile = |name: &str| found[name][0].as_f64().unwrap();
    // The values themselves, as the windows were made from them.
    let mut values = vec![0.0, 10.0, 20.0, 30.0, 100.0, 101.0, 102.0, 103.0, 104.0];
    values.extend((1..6).flat_map(|number| [f64::from(number), f64::from(number) + 10.0]));
    values.sort_by(f64::total_cmp);
    let median = values[9];
    let (low, high) = (percentile("p50_low"), percentile("p50_high"));
    assert!(low <= median && median <= high, "{low} … {median} … {high}");
    assert!(low <= percentile("p50") && percentile("p50") <= high, "{found}");
}

#[tokio::test]
async fn what_overlaps_is_counted_once() {
    let console = console(QueryLimits::default()).await;
    let ask = async |more: &str| {
        let path = format!(
            "/api/v1/query?device=air-1&quantity=pm2_5&window=1h&from={}&to={}{more}",
            T0 - 3 * HOUR,
            T0
        );
        console.get(&path).await.json()["series"][0].clone()
    };
    // Hours begin at each half hour; those that begin at a whole one tile the day.
    assert_eq!(ask("&bucket=1d").await["count"], json!([4]));
    assert_eq!(ask("&bucket=30m").await["t"].as_array().unwrap().len(), 4, "each as it is");
}

#[tokio::test]
async fn areas_have_windows_of_their_own() {
    let console = console(QueryLimits::default()).await;
    for chosen in ["area=Tianhe", "family=air"] {
        let found = curve(&console, &format!("{chosen}&level=area&window=1h")).await;
        assert_eq!((&found["series"], &found["mean"]), (&json!("Tianhe"), &json!([2.0])));
        assert_eq!(found["revision"], json!([2]));
    }
    let refused = console.get(&format!("/api/v1/query?area=Tianhe&level=area&{}", hour())).await;
    assert_eq!((refused.status, refused.code()), (400, "bad_request".to_owned()));
}

#[tokio::test]
async fn parquet_holds_the_same_as_csv() {
    let console = console(QueryLimits::default()).await;
    let path = format!("/api/v1/query?family=air&window=10m&percentiles=99.9&{}", hour());
    let csv = console.get(&format!("{path}&format=csv")).await.text();
    let file = console.get(&format!("{path}&format=parquet")).await;
    assert_eq!(file.header("content-type"), Some("application/vnd.apache.parquet"));
    let file = SerializedFileReader::new(bytes::Bytes::from(file.body)).unwrap();
    let names: Vec<String> = file
        .metadata()
        .file_metadata()
        .schema()
        .get_fields()
        .iter()
        .map(|field| field.name().to_owned())
        .collect();
    assert_eq!(names[..4].join(","), "series,quantity,time,mean");
    assert_eq!(names[8..].join(","), "revision,p99_9,p99_9_low,p99_9_high");
    let rows: Vec<_> = file.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    let lines: Vec<&str> = csv.lines().skip(1).collect();
    assert_eq!((rows.len(), lines.len()), (12, 12));
    for (row, line) in rows.iter().zip(lines) {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(row.get_string(0).unwrap(), cells[0]);
        let mean = row.get_double(3).map(|mean| mean.to_string()).unwrap_or_default();
        assert_eq!(mean, cells[3]);
        assert_eq!(row.get_long(6).unwrap().to_string(), cells[6]);
        assert_eq!(row.get_uint(8).unwrap().to_string(), cells[8]);
    }
}

#[tokio::test]
async fn each_limit_is_refused_by_its_name() {
    let check = async |limits: QueryLimits, question: &str, words: &str| {
        let console = console(limits).await;
        let answer = console.get(&format!("/api/v1/query?{question}&{}", hour())).await;
        assert_eq!((answer.status, answer.code()), (400, "too_much".to_owned()), "{question}");
        assert!(answer.text().contains(words), "{}", answer.text());
    };
    let check_path = async |limits: QueryLimits, path: &str| {
        let console = console(limits).await;
        let answer = console.get(&format!("/api/v1/{path}")).await;
        assert_eq!((answer.status, answer.code()), (400, "too_much".to_owned()), "{path}");
        assert!(answer.text().contains("limit time: "), "{}", answer.text());
    };
    let usual = QueryLimits::default();
    check(QueryLimits { series: 1, ..usual }, "family=air", "limit series: 2, more than 1").await;
    check(QueryLimits { rows: 11, ..usual }, "family=air&window=10m", "limit rows: more than 11").await;
    check(QueryLimits { rows: 59, ..usual }, "family=air&bucket=1m", "limit rows: more than 59").await;
    let none = Duration::ZERO;
    check(QueryLimits { time: none, ..usual }, "device=air-1&bucket=1m", "limit time: ").await;
    check(QueryLimits { time: none, ..usual }, "device=air-1&window=10m", "limit time: ").await;
    for path in ["series?device=air-1", "series?device=air-1&bucket=1m", "series?device=air-1&window=10m"] {
        check_path(QueryLimits { time: none, ..usual }, &format!("{path}&{}", hour())).await;
    }
    let range = format!("from={}&to={}", T0 - HOUR, T0);
    check_path(QueryLimits { time: none, ..usual }, &format!("happenings?kind=passage&{range}")).await;
    let little = QueryLimits { memory_bytes: 400, ..usual };
    check(little, "device=air-1&bucket=1h&percentiles=50", "limit memory: more than 400 bytes").await;
    check(little, "device=air-1&bucket=1m", "limit memory: ").await;
    check(QueryLimits { memory_bytes: 200, ..usual }, "device=air-1&window=10m&bucket=1h", "limit memory: ")
        .await;
}
