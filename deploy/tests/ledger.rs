//! Every message is accounted for: what devices sent, with every kind of bad input among it, adds up stage by stage,
//! through the real binary.

mod support;

use std::time::{Duration, Instant};

use serde_json::Value;
use support::device::Device;
use support::sluice::{Folder, Sluice, http_get};

const PATIENCE: Duration = Duration::from_secs(60);

fn send(sluice: &Sluice, password: &str, payloads: &[String]) {
    let device = Device { id: "w-1".into(), password: password.into(), in_flight: 20, per_second: None };
    let payloads: Vec<Vec<u8>> = payloads.iter().map(|payload| payload.clone().into_bytes()).collect();
    device.publish_all(|| sluice.address("mqtt"), &payloads, Instant::now() + PATIENCE, |_| {});
}

fn number(row: &Value, name: &str) -> i64 {
    row[name].as_i64().unwrap_or(-1)
}

/// The sum of a counter over its labels.
fn counter(metrics: &str, name: &str) -> f64 {
    let lines = metrics.lines().filter(|line| line.starts_with(name));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

#[test]
fn everything_adds_up() {
    let folder = Folder::new("[stream]\nledger_every = \"1s\"\n");
    let password = folder.add_device("w-1", "weather", &[]);
    let sluice = folder.start();
    let start = deploy::clock::now().millis() - 60_000;
    let reading = |sequence: i64, value: f64| {
        let time = start + sequence * 1000;
        format!(r#"{{"epoch": 1, "sequence": {sequence}, "time": {time}, "temperature": {value}}}"#)
    };
    let mut payloads: Vec<String> = (0..30).map(|sequence| reading(sequence, 20.0)).collect();
    // Again; after a gap, and a spike; bad; an hour late; in quarantine for four reasons.
    payloads.extend((5..12).map(|sequence| reading(sequence, 20.0)));
    payloads.push(reading(32, 28.0));
    payloads.push(reading(33, 900.0));
    payloads
        .push(format!(r#"{{"epoch": 1, "sequence": 34, "time": {}, "temperature": 20}}"#, start - 3_600_000));
    payloads.extend(["{\"temperature\": ", "hello", "", r#"{"temperature": "warm"}"#].map(str::to_owned));
    send(&sluice, &password, &payloads);

    let sent = payloads.len() as i64;
    let quarantined = |row: &Value| -> i64 {
        let reasons = row["quarantined"].as_object().expect("by reason");
        reasons.values().filter_map(Value::as_i64).sum()
    };
    let answer = sluice.get_until("/api/v1/ledger?device=w-1", PATIENCE, |answer| {
        number(&answer["total"], "received") + quarantined(&answer["total"]) >= sent
    });
    let total = &answer["total"];
    let counts =
        ["received", "resent", "duplicate", "late_routed", "accepted", "gaps_opened", "readings", "bad"];
    let expected = [40, 0, 7, 1, 32, 1, 33, 1];
    assert_eq!(counts.map(|name| number(total, name)), expected, "{total}");
    assert_eq!(number(total, "received") + quarantined(total), sent, "nothing vanishes: {total}");
    assert_eq!((total["is_balanced"].as_bool(), quarantined(total)), (Some(true), 4), "{total}");
    assert_eq!(number(total, "suspect"), 1, "{total}");

    // Each stage says the same of itself.
    let metrics = http_get(sluice.address("admin"), "/metrics").1;
    let stages = [
        ("sluice_gateway_messages_total{outcome=\"accepted\"}", 40.0),
        ("sluice_gateway_quarantined_total", 4.0),
        ("sluice_stream_records_total{job=\"device\",kind=\"observation\"}", 40.0),
        ("sluice_stream_duplicates_total", 7.0),
        ("sluice_stream_late_messages_total", 1.0),
    ];
    for (name, expected) in stages {
        assert!((counter(&metrics, name) - expected).abs() < 0.5, "{name} in\n{metrics}");
    }

    // The same as a table, while the server runs.
    let output = folder.command(&["ledger", "--device", "w-1"]);
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = |place: Option<&str>| -> Vec<String> {
        place.unwrap_or_default().split('\t').map(str::to_owned).collect()
    };
    let (head, last) = (line(table.lines().next()), line(table.lines().last()));
    let cell = |name: &str| head.iter().position(|known| known == name).map(|place| last[place].clone());
    assert_eq!(
        (cell("received"), cell("malformed")),
        (Some("40".into()), Some(number(&total["quarantined"], "malformed").to_string())),
        "{table}"
    );
    assert_eq!((last[0].as_str(), cell("balanced")), ("total", Some("yes".into())), "{table}");
    assert_eq!(sluice.stop(), Some(0));
}
