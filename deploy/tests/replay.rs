//! History again, through the real binary: by the same rules nothing is otherwise, bit for bit; by others exactly that
//! is which they say.

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use embedded::Selection;
use records::{Record, Timestamp, Topic};
use serde_json::Value;
use support::device::Device;
use support::sluice::{Folder, Sluice, http_post};

const PATIENCE: Duration = Duration::from_secs(60);
const RULES: &str = include_str!("../../stream/rules/default.toml");

fn now() -> Timestamp {
    deploy::clock::now()
}

fn rfc3339(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.millis()).expect("an instant of today").to_string()
}

fn replay(folder: &Folder, arguments: &[&str]) -> Value {
    let output = folder.command(&[&["replay", "--json"], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// Bytes of what was written, in order, by topic, key and whom they are about.
type Written = BTreeMap<(&'static str, Vec<u8>, String), Vec<Vec<u8>>>;

/// What was written before `to`.
fn written(log: &Path, to: Timestamp) -> Written {
    let mut found: BTreeMap<_, Vec<Vec<u8>>> = BTreeMap::new();
    for topic in [Topic::Observations, Topic::Aggregates, Topic::Alerts] {
        let selection = Selection { topic, partition: None, from: 0, limit: u64::MAX };
        let take = |_, _, entry: records::Entry<'_>| {
            let record = Record::decode(entry.value).expect("our own record");
            let (about, at) = match &record {
                Record::Observation(message) => (message.device.to_string(), message.ingest_time),
                Record::Device(device) => (device.id.to_string(), device.updated_at),
                Record::Tick(tick) => (tick.source.to_string(), tick.at),
                Record::Action(_) => return Ok(()),
                Record::Aggregate(row) => (format!("{} {}", row.subject.name(), row.quantity), row.as_of),
                Record::Share(share) => (format!("{} {}", share.device, share.job), share.as_of),
                Record::Sighting(row) => (row.device.to_string(), row.as_of),
                Record::Alert(alert) => (String::new(), alert.as_of),
                Record::Rules(rules) => ("rules".to_owned(), rules.at),
                other => panic!("{other:?} on {topic}"),
            };
            if at < to {
                let key = (topic.name(), entry.key.to_vec(), about);
                found.entry(key).or_default().push(entry.value.to_vec());
            }
            Ok(())
        };
        embedded::export(log, selection, take).expect("the log can be read");
    }
    found
}

/// Acknowledges an alert of an area as soon as there is one.
fn acknowledge_an_area(sluice: &Sluice) {
    let find = |alerts: &Value| {
        let alerts = alerts["alerts"].as_array().map(Vec::as_slice).unwrap_or_default();
        let of_area = alerts.iter().find(|alert| alert["subject"]["area"].is_string());
        of_area.map(|alert| alert["id"].clone())
    };
    let path = "/api/v1/alerts?state=open";
    let deadline = Instant::now() + PATIENCE;
    loop {
        let alerts = sluice.get_until(path, PATIENCE, |alerts| find(alerts).is_some());
        let action = serde_json::json!({ "id": find(&alerts), "note": "seen" });
        let (status, body) = http_post(sluice.address("console"), "/api/v1/alerts/acknowledge", &action);
        if status == 202 {
            return;
        }
        // In a backlog it may be over by now.
        assert!(Instant::now() < deadline, "{status}: {body}");
    }
}

/// A city with a backlog, one that is seen live, and an operator; then the same by 1, 2 and 3 workers.
#[test]
fn by_the_same_rules_everything_is_the_same() {
    let folder = Folder::new("[log]\npartitions = 3\n");
    let sluice = folder.try_start(&["demo", "--seed", "7", "--backlog-hours", "3"]).expect("it starts");
    acknowledge_an_area(&sluice);
    std::thread::sleep(Duration::from_secs(20));
    let to = now();
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(sluice.stop(), Some(0), "{}", folder.log());

    let expected = written(&folder.data().join("log"), to);
    let is_acknowledged = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).contains(r#""note":"seen""#);
    assert!(
        expected.values().flatten().any(is_acknowledged),
        "the operator's action is among what is compared"
    );
    let until = rfc3339(to);
    for workers in 1..=3 {
        let text = std::fs::read_to_string(&folder.config).expect("the file is there");
        let config = folder.dir.path().join(format!("by-{workers}.toml"));
        std::fs::write(&config, format!("{text}[stream]\nworkers = {workers}\n")).expect("a file");
        let other = Folder { dir: tempfile::tempdir().expect("a folder"), config };
        let into = other.dir.path().join("again");
        let report = replay(&other, &["--to", &until, "--into", into.to_str().expect("plain text")]);
        let alerts = &report["alerts"];
        assert!(alerts["same"].as_u64() > Some(5), "{report}");
        for none in ["only_before", "only_now", "changed"] {
            assert_eq!(alerts[none], serde_json::json!([]), "{workers} workers");
        }
        assert_eq!(report["unknown"], serde_json::json!([]));
        let found = written(&into, to);
        for (key, bytes) in &expected {
            assert!(found.get(key) == Some(bytes), "{workers} workers: {key:?} is otherwise");
        }
        assert_eq!(found.len(), expected.len());
    }
}

fn machine(sluice: &Sluice, folder: &Folder, id: &str, quantity: &str, value: f64, start: i64) {
    let password = folder.add_device(id, "machine", &[]);
    let reading = |second: i64| {
        let (sequence, time) = (second / 10, start + second * 1000);
        let value = if (300..900).contains(&second) { value } else { 0.8 };
        format!(r#"{{"epoch": 1, "sequence": {sequence}, "time": {time}, "{quantity}": {value}}}"#)
            .into_bytes()
    };
    let payloads: Vec<Vec<u8>> = (0..1800).step_by(10).map(reading).collect();
    let device = Device { id: id.into(), password, in_flight: 20, per_second: None };
    device.publish_all(|| sluice.address("mqtt"), &payloads, Instant::now() + PATIENCE, |_| {});
}

#[test]
fn by_other_rules_exactly_that_is_otherwise_which_they_say() {
    let folder = Folder::new("");
    let sluice = folder.start();
    // Ten minutes each, an hour ago: in zone C, in zone D, and a load that no rule was about.
    let start = (now().millis() - 3_600_000) / 60_000 * 60_000;
    machine(&sluice, &folder, "m-c", "vibration", 3.5, start);
    machine(&sluice, &folder, "m-d", "vibration", 5.0, start);
    machine(&sluice, &folder, "m-p", "power", 20.0, start);
    sluice.get_until("/api/v1/alerts", PATIENCE, |alerts| {
        let alerts = alerts["alerts"].as_array().map(Vec::as_slice).unwrap_or_default();
        let cleared = alerts.iter().filter(|alert| {
            alert["state"] == "cleared"
                && alert["id"].as_str().is_some_and(|id| id.starts_with("vibration-zone/"))
        });
        cleared.count() == 2
    });
    assert_eq!(sluice.stop(), Some(0));

    let same = replay(&folder, &[]);
    assert_eq!(same["records"].as_u64().map(|records| records >= 540), Some(true));
    let rules = RULES
        .replace("open = 2.8, clear = 2.6", "open = 3.6, clear = 3.4")
        .replace("open = 4.5, clear = 4.2", "open = 5.5, clear = 5.2");
    let power = r#"
[[threshold]]
id = "power"
use_case = "manufacturing"
family = "machine"
quantity = "power"
direction = "above"
hold_on_s = 0
hold_off_s = 0
gap_s = 600
text = "{subject}: {value}"
cleared = "{subject}: {value}"
source = "this test"
basis = "configuration"
levels = [{ severity = "minor", name = "much", open = 10, clear = 9 }]
"#;
    let file = folder.dir.path().join("other.toml");
    std::fs::write(&file, rules + power).expect("the folder takes a file");
    let other = replay(&folder, &["--rules", file.to_str().expect("plain text")]);
    let alerts = &other["alerts"];
    let ids = |list: &Value| -> Vec<String> {
        let lives = list.as_array().map(Vec::as_slice).unwrap_or_default();
        lives
            .iter()
            .map(|life| format!("{} {}", life["id"].as_str().unwrap_or(""), life["severity"]))
            .collect()
    };
    // A hold counts from the start of the first window.
    let opened = start + 300_000;
    assert_eq!(ids(&alerts["only_before"]), [format!("vibration-zone/m-c/{opened} \"moderate\"")]);
    assert_eq!(ids(&alerts["only_now"]), [format!("power/m-p/{opened} \"minor\"")]);
    let changed = alerts["changed"].as_array().map(Vec::as_slice).unwrap_or_default();
    let shown: Vec<_> = changed
        .iter()
        .map(|change| format!("{} {}", change["now"]["id"].as_str().unwrap_or(""), change["fields"]))
        .collect();
    assert_eq!(shown, [format!("vibration-zone/m-d/{opened} [\"severity\"]")]);
    assert_eq!(alerts["same"], serde_json::json!(same["alerts"]["same"].as_u64().map(|same| same - 2)));

    // For people, the same.
    let text = folder.command(&["replay", "--rules", file.to_str().expect("plain text")]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("1 only before, 1 only now, 1 changed"), "{text}");

    // The live topics are as they were.
    let again = replay(&folder, &[]);
    assert_eq!((&again["alerts"], &again["records"]), (&same["alerts"], &same["records"]));
}

#[test]
fn a_beginning_that_is_gone_is_named() {
    let folder = Folder::new("");
    let sluice = folder.start();
    let start = now().millis() - 3_600_000;
    machine(&sluice, &folder, "m-1", "vibration", 5.0, start);
    std::thread::sleep(Duration::from_secs(3));
    let from = rfc3339(now());
    machine(&sluice, &folder, "m-2", "vibration", 5.0, start);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(sluice.stop(), Some(0));
    let report = replay(&folder, &["--from", &from, "--warm-up", "1s"]);
    let unknown = report["unknown"].to_string();
    assert!(unknown.contains("were left out by --warm-up; it begins at"), "{unknown}");
    assert!(unknown.contains("What was said before is not known"), "{unknown}");
    let output = folder.command(&["replay", "--from", &from, "--to", "2020-01-01T00:00:00Z"]);
    assert_eq!(output.status.code(), Some(64));
}

#[test]
fn rules_that_change_while_running_change_at_the_same_place_in_a_replay() {
    let dir = tempfile::tempdir().expect("a folder");
    let (rules, other) = (dir.path().join("rules.toml"), dir.path().join("other.toml"));
    std::fs::write(&rules, RULES).expect("the folder takes a file");
    let folder = Folder::new(&format!("[stream]\nrules = {rules:?}\n"));
    let sluice = folder.start();
    // In zone C from an hour ago on, and it does not end.
    let password = folder.add_device("m-1", "machine", &[]);
    let start = (now().millis() - 3_600_000) / 60_000 * 60_000;
    let device = Device { id: "m-1".into(), password, in_flight: 20, per_second: None };
    let reading = |second: i64| {
        let (sequence, time) = (second / 10, start + second * 1000);
        format!(r#"{{"epoch": 1, "sequence": {sequence}, "time": {time}, "vibration": 3.5}}"#).into_bytes()
    };
    let payloads: Vec<Vec<u8>> = (0..900).step_by(10).map(reading).collect();
    device.publish_all(|| sluice.address("mqtt"), &payloads, Instant::now() + PATIENCE, |_| {});
    let first = |alerts: &Value| alerts["alerts"].as_array().and_then(|alerts| alerts.first().cloned());
    sluice.get_until("/api/v1/alerts?state=open", PATIENCE, |alerts| first(alerts).is_some());

    // What is not valid is refused as a whole, and nothing is written.
    let apply = |file: &Path| folder.command(&["rules", "apply", file.to_str().expect("plain text")]);
    std::fs::write(&other, RULES.replace("open = 2.8,", "open = 2.5,")).expect("a file");
    assert_eq!(apply(&other).status.code(), Some(64), "it would clear on the wrong side");
    assert_eq!(std::fs::read_to_string(&rules).expect("it is there"), RULES);

    std::fs::write(&other, RULES.replace("open = 2.8,", "open = 3.0,")).expect("a file");
    let said = String::from_utf8_lossy(&apply(&other).stdout).into_owned();
    assert!(said.starts_with("changed\tthreshold vibration-zone\n"), "{said}");
    let alerts = sluice.get_until("/api/v1/alerts?state=cleared", PATIENCE, |alerts| first(alerts).is_some());
    let text = first(&alerts).expect("it was just there")["text"].to_string();
    assert!(text.contains("m-1: over, because the rule was changed"), "{text}");

    // By the new rules it begins anew.
    let payloads: Vec<Vec<u8>> = (900..1800).step_by(10).map(reading).collect();
    device.publish_all(|| sluice.address("mqtt"), &payloads, Instant::now() + PATIENCE, |_| {});
    sluice.get_until("/api/v1/alerts?state=open", PATIENCE, |alerts| first(alerts).is_some());
    let to = now();
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(sluice.stop(), Some(0), "{}", folder.log());

    let report = replay(&folder, &["--to", &rfc3339(to)]);
    assert_eq!(report["alerts"]["same"], 2, "{report}");
    for none in ["only_before", "only_now", "changed"] {
        assert_eq!(report["alerts"][none], serde_json::json!([]), "{report}");
    }
    // The old rules throughout: one alert, which was not interrupted.
    std::fs::write(&other, RULES).expect("a file");
    let old = replay(&folder, &["--rules", other.to_str().expect("plain text")]);
    let opened = start;
    assert_eq!(old["alerts"]["changed"][0]["now"]["opened_at"], opened, "{old}");
    assert_eq!(old["alerts"]["changed"][0]["now"]["cleared_at"], Value::Null, "{old}");
    assert_eq!(old["alerts"]["only_before"].as_array().map(Vec::len), Some(1), "{old}");
}
