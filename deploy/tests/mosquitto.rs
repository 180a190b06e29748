//! A client that nobody here wrote: `mosquitto_pub`, as the README prints it.

mod support;

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::sluice::{Folder, Sluice, http_get};

const PATIENCE: Duration = Duration::from_secs(10);
const SERIES: &str = "/api/v1/series?device=probe-1&quantity=pm2_5";

/// The README's server and device.
struct Probe {
    folder: Folder,
    sluice: Sluice,
    password: String,
}

impl Probe {
    fn new() -> Probe {
        let folder = Folder::new("");
        let sluice = folder.start();
        let password = folder.add_device("probe-1", "air", &[]);
        Probe { folder, sluice, password }
    }

    /// The README's command on this server's port, with other arguments behind it.
    fn publish(&self, password: &str, more: &[&str]) -> Output {
        let mqtt = self.sluice.address("mqtt");
        let (host, port) = (mqtt.ip().to_string(), mqtt.port().to_string());
        Command::new("mosquitto_pub")
            .args(["-h", &host, "-p", &port, "-i", "probe-1", "-u", "probe-1", "-P", password])
            .args(more)
            .output()
            .expect("mosquitto_pub starts")
    }

    /// Publishes and expects that the client is content.
    fn accepted(&self, more: &[&str]) {
        let output = self.publish(&self.password, more);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{more:?}: {said}");
    }

    /// Waits until the series has exactly these values.
    fn has(&self, values: &Value, patience: Duration) {
        self.sluice.get_until(SERIES, patience, |series| series["mean"] == *values);
    }
}

const TOPIC: &str = "up/probe-1/telemetry";

fn readme() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    std::fs::read_to_string(path).expect("the repository has a README")
}

#[test]
#[ignore = "needs mosquitto_pub"]
fn the_readmes_first_device_is_seen_within_a_second() {
    let command = r#"mosquitto_pub -h 127.0.0.1 -i probe-1 -u probe-1 -P PASSWORD -q 1 -t up/probe-1/telemetry -m '{"pm2_5": 180.0}'"#;
    let readme = readme();
    assert!(readme.contains(command), "the README prints another command");
    assert!(readme.contains("device add probe-1 --family air") && readme.contains(SERIES));

    let probe = Probe::new();
    let mqtt = probe.sluice.address("mqtt");
    let command = command.replace("PASSWORD", &probe.password);
    let command = command.replace("-h 127.0.0.1", &format!("-h 127.0.0.1 -p {}", mqtt.port()));
    let output = Command::new("sh").args(["-c", &command]).output().expect("a shell starts");
    let gone = Instant::now();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    probe.has(&json!([180.0]), PATIENCE);
    let took = gone.elapsed();
    assert!(took <= Duration::from_secs(1), "it took {took:?}");
    println!("in the series {took:?} after mosquitto_pub had ended");
    assert_eq!(probe.sluice.stop(), Some(0), "its log:\n{}", probe.folder.log());
}

#[test]
#[ignore = "needs mosquitto_pub"]
fn a_wrong_password_is_told_to_the_client() {
    let probe = Probe::new();
    let message = ["-q", "1", "-t", TOPIC, "-m", r#"{"pm2_5": 1}"#];
    let output = probe.publish("not-the-password", &message);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("Connection Refused") && said.contains("bad user name or password"), "{said}");

    let disabled = probe.folder.command(&["device", "disable", "probe-1"]);
    assert!(disabled.status.success(), "{}", String::from_utf8_lossy(&disabled.stderr));
    // A running gateway looks for changes four times a second.
    std::thread::sleep(Duration::from_secs(1));
    let output = probe.publish(&probe.password, &message);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("not authorised"), "{said}");
    probe.has(&json!([]), PATIENCE);
    let log = probe.folder.log();
    for why in ["credentials", "disabled"] {
        let line = format!("a device was not let in user=\"probe-1\" why=\"{why}\"");
        assert_eq!(log.matches(&line).count(), 1, "{line} is not in\n{log}");
    }
}

#[test]
#[ignore = "needs mosquitto_pub"]
fn what_clients_may_ask_for_and_sluice_has_no_use_for() {
    let probe = Probe::new();
    probe.accepted(&["-q", "0", "-t", TOPIC, "-m", r#"{"pm2_5": 1}"#]);
    probe.has(&json!([1.0]), PATIENCE);
    // Retained, with a last will, and a session that asks to be kept.
    probe.accepted(&["-q", "1", "-r", "-t", TOPIC, "-m", r#"{"pm2_5": 2}"#]);
    let will = ["--will-topic", TOPIC, "--will-payload", r#"{"pm2_5": 99}"#, "--will-qos", "1"];
    probe
        .accepted(&[&will[..], &["--will-retain", "-q", "1", "-t", TOPIC, "-m", r#"{"pm2_5": 3}"#]].concat());
    probe.accepted(&["-c", "-k", "5", "-q", "1", "-t", TOPIC, "-m", r#"{"pm2_5": 4}"#]);
    probe.accepted(&["-V", "mqttv311", "-q", "1", "-t", "up/probe-1/state", "-m", r#"{"battery": 3.7}"#]);
    // Several in flight on one connection.
    probe.accepted(&["--repeat", "3", "-q", "1", "-t", TOPIC, "-m", r#"{"pm2_5": 5}"#]);
    probe.has(&json!([1.0, 2.0, 3.0, 4.0, 5.0, 5.0, 5.0]), PATIENCE);
    // Exactly once, and in the newer version.
    probe.accepted(&["-q", "2", "-t", TOPIC, "-m", r#"{"pm2_5": 6}"#]);
    probe.accepted(&["-V", "5", "-q", "1", "-t", TOPIC, "-m", r#"{"pm2_5": 7}"#]);
    probe.has(&json!([1.0, 2.0, 3.0, 4.0, 5.0, 5.0, 5.0, 6.0, 7.0]), PATIENCE);
    assert_eq!(probe.sluice.stop(), Some(0), "its log:\n{}", probe.folder.log());
}

#[test]
#[ignore = "needs mosquitto_pub"]
fn what_is_not_served_is_refused_and_counted() {
    let probe = Probe::new();
    let others = probe.publish(&probe.password, &["-q", "1", "-t", "up/other/telemetry", "-m", "{}"]);
    assert!(!others.status.success(), "another device's topic");
    let message = ["-q", "1", "-t", TOPIC, "-m", r#"{"pm2_5": 1}"#];
    let mqtt_3 = probe.publish(&probe.password, &[&["-V", "mqttv31"][..], &message].concat());
    let said = String::from_utf8_lossy(&mqtt_3.stderr);
    assert!(!mqtt_3.status.success() && said.contains("unacceptable protocol version"), "{said}");

    probe.accepted(&message);
    probe.has(&json!([1.0]), PATIENCE);
    let log = probe.folder.log();
    assert!(log.contains("not its own"), "{log}");
    let metrics = http_get(probe.sluice.address("admin"), "/metrics").1;
    for line in [
        "sluice_gateway_sessions_ended_total{reason=\"forbidden\"} 1",
        "sluice_gateway_refused_connections_total{reason=\"version\"} 1",
        "sluice_gateway_messages_total{outcome=\"forbidden\"} 1",
        "sluice_gateway_messages_total{outcome=\"accepted\"} 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is not in\n{metrics}");
    }
}
