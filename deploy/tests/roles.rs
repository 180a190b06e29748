//! A process for each role, on a real Kafka.

mod support;

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use support::device::say;
use support::site::Site;
use support::sluice::{Folder, Sluice, http_get, http_post};

const PATIENCE: Duration = Duration::from_secs(60);

/// From a device at one process to the pages of another, and an operator's action all the way back.
fn check_the_path(gateway_more: &str) {
    let site = Site::on_the_given_broker();
    let [gateway_1, gateway_2] = ["gateway-1", "gateway-2"].map(|name| site.process(name, gateway_more));
    let (stream, sinks) = (site.process("stream-1", ""), site.process("sinks-1", ""));
    let add = |folder: &Folder, id| folder.add_device(id, "machine", &["--area", "plant/line-1"]);
    let passwords = [add(&gateway_1, "m-1"), add(&gateway_2, "m-2")];
    let run = |folder: &Folder, role: &str| {
        folder.try_start(&[role]).unwrap_or_else(|| panic!("{role}:\n{}", folder.log()))
    };
    let gateways = [run(&gateway_1, "gateway"), run(&gateway_2, "gateway")];
    let (stream_running, sinks_running) = (run(&stream, "stream"), run(&sinks, "sinks"));

    let time = deploy::clock::now().millis() - 600_000;
    for (gateway, (id, password)) in gateways.iter().zip(["m-1", "m-2"].into_iter().zip(&passwords)) {
        say(gateway.address("mqtt"), id, password, time);
    }
    for id in ["m-1", "m-2"] {
        let path = format!("/api/v1/series?device={id}&quantity=vibration&from={time}&to={}", time + 1);
        let series = sinks_running.get_until(&path, PATIENCE, |series| series["count"] == json!([1]));
        assert_eq!(series["mean"], json!([8.25]), "{id}");
    }
    check_the_tail(&sinks, time);
    check_the_operator(&sinks_running, gateways[0].address("mqtt"), &passwords[0], time);
    let registered = sinks_running.get("/api/v1/devices");
    assert!(registered.to_string().contains("plant/line-1"), "entries come by the log: {registered}");
    assert_eq!(http_get(gateways[0].address("admin"), "/readyz").0, 200);

    for (process, folder) in gateways.into_iter().zip([&gateway_1, &gateway_2]) {
        assert_eq!(process.stop(), Some(0), "{}", folder.log());
    }
    assert_eq!(stream_running.stop(), Some(0), "{}", stream.log());
    assert_eq!(sinks_running.stop(), Some(0), "{}", sinks.log());
}

/// A machine vibrates for minutes, an alert opens, and what an operator does about it at the page reaches the stage
/// that raised it, which is another process.
fn check_the_operator(sinks: &Sluice, mqtt: SocketAddr, password: &str, time: i64) {
    for minute in 1..=6 {
        say(mqtt, "m-1", password, time + minute * 60_000);
    }
    let first = |alerts: &Value| alerts["alerts"][0].clone();
    let alerts = sinks.get_until("/api/v1/alerts", PATIENCE, |alerts| first(alerts)["state"] == "open");
    let id = first(&alerts)["id"].clone();
    let (status, body) =
        http_post(sinks.address("console"), "/api/v1/alerts/acknowledge", &json!({"id": id, "note": "seen"}));
    assert_eq!(status, 202, "{body}");
    let alerts =
        sinks.get_until("/api/v1/alerts", PATIENCE, |alerts| first(alerts)["state"] == "acknowledged");
    assert_eq!((&first(&alerts)["id"], &first(&alerts)["note"]), (&id, &json!("seen")));
}

