//! A Mosquitto that a site already has, as a source.

mod support;

use std::time::{Duration, Instant};

use serde_json::json;
use support::mosquitto::Broker;
use support::outcome::Outcome;
use support::sluice::{Folder, Sluice, http_get};

const PATIENCE: Duration = Duration::from_secs(120);
const TOPIC: &str = "up/probe-1/telemetry";
const MAPPED: &str = "plant/7/line/b/temp";

/// What is read from a topic name that is not ours.
const MAPPING: &str = r#"
[[mapping]]
filter = "plant/+/line/+/temp"
device = "m-{1}-{2}"
family = "machine"
area = "plant-{1}"
sequence = "/n"
time = { pointer = "/at", format = "ms" }
readings = { bearing_temperature = { pointer = "/kelvin", unit = "K" } }
"#;

fn source(broker: &Broker, filters: &str, more: &str) -> String {
    let address = &broker.address;
    format!("[[source]]\nname = \"plant\"\nbroker = \"{address}\"\nfilters = {filters}\n{more}\n{MAPPING}")
}

fn own(sequence: u32, start: i64) -> String {
    let time = start + i64::from(sequence) * 100;
    format!("{{\"epoch\": 1, \"sequence\": {sequence}, \"time\": {time}, \"temperature\": 21.5}}\n")
}

fn mapped(sequence: u32, start: i64) -> String {
    let time = start + i64::from(sequence) * 100;
    format!("{{\"n\": {sequence}, \"at\": {time}, \"kelvin\": 300.15}}\n")
}

fn metric(sluice: &Sluice, line: &str) -> f64 {
    let metrics = http_get(sluice.address("admin"), "/metrics").1;
    let value = metrics.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok());
    value.unwrap_or_default()
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn accepted(sluice: &Sluice) -> f64 {
    metric(sluice, "sluice_gateway_messages_total{outcome=\"accepted\"}")
}

/// Publishes the first message until it has come through: from then on the subscription is there.
fn subscribed(broker: &Broker, sluice: &Sluice, topic: &str, first: &str) {
    let before = accepted(sluice);
    until("the subscription is there", || {
        broker.publish_all(topic, first, &[]);
        accepted(sluice) > before
    });
}

const MESSAGES: u32 = 3000;
const KILLS: u32 = 5;

