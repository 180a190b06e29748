//! A real InfluxDB 2: what Flux reads back, what a second sending changes, and what it says when it refuses.
//!
//! Wants `SLUICE_INFLUX` (its URL) and `SLUICE_INFLUX_TOKEN` (of an operator), as
//! `deploy/services/influxdb/influxdb.sh env` prints them.
#![cfg(feature = "influx")]
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod support;

use records::{Aggregate, Batch, Fetched, Record, Subject, Timestamp, Topic, TopicPartition};
use serde_json::{Value, json};
use sinks::influx::{InfluxOptions, InfluxSink, Ledger};
use sinks::{Sink, SinkError};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use support::influx::{closed, window};
use support::{Hands, T0, metrics, observation};
use tempfile::TempDir;

/// A bucket of its own on the server that the environment names.
struct Server {
    url: String,
    token: String,
    bucket: String,
    bucket_id: String,
    org_id: String,
    http: reqwest::Client,
}

impl Server {
    async fn with_bucket(retention_s: u64) -> Server {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let url = std::env::var("SLUICE_INFLUX").expect("SLUICE_INFLUX names the server");
        let token = std::env::var("SLUICE_INFLUX_TOKEN").expect("SLUICE_INFLUX_TOKEN may do everything");
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let bucket = format!("test-{}-{number}", std::process::id());
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let (org_id, bucket_id) = (String::new(), String::new());
        let mut server = Server { url, token, bucket, bucket_id, org_id, http };
        let orgs = server.get("/api/v2/orgs?org=sluice").await;
        server.org_id = orgs["orgs"][0]["id"].as_str().unwrap().to_owned();
        let rules = json!([{ "type": "expire", "everySeconds": retention_s }]);
        let body = json!({ "orgID": server.org_id, "name": server.bucket, "retentionRules": rules });
        server.bucket_id = server.post("/api/v2/buckets", body).await["id"].as_str().unwrap().to_owned();
        server
    }

    async fn get(&self, path: &str) -> Value {
        let request = self.http.get(format!("{}{path}", self.url));
        let request = request.header("Authorization", format!("Token {}", self.token));
        request.send().await.unwrap().json().await.unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let request = self.http.post(format!("{}{path}", self.url)).json(&body);
        let request = request.header("Authorization", format!("Token {}", self.token));
        request.send().await.unwrap().json().await.unwrap()
    }