/// What both devices said at `time` is printed, and nothing else, whatever place one begins at.
fn check_the_tail(folder: &Folder, time: i64) {
    let at = format!("@{}", time - 60_000);
    let wanted = format!("event_time={time}");
    for from in ["earliest", "0", &at] {
        let tail = ["topic", "tail", "observations", "--json", "--exit", "--from", from, "--where", &wanted];
        let output = folder.command(&tail);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("it prints text");
        let lines = text.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line"));
        let mut said: Vec<Value> = lines.collect();
        said.sort_by_key(|line| line["key"].to_string());
        let said: Vec<_> =
            said.iter().map(|line| (&line["key"], &line["observation"]["readings"][0])).collect();
        let reading = |value: &Value| (value["quantity"].clone(), value["value"].clone());
        let said: Vec<_> = said.into_iter().map(|(key, value)| (key.clone(), reading(value))).collect();
        let expected = |key: &str| (json!(key), (json!("vibration"), json!(8.25)));
        assert_eq!(said, [expected("m-1"), expected("m-2")], "from {from}");
    }
    let output = folder.command(&["topic", "tail", "observations", "--exit"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "nothing is newer than the newest");
}

/// The same on the embedded log, beside the process that has it.
#[test]
fn a_topic_of_the_embedded_log_is_printed_while_it_is_written() {
    let folder = Folder::new("");
    let passwords = ["m-1", "m-2"].map(|id| folder.add_device(id, "machine", &[]));
    let sluice = folder.start();
    let time = deploy::clock::now().millis();
    for (id, password) in ["m-1", "m-2"].iter().zip(&passwords) {
        say(sluice.address("mqtt"), id, password, time);
        let path = format!("/api/v1/series?device={id}&quantity=vibration&from={time}&to={}", time + 1);
        sluice.get_until(&path, PATIENCE, |series| series["count"] == json!([1]));
    }
    check_the_tail(&folder, time);
    assert_eq!(sluice.stop(), Some(0));
}

#[test]
#[ignore = "needs Kafka"]
fn a_reading_goes_from_process_to_process_through_a_spool() {
    check_the_path("");
}

#[test]
#[ignore = "needs Kafka"]
fn a_reading_goes_from_process_to_process_without_a_spool() {
    check_the_path("[spool]\nenabled = false\n");
}

#[test]
#[ignore = "needs Kafka"]
fn topics_that_would_break_a_promise_are_named_and_nothing_starts() {
    let site = Site::on_the_given_broker();
    let folder = site.process("stream-1", "");
    let text = std::fs::read_to_string(&folder.config).expect("the file is there");
    let text = text.replace("replication = 1", "replication = 3").replace("partitions = 4", "partitions = 8");
    std::fs::write(&folder.config, text).expect("the folder takes a file");
    assert!(folder.try_start(&["stream"]).is_none(), "it must not start");
    let log = folder.log();
    for promise in ["telemetry has 4 partitions and must have 8", "with 1 replicas where 3 were asked"] {
        assert!(log.contains(promise), "{promise}:\n{log}");
    }
    let checked = folder.command(&["topic", "check"]);
    assert_eq!(checked.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&checked.stderr).contains("telemetry has 4 partitions"));
}

/// The spool is what makes a gateway itself, so it can't be in two processes.
#[test]
#[ignore = "needs Kafka"]
fn a_second_process_of_one_gateway_is_refused() {
    let site = Site::on_the_given_broker();
    let folder = site.process("gateway-1", "");
    let first = folder.try_start(&["gateway"]).expect("the first starts");
    let second =
        Command::new(support::sluice::binary()).arg("--config").arg(&folder.config).arg("gateway").output();
    let second = second.expect("the binary runs");
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("spool") && said.contains("in use"), "{said}");
    assert_eq!(first.stop(), Some(0));
}

/// The same id on two machines: both take the place from each other, and the one that loses it for good ends and says
/// why. (With a spool the other's disk is not there to be locked; without one there is none.)
fn check_that_one_of_two_ends(gateway_more: &str) {
    let site = Site::on_the_given_broker();
    let folders = ["here", "there"].map(|name| site.process(name, gateway_more));
    let mut running = folders.each_ref().map(|folder| folder.try_start(&["gateway"]).expect("each starts"));
    let deadline = std::time::Instant::now() + PATIENCE;
    while running.iter_mut().all(Sluice::is_running) {
        assert!(std::time::Instant::now() < deadline, "{}\n{}", folders[0].log(), folders[1].log());
        std::thread::sleep(Duration::from_millis(100));
    }
    for (mut process, folder) in running.into_iter().zip(&folders) {
        if process.is_running() {
            assert_eq!(process.stop(), Some(0), "{}", folder.log());
        } else {
            let log = folder.log();
            assert!(log.contains("another process is gateway \"gw\" too"), "{log}");
        }
    }
}

#[test]
#[ignore = "needs Kafka"]
fn of_two_gateways_of_one_id_on_two_machines_one_ends() {
    check_that_one_of_two_ends("[spool]\ngateway = \"gw\"\n");
}

#[test]
#[ignore = "needs Kafka"]
fn of_two_gateways_of_one_id_without_spools_one_ends() {
    check_that_one_of_two_ends("[spool]\ngateway = \"gw\"\nenabled = false\n");
}

#[test]
fn a_stage_alone_is_refused_on_a_log_that_belongs_to_one_process() {
    let folder = Folder::new("");
    for role in ["gateway", "stream", "sinks"] {
        let output = folder.command(&[role]);
        assert_eq!(output.status.code(), Some(64), "{role}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("needs log.kind = \"kafka\""), "{role}");
    }
}
