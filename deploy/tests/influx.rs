//! From a device to a real InfluxDB 2, through the real binary.
//!
//! Wants `SLUICE_INFLUX` and `SLUICE_INFLUX_TOKEN`, as `deploy/services/README.md` says, and `curl`.

mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use support::device::Device;
use support::sluice::Folder;

const PATIENCE: Duration = Duration::from_secs(20);

fn url() -> String {
    std::env::var("SLUICE_INFLUX").expect("SLUICE_INFLUX names the server")
}

fn token() -> String {
    std::env::var("SLUICE_INFLUX_TOKEN").expect("SLUICE_INFLUX_TOKEN may read and write")
}

/// A folder whose sluice writes raw values to the bucket `telemetry`, with this token.
fn folder(token: &str) -> Folder {
    let folder = Folder::new("");
    let file = folder.dir.path().join("token");
    std::fs::write(&file, format!("{token}\n")).expect("the folder takes a file");
    let more = format!(
        "[influx]\nurl = \"{}\"\norg = \"sluice\"\nbucket = \"telemetry\"\ntoken_file = {file:?}\nraw = true\nbatch_age = \"50ms\"\n",
        url()
    );
    let config = std::fs::read_to_string(&folder.config).expect("it was written") + &more;
    std::fs::write(&folder.config, config).expect("the folder takes a file");
    folder
}

/// The values of a device, by time.
fn values(device: &str) -> Vec<String> {
    let flux = format!(
        "from(bucket: \"telemetry\") |> range(start: -1h) |> filter(fn: (r) => r.device == \"{device}\" and r._field == \"value\")
         |> keep(columns: [\"_value\"])"
    );
    let output = Command::new("curl")
        .args(["-fsS", "--noproxy", "*", "-H", &format!("Authorization: Token {}", token())])
        .args(["-H", "Content-Type: application/vnd.flux", "-H", "Accept: application/csv"])
        .args(["--data-binary", &flux, &format!("{}/api/v2/query?org=sluice", url())])
        .output()
        .expect("curl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("Flux answers in text");
    let rows = text.lines().filter_map(|line| line.trim().rsplit(',').next());
    rows.filter(|cell| cell.parse::<f64>().is_ok()).map(str::to_owned).collect()
}

#[test]
#[ignore = "needs InfluxDB"]
fn what_a_device_says_is_in_influxdb_once_across_a_kill() {
    let folder = folder(&token());
    let id = format!("probe-{}", std::process::id());
    let password = folder.add_device(&id, "air", &[]);
    let device = Device { id: id.clone(), password, in_flight: 10, per_second: None };
    let payloads: Vec<Vec<u8>> =
        (0..40).map(|number| format!("{{\"pm2_5\": {number}.5}}").into_bytes()).collect();
    let deadline = Instant::now() + PATIENCE;
    let sluice = folder.start();
    device.publish_all(|| sluice.address("mqtt"), &payloads[..20], deadline, |_| {});
    sluice.kill();
    let sluice = folder.start();
    device.publish_all(|| sluice.address("mqtt"), &payloads[20..], deadline, |_| {});
    // InfluxDB keeps one value per millisecond, and readings without a clock of their own may share one.
    let stored = |path: &str| sluice.get(path)["t"].as_array().map_or(0, Vec::len);
    let series = format!("/api/v1/series?device={id}&quantity=pm2_5");
    sluice.get_until(&series, PATIENCE, |series| series["t"].as_array().is_some_and(|t| t.len() == 40));
    let answer = sluice.get(&series);
    let times: std::collections::BTreeSet<i64> =
        answer["t"].as_array().expect("a column").iter().filter_map(serde_json::Value::as_i64).collect();
    while values(&id).len() < times.len() {
        assert!(Instant::now() < deadline, "{} of {} in InfluxDB", values(&id).len(), times.len());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!((values(&id).len(), stored(&series)), (times.len(), 40));
    assert!(values(&id).iter().any(|value| value == "39.5"));
    assert_eq!(sluice.get("/api/v1/notices")["notices"], serde_json::json!([]));
    assert_eq!(sluice.stop(), Some(0), "its log:\n{}", folder.log());
}

#[test]
#[ignore = "needs InfluxDB"]
fn a_wrong_token_is_said_and_stops_nobody() {
    let folder = folder("wrong");
    let password = folder.add_device("probe-1", "air", &[]);
    let device = Device { id: "probe-1".to_owned(), password, in_flight: 1, per_second: None };
    let sluice = folder.start();
    device.publish_all(
        || sluice.address("mqtt"),
        &[b"{\"pm2_5\": 1.5}".to_vec()],
        Instant::now() + PATIENCE,
        |_| {},
    );
    let has_notice = |answer: &serde_json::Value| answer["notices"][0]["kind"] == "barred";
    let notices = sluice.get_until("/api/v1/notices", PATIENCE, has_notice);
    assert_eq!(notices["notices"][0]["source"], "influx");
    let series = "/api/v1/series?device=probe-1&quantity=pm2_5";
    sluice.get_until(series, PATIENCE, |series| series["mean"] == serde_json::json!([1.5]));
    assert_eq!(sluice.stop(), Some(0), "its log:\n{}", folder.log());
    assert!(folder.log().contains("a person has to put it right"), "{}", folder.log());
}
