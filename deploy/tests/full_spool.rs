//! A spool that gets full while Kafka is away: what may be dropped is, and counted, and the others go on.

mod support;

use std::time::{Duration, Instant};

use serde_json::Value;
use support::broker::Broker;
use support::device::{Device, shout};
use support::site::{Site, wait_for_log};
use support::sluice::http_get;

/// Of the detector, at QoS 0: twice what the spool may hold.
const CARELESS: i64 = 60_000;
/// Of the machine, at QoS 1.
const CAREFUL: i64 = 3_000;
const PATIENCE: Duration = Duration::from_secs(180);

/// A frame whose record takes about 2 kB.
fn payload(sequence: i64) -> Vec<u8> {
    let mut text = format!(r#"{{"epoch": 1, "sequence": {sequence}"#);
    for lane in 0..60 {
        text += &format!(r#", "queue_length_before_the_light_{lane:02}": {}.5"#, sequence % 100);
    }
    (text + "}").into_bytes()
}

/// Of a device's total in the ledger: what came, and what was dropped.
fn came_and_dropped(answer: &Value) -> (i64, i64) {
    let (total, number) = (&answer["total"], |value: &Value| value.as_i64().unwrap_or(0));
    (number(&total["received"]) - number(&total["resent"]), number(&total["quarantined"]["dropped"]))
}

#[test]
#[ignore = "needs Kafka (the service's script)"]
fn what_may_be_dropped_makes_room_for_what_may_not_and_is_counted_by_device() {
    let broker = Broker::start(1);
    let site = Site::new(&broker.address, 1);
    let gateway = site.process("gateway-1", "[spool]\nbudget = \"64 MiB\"\nmay_drop = [\"traffic\"]\n");
    let loop_1 = gateway.add_device("loop-1", "traffic", &[]);
    let m_1 = gateway.add_device("m-1", "machine", &[]);
    let start = |folder: &support::sluice::Folder, role: &str| {
        folder.try_start(&[role]).unwrap_or_else(|| panic!("{role}:\n{}", folder.log()))
    };
    broker.kill(1);
    let running = start(&gateway, "gateway");
    let mqtt = running.address("mqtt");

    let careless = std::thread::spawn(move || shout(mqtt, "loop-1", &loop_1, (0..CARELESS).map(payload)));
    let device = Device { id: "m-1".into(), password: m_1, in_flight: 50, per_second: None };
    let small =
        |sequence| format!(r#"{{"epoch": 1, "sequence": {sequence}, "vibration": 2.5}}"#).into_bytes();
    let payloads: Vec<Vec<u8>> = (0..CAREFUL).map(small).collect();
    // Half of it beside the flood, half when the flood has filled what it could.
    let (before, after) = payloads.split_at(payloads.len() / 2);
    device.publish_all(|| mqtt, before, Instant::now() + PATIENCE, |_| {});
    careless.join().expect("a flood at QoS 0 is never held back for long");
    device.publish_all(|| mqtt, after, Instant::now() + PATIENCE, |_| {});
    let metrics = http_get(running.address("admin"), "/metrics").1;
    let counter = "sluice_gateway_messages_total{outcome=\"dropped\"}";
    let dropped = metrics.lines().find(|line| line.starts_with(counter)).expect("counted");
    wait_for_log(&gateway, "the spool is nearly full", PATIENCE);

    broker.restart(1);
    let (stream, sinks) =
        (site.process("stream-1", "[stream]\nledger_every = \"1s\"\n"), site.process("sinks-1", ""));
    let (stream_running, sinks_running) = (start(&stream, "stream"), start(&sinks, "sinks"));
    let settled = |device: &str, sent: i64| {
        let path = format!("/api/v1/ledger?device={device}");
        let answer = sinks_running.get_until(&path, PATIENCE, |answer| {
            let (came, dropped) = came_and_dropped(answer);
            came + dropped >= sent
        });
        came_and_dropped(&answer)
    };
    let (came, told) = settled("loop-1", CARELESS);
    assert!(came > CARELESS / 5 && told > CARELESS / 5, "{came} came, {told} dropped");
    assert_eq!(came + told, CARELESS, "nothing vanishes");
    assert_eq!(dropped.rsplit(' ').next(), Some(told.to_string().as_str()), "{dropped}");
    assert_eq!(settled("m-1", CAREFUL), (CAREFUL, 0), "what was acknowledged is there");
    println!("{CARELESS} sent at QoS 0: {came} came, {told} dropped; {CAREFUL} sent at QoS 1: all came");
    for (process, folder) in [(running, &gateway), (stream_running, &stream), (sinks_running, &sinks)] {
        assert_eq!(process.stop(), Some(0), "{}", folder.log());
    }
}
