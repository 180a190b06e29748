//! `sluice log …` on the log of a running server, and on a damaged one.

mod support;

use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::device::Device;
use support::sluice::{Folder, Sluice};

const MESSAGES: i64 = 200;

fn text(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("it prints text");
    (text(&output.stdout), text(&output.stderr))
}

fn run(folder: &Folder, arguments: &[&str]) -> String {
    let output = folder.command(arguments);
    let (out, err) = text(&output);
    assert!(output.status.success(), "{arguments:?}: {err}");
    out
}

/// A server that has acknowledged [`MESSAGES`].
fn filled() -> (Folder, Sluice) {
    let folder = Folder::new("");
    let password = folder.add_device("w-1", "weather", &[]);
    let sluice = folder.start();
    let address = sluice.address("mqtt");
    let device = Device { id: "w-1".into(), password, in_flight: 20, per_second: None };
    let start = deploy::clock::now().millis() - 60_000;
    let payload = |index: i64| {
        let time = start + 10 * index;
        format!(r#"{{"epoch": 1, "sequence": {index}, "time": {time}, "temperature": 21.5}}"#).into_bytes()
    };
    let payloads: Vec<Vec<u8>> = (0..MESSAGES).map(payload).collect();
    let deadline = Instant::now() + Duration::from_secs(60);
    device.publish_all(|| address, &payloads, deadline, |_| {});
    (folder, sluice)
}

/// How many records of observations of `w-1` an export of telemetry gives.
fn exported(folder: &Folder) -> usize {
    let output = run(folder, &["log", "export", "telemetry"]);
    let lines = output.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let is_observation = |line: &Value| {
        let value = line["value"].as_str().expect("digits");
        line["key"] == "772d31" && value.starts_with("830101")
    };
    lines.filter(is_observation).count()
}

#[test]
fn a_running_log_is_verified_counted_exported_and_copied() {
    let (folder, sluice) = filled();
    assert!(run(&folder, &["log", "verify"]).contains("are as they were written"));
    let stats = run(&folder, &["log", "stats"]);
    assert!(
        stats.lines().any(|line| line.starts_with("telemetry/") && line.contains("job device")),
        "{stats}"
    );
    assert_eq!(exported(&folder), MESSAGES as usize);
    let copy = folder.dir.path().join("copy");
    run(&folder, &["log", "backup", copy.join("log").to_str().expect("a path")]);
    let (_, told) = text(&folder.command(&["log", "backup", copy.join("log").to_str().expect("a path")]));
    assert!(told.contains("exists already"), "{told}");
    sluice.kill();

    // The copy is a log of its own: a server runs on it, and it holds all that was acknowledged.
    let config = folder.dir.path().join("copy.toml");
    let text = std::fs::read_to_string(&folder.config).expect("the config");
    let data = folder.data();
    let text = text.replace(data.to_str().expect("a path"), copy.to_str().expect("a path"));
    std::fs::write(&config, text).expect("the folder takes a file");
    let copied = Folder { dir: folder.dir, config };
    assert_eq!(exported(&copied), MESSAGES as usize);
    assert_eq!(copied.start().stop(), Some(0));
}

#[test]
fn damage_is_named_and_the_exit_code_says_so() {
    let (folder, sluice) = filled();
    assert_eq!(sluice.stop(), Some(0));
    let file = folder.data().join("log/log.db");
    let mut bytes = std::fs::read(&file).expect("the log");
    let record = b"w-1\x83\x01\x01";
    // In every place, because some are only what is left of a page that was split.
    let is_record = |place: &usize| bytes[*place..].starts_with(record);
    let places: Vec<usize> = (0..bytes.len()).filter(is_record).collect();
    assert!(!places.is_empty(), "a record");
    places.iter().for_each(|place| bytes[place + record.len() + 5] ^= 1);
    std::fs::write(&file, bytes).expect("written");
    let output = folder.command(&["log", "verify"]);
    let (_, told) = text(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(told.contains("is damaged at offset") && told.contains("checksum"), "{told}");
}

#[test]
fn without_a_log_it_says_so_and_makes_none() {
    let folder = Folder::new("");
    for command in ["verify", "stats"] {
        let output = folder.command(&["log", command]);
        let (_, told) = text(&output);
        assert_eq!(output.status.code(), Some(1));
        assert!(told.contains("log/log.db"), "{told}");
        let (_, told) = text(&folder.command(&["log", command, "--spool"]));
        assert!(told.contains("spool/log.db"), "{told}");
    }
    assert!(!folder.data().exists());
}
