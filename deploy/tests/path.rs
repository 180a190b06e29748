//! The whole path, from a PUBLISH on a socket to what operators and programs see, through the real binary.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::device::{Device, connect, publish};
use support::sluice::{Folder, Sluice, binary, http_get};

const PATIENCE: Duration = Duration::from_secs(20);

fn send(sluice: &Sluice, id: &str, password: &str, payloads: &[String]) {
    let device = Device { id: id.into(), password: password.into(), in_flight: 20, per_second: None };
    let payloads: Vec<Vec<u8>> = payloads.iter().map(|payload| payload.clone().into_bytes()).collect();
    device.publish_all(|| sluice.address("mqtt"), &payloads, Instant::now() + PATIENCE, |_| {});
}

fn device<'a>(devices: &'a Value, id: &str) -> &'a Value {
    let devices = devices["devices"].as_array().expect("devices are a list");
    devices.iter().find(|device| device["id"] == id).unwrap_or(&Value::Null)
}

fn latest<'a>(devices: &'a Value, id: &str, quantity: &str) -> &'a Value {
    let values = device(devices, id)["latest"].as_array().map(Vec::as_slice).unwrap_or_default();
    values.iter().find(|value| value["quantity"] == quantity).unwrap_or(&Value::Null)
}

fn now_ms() -> i64 {
    deploy::clock::now().millis()
}

