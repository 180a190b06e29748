//! A gateway's spool as a crash or a bad disk leaves it: what is damaged is named, and nothing behind it is passed over.

mod support;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::broker::Broker;
use support::device::Device;
use support::site::Site;
use support::sluice::Folder;

/// Each acknowledged before the next is sent, so each stands in a commit and a row of its own.
const MESSAGES: u64 = 40;
/// The one whose record is damaged.
const DAMAGED: u64 = 20;
const PATIENCE: Duration = Duration::from_secs(60);
/// A gateway whose Kafka has never been there.
const AWAY: &str = "[log]\nkind = \"kafka\"\n[log.kafka]\nbrokers = \"127.0.0.1:1\"\n";

fn file(folder: &Folder, name: &str) -> PathBuf {
    folder.data().join("spool").join(name)
}

fn change(folder: &Folder, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let path = file(folder, name);
    let mut bytes = std::fs::read(&path).expect("it is there");
    change(&mut bytes);
    std::fs::write(path, bytes).expect("written");
}

/// The places of the record of one message.
fn places(bytes: &[u8], number: u64) -> Vec<usize> {
    let mark = mark(number);
    (0..bytes.len()).filter(|place| bytes[*place..].starts_with(&mark)).collect()
}

/// Name of a quantity of its own, as it stands in the record.
fn mark(number: u64) -> Vec<u8> {
    format!("mark_{number:04}").into_bytes()
}

fn payloads(from: u64) -> Vec<Vec<u8>> {
    let payload = |n| format!(r#"{{"epoch": 1, "sequence": {n}, "mark_{n:04}": 1.5}}"#).into_bytes();
    (from..from + MESSAGES).map(payload).collect()
}

/// Starts the gateway and has it acknowledge messages from number `from` on.
fn acknowledge(folder: &Folder, password: &str, from: u64) -> support::sluice::Sluice {
    let gateway = folder.try_start(&["gateway"]).unwrap_or_else(|| panic!("{}", folder.log()));
    let mqtt = gateway.address("mqtt");
    let device = Device { id: "w-1".into(), password: password.into(), in_flight: 1, per_second: None };
    device.publish_all(|| mqtt, &payloads(from), Instant::now() + PATIENCE, |_| {});
    gateway
}

/// Numbers of the messages on the spool, in their order.
fn spooled(folder: &Folder) -> Vec<u64> {
    let output = folder.command(&["log", "export", "telemetry", "--spool"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("it prints text");
    // "mark_" in hexadecimal digits, then four digits, each as 3 and itself.
    let number = |line: &str| {
        let digits = &line[line.find("6d61726b5f")? + 10..][..8];
        let digits: String = digits.chars().skip(1).step_by(2).collect();
        digits.parse().ok()
    };
    text.lines().filter_map(number).collect()
}

/// Numbers of the messages on Kafka, in their order.
fn forwarded(folder: &Folder) -> Vec<u64> {
    let output = folder.command(&["topic", "tail", "telemetry", "--from", "earliest", "--json", "--exit"]);
    let text = String::from_utf8(output.stdout).expect("it prints text");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines.filter_map(|line| line["observation"]["sequence"].as_u64()).collect()
}

/// The gateway does not start, and says why, as `sluice log verify` does.
fn is_refused(folder: &Folder, why: &str) {
    for arguments in [&["gateway"][..], &["log", "verify", "--spool"]] {
        let output = folder.command(arguments);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {told}");
        assert!(told.contains(why), "{arguments:?}: {told}");
    }
}

#[test]
fn half_a_commit_at_the_end_is_none_and_all_that_was_acknowledged_is_there() {
    let folder = Folder::new(AWAY);
    let password = folder.add_device("w-1", "weather", &[]);
    acknowledge(&folder, &password, 0).kill();
    // What a write that a loss of power has cut leaves: a frame of this file without its end.
    change(&folder, "log.db-wal", |bytes| bytes.extend_from_within(32..2032));
    acknowledge(&folder, &password, MESSAGES).kill();
    assert_eq!(spooled(&folder), (0..2 * MESSAGES).collect::<Vec<_>>());
    assert!(folder.command(&["log", "verify", "--spool"]).status.success());
}

#[test]
fn a_bit_that_flips_in_the_write_ahead_file_is_named_and_stops_the_gateway() {
    let folder = Folder::new(AWAY);
    let password = folder.add_device("w-1", "weather", &[]);
    acknowledge(&folder, &password, 0).kill();
    let mut whole = Vec::new();
    change(&folder, "log.db-wal", |bytes| {
        whole.clone_from(bytes);
        let place = places(bytes, DAMAGED)[0];
        bytes[place] ^= 1;
    });
    let damaged = std::fs::read(file(&folder, "log.db-wal")).expect("it is there");
    is_refused(&folder, "log.db-wal is damaged");
    let after = std::fs::read(file(&folder, "log.db-wal")).expect("it is there");
    assert!(after == damaged, "it is left as it is, for whoever can mend it");
    // Mended, all is there.
    change(&folder, "log.db-wal", |bytes| *bytes = whole);
    acknowledge(&folder, &password, MESSAGES).kill();
    assert_eq!(spooled(&folder), (0..2 * MESSAGES).collect::<Vec<_>>());
}

#[test]
#[ignore = "needs Kafka (the service's script)"]
fn a_bit_that_flips_in_a_row_is_named_and_nothing_behind_it_is_forwarded_in_its_stead() {
    let broker = Broker::start(1);
    let site = Site::new(&broker.address, 1);
    broker.kill(1);
    let folder = site.process("gateway-1", "");
    let password = folder.add_device("w-1", "weather", &[]);
    assert_eq!(acknowledge(&folder, &password, 0).stop(), Some(0));
    let mut flipped = Vec::new();
    change(&folder, "log.db", |bytes| {
        flipped = places(bytes, DAMAGED);
        flipped.iter().for_each(|place| bytes[*place] ^= 1);
    });
    assert!(!flipped.is_empty());
    broker.restart(1);
    is_refused(&folder, "is damaged at offset");
    let arrived = forwarded(&folder);
    assert!(arrived.iter().copied().eq(0..arrived.len() as u64), "no hole: {arrived:?}");
    assert!(arrived.len() as u64 <= DAMAGED, "{arrived:?}");

    // Mended, all goes on.
    change(&folder, "log.db", |bytes| flipped.iter().for_each(|place| bytes[*place] ^= 1));
    let gateway = acknowledge(&folder, &password, MESSAGES);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let arrived: BTreeSet<u64> = forwarded(&folder).into_iter().collect();
        if arrived.iter().copied().eq(0..2 * MESSAGES) {
            break;
        }
        assert!(Instant::now() < deadline, "{arrived:?}\n{}", folder.log());
        std::thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(gateway.stop(), Some(0), "{}", folder.log());
}