fn exactly_once_through_kills(more: &str) {
    let broker = Broker::start("");
    let folder = Folder::new(&source(&broker, "[\"up/#\", \"plant/#\"]", more));
    let start = deploy::clock::now().millis() - 1_800_000;
    let mut sluice = folder.start();
    subscribed(&broker, &sluice, TOPIC, &own(0, start));
    subscribed(&broker, &sluice, MAPPED, &mapped(0, start));

    let all = |line: fn(u32, i64) -> String| {
        (0..MESSAGES).map(|sequence| line(sequence, start)).collect::<String>()
    };
    let devices = [(TOPIC, all(own)), ("up/probe-2/telemetry", all(own)), (MAPPED, all(mapped))];
    let publishers: Vec<_> = devices.iter().map(|(topic, lines)| broker.publish(topic, lines, &[])).collect();
    for kill in 1..=KILLS {
        // What is left is more than the kills before can have taken, so each hits the flood in its middle.
        until("some have come", || accepted(&sluice) >= f64::from(MESSAGES / KILLS / 2));
        assert!(accepted(&sluice) < f64::from(3 * MESSAGES), "kill {kill} came when all was done");
        sluice.kill();
        sluice = folder.start();
    }
    for mut publisher in publishers {
        assert!(publisher.wait().expect("it ends").success(), "the broker has taken all");
    }
    let last = start + i64::from(MESSAGES - 1) * 100;
    for (device, quantity) in
        [("probe-1", "temperature"), ("probe-2", "temperature"), ("m-7-b", "bearing_temperature")]
    {
        let path = format!("/api/v1/series?device={device}&quantity={quantity}&from={last}&to={}", last + 1);
        sluice.get_until(&path, PATIENCE, |series| {
            series["t"].as_array().is_some_and(|times| times.len() == 1)
        });
    }
    let entry = sluice.get("/api/v1/devices/m-7-b");
    assert_eq!((&entry["family"], &entry["area"]), (&json!("machine"), &json!("plant-7")), "{entry}");
    assert_eq!(sluice.stop(), Some(0), "its log:\n{}", folder.log());

    let outcome = Outcome::read(&folder.data(), 4);
    assert_eq!(outcome.observations.len(), 3 * MESSAGES as usize);
    let twice: Vec<_> = outcome.observations.iter().filter(|(_, count)| **count != 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

#[test]
#[ignore = "needs mosquitto"]
fn five_kills_lose_nothing_and_double_nothing_on_mqtt_5() {
    exactly_once_through_kills("version = \"5\"");
}

#[test]
#[ignore = "needs mosquitto"]
fn five_kills_lose_nothing_and_double_nothing_on_3_1_1_in_a_group() {
    exactly_once_through_kills("version = \"3.1.1\"\ngroup = \"sluice\"");
}

/// Whoever makes up a name for each message fills the quarantine, under the source's name, and nothing else.
#[test]
#[ignore = "needs mosquitto"]
fn made_up_names_have_a_budget() {
    let broker = Broker::start("");
    let folder = Folder::new(&source(&broker, "[\"up/#\"]", "new_devices_per_minute = 3"));
    let start = deploy::clock::now().millis() - 1_800_000;
    let sluice = folder.start();
    subscribed(&broker, &sluice, TOPIC, &own(0, start));
    for made_up in 0..40 {
        broker.publish_all(&format!("up/made-up-{made_up}/telemetry"), &own(0, start), &[]);
    }
    let refused = "sluice_gateway_quarantined_total{reason=\"too_many_devices\"}";
    let all = || accepted(&sluice) + metric(&sluice, refused);
    until("all have come", || all() >= 41.0);
    // Within a minute or two of the clock.
    assert!(metric(&sluice, refused) >= 30.0, "{}", metric(&sluice, refused));
    // Who has been met is heard.
    let before = accepted(&sluice);
    broker.publish_all(TOPIC, &own(1, start), &[]);
    until("who was met is heard", || accepted(&sluice) > before);
    let path = format!("/api/v1/ledger?device=plant&from={}&to={}", start - 3_600_000, start + 7_200_000);
    sluice.get_until(&path, PATIENCE, |ledger| {
        ledger["total"]["quarantined"]["too_many_devices"].as_f64() == Some(metric(&sluice, refused))
    });
}

#[test]
#[ignore = "needs mosquitto"]
fn a_broker_that_restarts_is_found_again() {
    let broker = Broker::start("");
    let folder = Folder::new(&source(&broker, "[\"up/#\"]", ""));
    let start = deploy::clock::now().millis() - 1_800_000;
    let sluice = folder.start();
    subscribed(&broker, &sluice, TOPIC, &own(0, start));
    for sequence in 1..4 {
        let before = accepted(&sluice);
        broker.restart();
        broker.publish_all(TOPIC, &own(sequence, start), &[]);
        until("it comes", || accepted(&sluice) > before);
    }
    let log = folder.log();
    assert!(log.contains("the broker can't be reached"), "{log}");
    assert_eq!(sluice.stop(), Some(0), "its log:\n{log}");
    assert_eq!(Outcome::read(&folder.data(), 4).observations.len(), 4);
}

#[test]
#[ignore = "needs mosquitto"]
fn a_wrong_password_is_told_and_stops_nothing_else() {
    let secrets = tempfile::tempdir().expect("a folder");
    let file = secrets.path().join("passwords");
    let made = std::process::Command::new("mosquitto_passwd")
        .args(["-b", "-c"])
        .arg(&file)
        .args(["sluice", "right"])
        .status()
        .expect("mosquitto_passwd starts");
    assert!(made.success());
    let broker = Broker::start(&format!("allow_anonymous false\npassword_file {}\n", file.display()));
    for version in ["3.1.1", "5"] {
        let login =
            |password: &str| format!("version = \"{version}\"\nuser = \"sluice\"\npassword = \"{password}\"");
        let folder = Folder::new(&source(&broker, "[\"up/#\"]", &login("wrong")));
        let sluice = folder.start();
        until("the refusal is told", || folder.log().contains("the broker can't be reached"));
        let log = folder.log();
        assert!(log.to_lowercase().contains("notauthorized") || log.contains("BadUserNamePassword"), "{log}");
        assert_eq!(metric(&sluice, "sluice_gateway_source_connected{source=\"plant\"}"), 0.0);
        let password = folder.add_device("probe-1", "air", &[]);
        assert_eq!(password.len(), 27, "the rest of it works");
        assert_eq!(sluice.stop(), Some(0), "its log:\n{log}");

        let folder = Folder::new(&source(&broker, "[\"up/#\"]", &login("right")));
        let sluice = folder.start();
        until("it is connected", || {
            metric(&sluice, "sluice_gateway_source_connected{source=\"plant\"}") == 1.0
        });
        assert_eq!(sluice.stop(), Some(0), "its log:\n{}", folder.log());
    }
}

#[test]
#[ignore = "needs mosquitto"]
fn a_filter_that_is_no_longer_wanted_is_given_up() {
    let broker = Broker::start("");
    let start = deploy::clock::now().millis() - 1_800_000;
    let folder = Folder::new(&source(&broker, "[\"up/#\", \"plant/#\"]", ""));
    let sluice = folder.start();
    subscribed(&broker, &sluice, TOPIC, &own(0, start));
    subscribed(&broker, &sluice, MAPPED, &mapped(0, start));
    assert_eq!(sluice.stop(), Some(0), "its log:\n{}", folder.log());

    let config = std::fs::read_to_string(&folder.config).expect("the config is there");
    std::fs::write(&folder.config, config.replace("\"up/#\", \"plant/#\"", "\"up/#\""))
        .expect("it takes another");
    let sluice = folder.start();
    until("it is given up", || folder.log().contains("subscriptions given up"));
    broker.publish_all(MAPPED, &mapped(1, start), &[]);
    broker.publish_all(TOPIC, &own(1, start), &[]);
    until("the other one comes", || accepted(&sluice) >= 1.0);
    assert_eq!(sluice.stop(), Some(0), "its log:\n{}", folder.log());
    let seen: Vec<_> = Outcome::read(&folder.data(), 4).observations.into_keys().collect();
    let expected = [("m-7-b", 0), ("probe-1", 0), ("probe-1", 1)];
    assert_eq!(seen, expected.map(|(device, sequence)| (device.into(), sequence)));
}