#[test]
fn the_first_own_device_is_seen_within_a_second() {
    let folder = Folder::new("");
    let sluice = folder.start();
    // Registered while the server runs.
    let password = folder.add_device("probe-1", "air", &[]);
    let before = Instant::now();
    send(&sluice, "probe-1", &password, &[r#"{"pm2_5": 180.0}"#.into()]);
    let series = sluice.get_until("/api/v1/series?device=probe-1&quantity=pm2_5", PATIENCE, |series| {
        series["mean"] == serde_json::json!([180.0])
    });
    assert!(before.elapsed() < Duration::from_secs(2), "it took {:?}", before.elapsed());
    assert_eq!(series["count"], serde_json::json!([1]));
    let devices = sluice.get_until("/api/v1/devices", PATIENCE, |devices| {
        latest(devices, "probe-1", "pm2_5")["value"] == 180.0
    });
    assert_eq!(device(&devices, "probe-1")["family"], "air");
    assert_eq!(sluice.stop(), Some(0), "it stops cleanly; its log:\n{}", folder.log());
}

#[test]
fn everything_is_still_there_after_a_restart() {
    let folder = Folder::new("");
    let password = folder.add_device("m-1", "machine", &["--area", "plant/line-1"]);
    let sluice = folder.start();
    // Vibration in zone D for ten minutes of an hour ago, then quiet again.
    let start = now_ms() - 3_600_000;
    let reading = |second: i64| {
        let (sequence, time) = (second / 10, start + second * 1000);
        let value = if (300..900).contains(&second) { 9.0 } else { 0.8 };
        format!(r#"{{"epoch": 1, "sequence": {sequence}, "time": {time}, "vibration": {value}}}"#)
    };
    let payloads: Vec<String> = (0..1800).step_by(10).map(reading).collect();
    send(&sluice, "m-1", &password, &payloads);
    let has_cleared = |alerts: &Value| {
        let alerts = alerts["alerts"].as_array().map(Vec::as_slice).unwrap_or_default();
        alerts.iter().any(|alert| alert["state"] == "cleared" && alert["subject"]["device"] == "m-1")
    };
    let alerts = sluice.get_until("/api/v1/alerts", PATIENCE, has_cleared);
    let path = format!("/api/v1/series?device=m-1&quantity=vibration&from={start}&to={}", start + 1_800_000);
    let is_whole = |series: &Value| series["t"].as_array().is_some_and(|times| times.len() == 180);
    let series = sluice.get_until(&path, PATIENCE, is_whole);
    assert_eq!(sluice.stop(), Some(0));

    let sluice = folder.start();
    assert_eq!(sluice.get("/api/v1/alerts")["alerts"], alerts["alerts"]);
    assert!(sluice.get(&path) == series, "the series is the same");
    let alert = &alerts["alerts"][0];
    assert_eq!(alert["use_case"], "manufacturing");
    let opened_at = alert["opened_at"].as_i64().expect("a time");
    let expected = start + 300_000;
    assert!((opened_at - expected).abs() <= 120_000, "opened in the device's time: {opened_at}, {expected}");
    // Delivered again after the restart: recognised, and counted once.
    send(&sluice, "m-1", &password, &payloads);
    send(
        &sluice,
        "m-1",
        &password,
        &[format!(r#"{{"epoch": 1, "sequence": 180, "time": {}, "power": 1}}"#, now_ms())],
    );
    sluice.get_until("/api/v1/devices", PATIENCE, |devices| latest(devices, "m-1", "power")["value"] == 1.0);
    let again = sluice.get(&path);
    for key in ["t", "count", "mean", "good", "width_ms"] {
        assert_eq!(again[key], series[key], "what was delivered again is there once: {key}");
    }
}

#[test]
fn bad_input_has_a_clear_answer_on_the_right_side() {
    let folder = Folder::new("");
    let password = folder.add_device("d-1", "weather", &[]);
    folder.add_device("d-2", "weather", &[]);
    let sluice = folder.start();

    // A wrong password and an unknown device: CONNACK says so.
    assert_eq!(connack(&sluice, "d-1", "wrong"), Some(4));
    assert_eq!(connack(&sluice, "nobody", &password), Some(4));

    // Somebody else's topic: the connection ends, nothing is stored.
    let mut stream = session(&sluice, "d-1", &password);
    let mut bytes = Vec::new();
    publish(&mut bytes, "up/d-2/telemetry", 1, br#"{"temperature": 20}"#);
    stream.write_all(&bytes).expect("the gateway reads");
    assert_eq!(stream.read(&mut [0; 4]).unwrap_or(0), 0, "no PUBACK, the connection ends");

    // A truncated packet and garbage: the connection ends, others go on.
    let mut cut = session(&sluice, "d-1", &password);
    cut.write_all(&[0x32, 200]).expect("the gateway reads");
    drop(cut);
    let mut garbage = TcpStream::connect(sluice.address("mqtt")).expect("it listens");
    garbage.set_read_timeout(Some(PATIENCE)).expect("a socket takes a timeout");
    garbage.write_all(&[0xff; 64]).expect("the gateway reads");
    assert_eq!(garbage.read(&mut [0; 4]).unwrap_or(0), 0);

    // Unreadable payloads are acknowledged, and an operator sees why they were refused.
    let far = [0_i64, 3_786_912_000_000];
    let mut payloads =
        vec!["{\"temperature\": ".to_owned(), "hello".into(), r#"{"temperature": "warm"}"#.into()];
    payloads.extend(far.map(|time| format!(r#"{{"time": {time}, "temperature": 21.5}}"#)));
    payloads.push(r#"{"temperature": 900}"#.into());
    send(&sluice, "d-1", &password, &payloads);
    let quarantine = sluice.get_until("/api/v1/quarantine?device=d-1", PATIENCE, |quarantine| {
        quarantine["quarantine"].as_array().is_some_and(|list| list.len() == 3)
    });
    assert!(quarantine["quarantine"].as_array().expect("a list").iter().all(|entry| entry["detail"] != ""));

    // 1970 and 2090: kept, at the time of arrival, and flagged; 900 °C: kept and flagged.
    let today = now_ms() - 600_000;
    let path =
        format!("/api/v1/series?device=d-1&quantity=temperature&from={today}&to={}", now_ms() + 600_000);
    let series = sluice
        .get_until(&path, PATIENCE, |series| series["t"].as_array().is_some_and(|times| times.len() == 3));
    assert_eq!(series["good"], serde_json::json!([0.0, 0.0, 0.0]), "{series}");
    let metrics = http_get(sluice.address("admin"), "/metrics").1;
    for name in ["sluice_gateway_", "sluice_log_", "sluice_stream_", "sluice_sinks_"] {
        assert!(metrics.contains(name), "{name} is missing in\n{metrics}");
    }
    assert!(latest(&sluice.get("/api/v1/devices"), "d-2", "temperature").is_null());
    assert_eq!(sluice.stop(), Some(0));
}

#[test]
fn health_says_what_is() {
    let folder = Folder::new("");
    let sluice = folder.start();
    assert_eq!(http_get(sluice.address("admin"), "/healthz").0, 200);
    assert_eq!(http_get(sluice.address("admin"), "/readyz").0, 200);
}

#[test]
fn a_second_process_on_the_same_folder_is_refused() {
    let folder = Folder::new("");
    let first = folder.start();
    assert!(folder.try_start(&[]).is_none(), "the second one must not get ready");
    assert!(folder.log().contains("in use"), "it says why:\n{}", folder.log());
    assert_eq!(http_get(first.address("admin"), "/readyz").0, 200, "the first one goes on");
}

#[test]
fn series_without_their_log_are_refused() {
    let folder = Folder::new("");
    let password = folder.add_device("probe-1", "air", &[]);
    let sluice = folder.start();
    send(&sluice, "probe-1", &password, &[r#"{"pm2_5": 18.0}"#.into()]);
    sluice.get_until("/api/v1/series?device=probe-1&quantity=pm2_5", PATIENCE, |series| {
        series["mean"] == serde_json::json!([18.0])
    });
    assert_eq!(sluice.stop(), Some(0));
    std::fs::remove_dir_all(folder.data().join("log")).expect("the log's folder is ours");
    let output = folder.command(&["all"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("belong to another log"), "{said}");
}

#[test]
fn a_console_with_an_operator_asks_who_is_there() {
    let folder = Folder::new("");
    let password = "a long summer in Nansha";
    let hash = hash_of(password);
    let text = std::fs::read_to_string(&folder.config).expect("the file is there");
    let login = format!("[console]\noperator = \"wang\"\npassword_hash = \"{hash}\"\n");
    std::fs::write(&folder.config, text.replace("[console]\n", &login)).expect("the folder takes a file");
    let sluice = folder.start();
    assert_eq!(http_get(sluice.address("console"), "/api/v1/devices").0, 401);

    let wrong = log_in(&sluice, "a short winter");
    assert!(!wrong.contains("sluice_session="), "{wrong}");
    let right = log_in(&sluice, password);
    let cookie = right.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a session");
    let cookie = cookie.split(';').next().expect("a cookie has a value");
    let head = format!("GET /api/v1/devices HTTP/1.0\r\nHost: HOST\r\nCookie: {cookie}\r\n\r\n");
    assert!(exchange(&sluice, &head).starts_with("HTTP/1.0 200"));
}

/// What `sluice password` makes of it.
fn hash_of(password: &str) -> String {
    let mut child = Command::new(binary())
        .arg("password")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    writeln!(child.stdin.take().expect("stdin is piped"), "{password}").expect("it reads a line");
    let output = child.wait_with_output().expect("it ends");
    String::from_utf8(output.stdout).expect("a hash is text").trim().to_owned()
}

fn log_in(sluice: &Sluice, password: &str) -> String {
    let form = format!("name=wang&password={}", password.replace(' ', "+"));
    let head = "POST /login HTTP/1.0\r\nHost: HOST\r\nOrigin: http://HOST\r\n\
                Content-Type: application/x-www-form-urlencoded\r\n";
    exchange(sluice, &format!("{head}Content-Length: {}\r\n\r\n{form}", form.len()))
}

/// Sends a request with the console's address for HOST, and returns the whole answer.
fn exchange(sluice: &Sluice, request: &str) -> String {
    let address = sluice.address("console");
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket takes a timeout");
    stream.write_all(request.replace("HOST", &address.to_string()).as_bytes()).expect("the console reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the console answers");
    answer
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound");
    let folder = Folder::new("");
    let text = std::fs::read_to_string(&folder.config).expect("the file is there");
    let text = text.replacen("127.0.0.1:0", &address.to_string(), 1);
    std::fs::write(&folder.config, text).expect("the folder takes a file");
    let output = folder.command(&["all"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains(&address.to_string()) && said.contains("gateway.listen"), "{said}");
}

#[test]
fn a_broken_file_is_told_whole_and_nothing_starts() {
    let folder = Folder::new("[log]\npartitions = 0\nretention = \"soon\"\n");
    for arguments in [&["all"][..], &["check", folder.config.to_str().expect("a plain path")]] {
        let output = folder.command(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(said.contains("log.partitions") && said.contains("log.retention"), "{said}");
    }
    assert!(!folder.data().exists());
}

fn connack(sluice: &Sluice, id: &str, password: &str) -> Option<u8> {
    let mut stream = TcpStream::connect(sluice.address("mqtt")).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket takes a timeout");
    stream.write_all(&connect(id, password)).expect("the gateway reads");
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).ok()?;
    assert_eq!(answer[..3], [0x20, 2, 0]);
    Some(answer[3])
}

fn session(sluice: &Sluice, id: &str, password: &str) -> TcpStream {
    let mut stream = TcpStream::connect(sluice.address("mqtt")).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket takes a timeout");
    stream.write_all(&connect(id, password)).expect("the gateway reads");
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).expect("a CONNACK");
    assert_eq!(answer, [0x20, 2, 0, 0]);
    stream
}
