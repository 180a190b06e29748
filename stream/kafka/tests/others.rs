//! Clients that know nothing of us: Python (librdkafka) and Java (Kafka's own) read what we write, and what they
//! write stands where ours would.
#![allow(clippy::unwrap_used, reason = "clippy does not see that this is test code")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use common::{broker, connect, options, prefix};
use kafka::Log;
use records::{
    Batch, Commit, Consumer, Entry, Origin, Pipe, Producer, Record, Topic, TopicPartition, partition_of,
};
use tokio::time::timeout;

const PARTITIONS: u32 = 7;
const OBSERVATION: &str = include_str!("../../records/tests/golden/readings_v1.hex");
const AGGREGATE: &str = include_str!("../../records/tests/golden/aggregate_v1.hex");
const ALERT: &str = r#"{"version":1,"id":"a-1","transition":0,"rule":"pm2_5","use_case":"environment","subject":{"device":"probe-1"},"area":"center","state":"open","severity":"severe","opened_at":1767225600000,"at":1767225600000,"as_of":1767225600250,"quantity":"pm2_5","value":151.5,"threshold":150.0,"text":"PM2.5","source":"HJ 633-2026","is_backfill":false}"#;
/// Of every length, so that each tail of the hash is met, and outside of ASCII.
const DEVICES: [&str; 9] =
    ["a", "pm", "pm-", "pm-4", "pm-05", "pm-006", "站点-7", "a-little-bit-long-string", "street/17/é"];

#[tokio::test]
#[ignore = "needs Kafka, pip"]
async fn python_reads_and_writes() {
    let venv = tempfile::tempdir().unwrap();
    let python = venv.path().join("bin/python3");
    run(Command::new("python3").args(["-m", "venv"]).arg(venv.path()));
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "confluent-kafka", "cbor2"]));
    let client = |example: &str| {
        let mut command = Command::new(&python);
        command.arg(examples().join(example));
        command
    };
    let told = what_others_see(|| client("read.py"), || client("write.py")).await;
    let expected: [&[&str]; 3] = [
        &[r#""kind": "observation""#, r#""1": "probe-1""#, r#""gateway": "west""#, r#""spool-offset": "41""#],
        &[r#""kind": "aggregate""#, r#""3": "centre""#, r#""schema": "1""#],
        &[
            r#""kind": "alert""#,
            r#""id": "a-1""#,
            r#""value": 151.5"#,
            r#""content-type": "application/json""#,
        ],
    ];
    expect(&told, &expected);
}

#[tokio::test]
#[ignore = "needs Kafka, Java"]
async fn java_reads_and_writes() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/services/kafka/kafka");
    let jars = run(Command::new(script).arg("fetch"));
    let client = |example: &str| {
        let mut command = Command::new("java");
        command.arg("-cp").arg(format!("{}/*", jars.trim())).arg(examples().join(example));
        command
    };
    let told = what_others_see(|| client("Read.java"), || client("Write.java")).await;
    let expected: [&[&str]; 3] = [
        &["1=probe-1", "gateway=west", "spool-offset=41", "schema=1"],
        &["3=centre", "content-type=application/cbor"],
        &[r#""id":"a-1""#, r#""value":151.5"#, "content-type=application/json"],
    ];
    expect(&told, &expected);
}

/// What a reader of each topic says, after a writer's records have been found in their places.
async fn what_others_see(reader: impl Fn() -> Command, writer: impl Fn() -> Command) -> [String; 3] {
    let options = options(&prefix("others"), "one", PARTITIONS);
    let name = |topic: Topic| format!("{}{topic}", options.prefix);
    let log = connect(options.clone()).await;
    commit_one_of_each(&log).await;
    let told = [Topic::Observations, Topic::Aggregates, Topic::Alerts]
        .map(|topic| run(reader().args([&broker(), &name(topic), "1"])));
    run(writer().args([&broker(), &name(Topic::Telemetry)]).args(DEVICES));
    check_places(&log).await;
    told
}

/// Through a transaction, so that readers meet its mark as well.
async fn commit_one_of_each(log: &Log) {
    let seen = Origin { gateway: "west", spool: 7, offset: 41 };
    let (observation, aggregate) = (bytes(OBSERVATION), bytes(AGGREGATE));
    let output = |topic, key: &'static str, value, origin| {
        assert!(Record::decode(value).is_ok(), "{key}");
        let batch = Batch::from_iter([Entry { key: key.as_bytes(), value, origin, mirrored: None }]);
        (TopicPartition { topic, partition: partition_of(key.as_bytes(), log.partitions(topic)) }, batch)
    };
    let outputs = vec![
        output(Topic::Observations, "probe-1", &observation, Some(seen)),
        output(Topic::Aggregates, "centre", &aggregate, None),
        output(Topic::Alerts, "a-1", ALERT.as_bytes(), None),
    ];
    let mut pipe = log.pipe("others", Topic::Telemetry);
    timeout(Duration::from_secs(30), pipe.poll()).await.unwrap().unwrap();
    pipe.commit(Commit { outputs, ..Commit::default() }).await.unwrap();
}

/// Every device's record can be read, and stands in the partition that we compute.
async fn check_places(log: &Log) {
    let mut reader = log.consumer("places", &[Topic::Telemetry]);
    let mut left: Vec<&str> = DEVICES.to_vec();
    while !left.is_empty() {
        let fetched =
            timeout(Duration::from_secs(30), reader.poll()).await.expect("they have written").unwrap();
        let fetched = fetched.unwrap();
        for (_, key, value) in fetched.records() {
            let device = std::str::from_utf8(key).unwrap();
            assert_eq!(fetched.partition.partition, partition_of(key, PARTITIONS), "{device}");
            assert!(matches!(Record::decode(value), Ok(Record::Observation(said)) if said.device == device));
            left.retain(|other| *other != device);
        }
    }
}

fn expect(told: &[String; 3], expected: &[&[&str]; 3]) {
    for (told, expected) in told.iter().zip(expected) {
        for part in *expected {
            assert!(told.contains(part), "{part} is not in {told}");
        }
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let hex: Vec<u8> = hex.bytes().filter(|digit| !digit.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    hex.chunks(2).map(byte).collect()
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}