    /// All points, a line of sorted `column=value` each.
    async fn points(&self) -> Vec<String> {
        let flux = format!(
            "from(bucket: \"{}\") |> range(start: 1970-01-01T00:00:00Z, stop: 2100-01-01T00:00:00Z)
             |> drop(columns: [\"_start\", \"_stop\"])",
            self.bucket
        );
        let request = self.http.post(format!("{}/api/v2/query?org=sluice", self.url));
        let request = request.header("Authorization", format!("Token {}", self.token));
        let body = json!({ "query": flux, "dialect": { "header": true, "annotations": [] } });
        let text = request.json(&body).send().await.unwrap().text().await.unwrap();
        read_tables(&text)
    }

    fn options(&self) -> InfluxOptions {
        InfluxOptions {
            url: self.url.clone(),
            org: "sluice".to_owned(),
            bucket: self.bucket.clone(),
            raw: true,
            ..InfluxOptions::default()
        }
    }
}

/// Flux's CSV: tables parted by empty lines, each under its own header.
fn read_tables(text: &str) -> Vec<String> {
    let mut points = Vec::new();
    for table in text.replace("\r\n", "\n").split("\n\n") {
        let mut lines = table.lines().filter(|line| !line.is_empty());
        let Some(header) = lines.next() else { continue };
        let header: Vec<&str> = header.split(',').collect();
        for line in lines {
            let cells = split_cells(line);
            let mut pairs: Vec<String> = header
                .iter()
                .zip(&cells)
                .filter(|(name, _)| !["", "result", "table"].contains(name))
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            pairs.sort();
            points.push(pairs.join("|"));
        }
    }
    points.sort();
    points
}

fn split_cells(line: &str) -> Vec<String> {
    let (mut cells, mut is_quoted) = (vec![String::new()], false);
    let mut rest = line.chars().peekable();
    while let Some(char) = rest.next() {
        match char {
            '"' if is_quoted && rest.peek() == Some(&'"') => {
                rest.next();
                cells.last_mut().unwrap().push('"');
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => cells.push(String::new()),
            other => cells.last_mut().unwrap().push(other),
        }
    }
    cells
}

/// The live lane to a server, driven by hand.
struct Lane {
    sink: InfluxSink,
    ledger: Ledger,
    next: u64,
    _folder: TempDir,
}

impl Lane {
    fn new(options: &InfluxOptions, token: &str) -> Lane {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("influx.db")).unwrap();
        let clock = Hands::new().clock();
        let sink = InfluxSink::live(options, token, ledger.clone(), clock, metrics().0).unwrap();
        Lane { sink, ledger, next: 0, _folder: folder }
    }

    async fn send(&mut self, records: &[Record]) -> Result<(), SinkError> {
        let mut batch = Batch::new();
        for record in records {
            batch.push_with(b"key", |bytes| record.encode(bytes));
        }
        let partition = TopicPartition { topic: Topic::Aggregates, partition: 0 };
        let fetched = Fetched { partition, first: self.next, lost: 0, batch: Arc::new(batch) };
        self.next = fetched.next();
        self.sink.write(&fetched).await.unwrap();
        self.sink.flush().await
    }
}

fn fresh(device: &str, quantity: &str, start: i64) -> Aggregate {
    Aggregate { as_of: Timestamp(T0), ..window(device, quantity, start, 20.25) }
}

/// What Flux shows of a window.
fn shown(window: &Aggregate, measurement: &str, tags: &[(&str, &str)]) -> Vec<String> {
    let time = jiff::Timestamp::from_millisecond(window.window.start.millis()).unwrap();
    let fields = [
        ("mean", window.mean.to_string()),
        ("min", window.min.to_string()),
        ("max", window.max.to_string()),
        ("sum", window.sum.to_string()),
        ("count", window.count.to_string()),
        ("good", window.good.to_string()),
        ("revision", window.revision.to_string()),
    ];
    let of = |(name, value): &(&str, String)| {
        let mut pairs: Vec<String> = tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.push(format!("_field={name}"));
        pairs.push(format!("_value={value}"));
        pairs.push(format!("_measurement={measurement}"));
        pairs.push(format!("_time={time}"));
        pairs.sort();
        pairs.join("|")
    };
    fields.iter().map(of).collect()
}

#[tokio::test]
#[ignore = "needs InfluxDB"]
async fn flux_reads_back_what_was_sent() {
    let server = Server::with_bucket(0).await;
    let mut lane = Lane::new(&server.options(), &server.token);
    // Names as people give them, with everything that the format has signs for, and what stands for what it can't hold.
    let names = [
        ("plain", "plain"),
        ("a b,c=d", "a b,c=d"),
        (" leading and trailing ", " leading and trailing "),
        ("quoted \"x\" 'y'", "quoted \"x\" 'y'"),
        ("天河区 #1", "天河区 #1"),
        (r"C:\dir\n", r"C:\dir\n"),
        ("#comment", "#comment"),
        ("two\nlines", "two␊lines"),
        (r"ends with \", "ends with ∖"),
        (r#"\ "=,\"#, "∖ \"=,∖"),
        (r#"a\ "b=c"#, "a∖ \"b=c"),
    ];
    let mut expected = Vec::new();
    let mut records = Vec::new();
    for (index, (name, shown_name)) in names.iter().enumerate() {
        let mut window = fresh(name, "pm2_5", T0 + index as i64 * 600_000);
        window.mean = [0.1, -1e-7, 1e21, 123_456_789.25, 5e-324, f64::MAX][index % 6];
        let tags = [("area", "Tianhe"), ("device", *shown_name), ("quantity", "pm2_5"), ("window", "10m")];
        expected.extend(shown(&window, "air", &tags));
        records.push(closed(window));
    }
    let mut area = fresh("", "iaqi_pm2_5", T0);
    area.subject = Subject::Area("Tianhe".into());
    expected.extend(shown(
        &area,
        "area",
        &[("area", "Tianhe"), ("quantity", "iaqi_pm2_5"), ("window", "10m")],
    ));
    records.push(closed(area));
    records.push(Record::Observation(observation("buoy", T0 + 7, "ph", 7.25)));
    for (field, value) in [("value", "7.25"), ("flag", "1"), ("tests", "0")] {
        expected.push(format!(
            "_field={field}|_measurement=water|_time=2026-11-22T08:00:00.007Z|_value={value}|device=buoy|quantity=ph"
        ));
    }
    lane.send(&records).await.unwrap();
    assert!(lane.ledger.refused(1).unwrap().is_empty());
    let numbers = |points: Vec<String>| -> Vec<String> {
        // Flux writes floats in its own way: compare them as numbers.
        let plain = |pair: &str| match pair.strip_prefix("_value=").map(str::parse::<f64>) {
            Some(Ok(value)) => format!("_value={value:e}"),
            _ => pair.to_owned(),
        };
        let mut points: Vec<String> =
            points.iter().map(|point| point.split('|').map(plain).collect::<Vec<_>>().join("|")).collect();
        points.sort();
        points
    };
    let (found, expected) = (numbers(server.points().await), numbers(expected));
    assert_eq!(found, expected);
}

#[tokio::test]
#[ignore = "needs InfluxDB"]
async fn sending_again_changes_nothing() {
    let server = Server::with_bucket(0).await;
    let records: Vec<Record> =
        (0..300).map(|index| closed(fresh("air-1", "pm2_5", T0 + index * 600_000))).collect();
    Lane::new(&server.options(), &server.token).send(&records).await.unwrap();
    let once = server.points().await;
    assert_eq!(once.len(), 300 * 7);
    Lane::new(&server.options(), &server.token).send(&records).await.unwrap();
    assert_eq!(server.points().await, once);
    // A revision takes the place of what was there.
    let mut revised = fresh("air-1", "pm2_5", T0);
    (revised.revision, revised.count) = (1, 11);
    Lane::new(&server.options(), &server.token).send(&[closed(revised)]).await.unwrap();
    let revised = server.points().await;
    assert_eq!(revised.len(), once.len());
    assert_eq!(revised.iter().filter(|point| !once.contains(point)).count(), 2);
}

/// 400, nothing of the batch is stored: a time that the server can't hold.
#[tokio::test]
#[ignore = "needs InfluxDB"]
async fn a_line_that_cannot_be_parsed_is_left_out_with_the_words() {
    let server = Server::with_bucket(0).await;
    let mut lane = Lane::new(&server.options(), &server.token);
    let at = |index: i64| T0 + index * 600_000;
    let mut records: Vec<Record> = (0..40).map(|index| closed(fresh("a", "pm2_5", at(index)))).collect();
    records[17] = closed(fresh("a", "pm2_5", 253_370_764_800_000));
    lane.send(&records).await.unwrap();
    assert_eq!(server.points().await.len(), 39 * 7);
    let refused = lane.ledger.refused(10).unwrap();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].offset, 17);
    assert!(refused[0].reason.starts_with("400"), "{}", refused[0].reason);
    assert!(refused[0].reason.contains("time outside range"), "{}", refused[0].reason);
}

/// 422, the others are stored: a field that has another type there, and what is older than the bucket keeps.
#[tokio::test]
#[ignore = "needs InfluxDB"]
async fn a_line_that_does_not_fit_is_left_out_with_the_words() {
    let server = Server::with_bucket(0).await;
    let line = format!("water,area=Tianhe,device=b,quantity=ph,window=10m mean=\"text\" {}", at_ns(T0));
    let write = format!("{}/api/v2/write?org=sluice&bucket={}", server.url, server.bucket);
    let write = server.http.post(write).header("Authorization", format!("Token {}", server.token));
    assert_eq!(write.body(line).send().await.unwrap().status(), 204);
    let mut lane = Lane::new(&server.options(), &server.token);
    let quantities = [("a", "pm2_5"), ("b", "ph"), ("c", "pm2_5"), ("d", "pm2_5")];
    let records = quantities.map(|(device, quantity)| closed(fresh(device, quantity, T0)));
    lane.send(&records).await.unwrap();
    let refused = lane.ledger.refused(10).unwrap();
    assert_eq!(refused.iter().map(|line| line.offset).collect::<Vec<_>>(), [1]);
    assert!(refused[0].reason.contains("field type conflict"), "{}", refused[0].reason);
    assert_eq!(server.points().await.len(), 3 * 7 + 1);

    let short = Server::with_bucket(3600).await;
    let mut lane = Lane::new(&short.options(), &short.token);
    lane.send(&[closed(fresh("a", "pm2_5", 1_500_000_000_000))]).await.unwrap();
    let refused = lane.ledger.refused(10).unwrap();
    assert!(refused[0].reason.starts_with("422"), "{}", refused[0].reason);
}

fn at_ns(millis: i64) -> i64 {
    millis * 1_000_000
}

#[tokio::test]
#[ignore = "needs InfluxDB"]
async fn what_a_person_has_to_put_right_bars_the_sink() {
    let server = Server::with_bucket(0).await;
    let read_only = server
        .post("/api/v2/authorizations", json!({
            "orgID": server.org_id,
            "permissions": [{ "action": "read", "resource": { "type": "buckets", "id": server.bucket_id } }],
        }))
        .await;
    let read_only = read_only["token"].as_str().unwrap();
    let nowhere = InfluxOptions { bucket: "nowhere".to_owned(), ..server.options() };
    let astray = InfluxOptions { url: format!("{}/astray", server.url), ..server.options() };
    let cases = [
        ("401", server.options(), "wrong"),
        ("403", server.options(), read_only),
        ("404", nowhere, server.token.as_str()),
        ("404", astray, server.token.as_str()),
    ];
    for (status, options, token) in cases {
        let mut lane = Lane::new(&options, token);
        match lane.send(&[closed(fresh("a", "pm2_5", T0))]).await {
            Err(SinkError::Barred(words)) => assert!(words.starts_with(status), "{words}"),
            other => panic!("{status}: {other:?}"),
        }
    }
    assert!(server.points().await.is_empty());
}

#[tokio::test]
#[ignore = "needs InfluxDB"]
async fn a_server_that_is_not_there_is_waited_for() {
    let server = Server::with_bucket(0).await;
    let away = InfluxOptions { url: "http://127.0.0.1:9".to_owned(), ..server.options() };
    let mut lane = Lane::new(&away, &server.token);
    let sent = lane.send(&[closed(fresh("a", "pm2_5", T0))]).await;
    assert!(matches!(sent, Err(SinkError::Unavailable(_))), "{sent:?}");
}
