//! Topics on a real broker: made, looked at, and refused.
#![allow(clippy::unwrap_used, reason = "clippy does not see that this is test code")]

mod common;

use std::time::Duration;

use common::{broker, connect, metrics, options, prefix};
use kafka::admin::{Admin, Violation};
use kafka::{ConnectError, Log, Options};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use records::{AppendError, Batch, Commit, Delivery, LogError, Pipe, Producer, Topic, TopicPartition};

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
#[ignore = "needs Kafka"]
async fn topics_are_made_once_and_as_planned() {
    let options = options(&prefix("made"), "one", 3);
    let admin = Admin::connect(&options).unwrap();
    assert_eq!(admin.describe().await.unwrap(), []);
    let missing = admin.check().await.unwrap();
    assert_eq!(missing.len(), Topic::ALL.len() + 2);
    assert!(missing.iter().all(|violation| matches!(violation, Violation::Missing { .. })));
    assert_eq!(admin.create().await.unwrap().len(), Topic::ALL.len() + 2);
    assert_eq!(admin.create().await.unwrap(), Vec::<String>::new());
    assert_eq!(admin.check().await.unwrap(), []);
    let states = admin.describe().await.unwrap();
    let snapshots = states.iter().find(|state| state.name.ends_with("snapshots")).unwrap();
    assert_eq!((snapshots.partitions, snapshots.setting("cleanup.policy")), (3, "compact"));
}

/// Each change breaks a promise, is named in words, and keeps the log from being used.
#[tokio::test]
#[ignore = "needs Kafka"]
async fn topics_that_break_a_promise_are_refused() {
    let good = options(&prefix("broken"), "one", 3);
    Admin::connect(&good).unwrap().create().await.unwrap();
    alter(&format!("{}telemetry", good.prefix), "cleanup.policy", "compact").await;
    refused(good.clone(), "telemetry has cleanup.policy=compact").await;
    alter(&format!("{}telemetry", good.prefix), "cleanup.policy", "delete").await;
    let mut more = good.clone();
    more.topics[Topic::Alerts].partitions = 4;
    refused(more, "alerts has 3 partitions and must have 4").await;
    let mut safer = good.clone();
    safer.topics.snapshots.replication = 3;
    refused(safer, "snapshots has a partition with 1 replicas where 3 were asked").await;
    assert!(Log::connect(good, metrics()).await.is_ok());
}

/// Somebody lowers `max.message.bytes` of a topic that is in use: what no longer fits is refused in words, by an append
/// and by a job's commit, and not tried for ever; what fits goes on; a new process does not even start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kafka"]
async fn a_topic_that_takes_less_than_it_did_refuses_in_words() {
    let options = options(&prefix("lowered"), "one", 1);
    let log = connect(options.clone()).await;
    let at = |topic| TopicPartition { topic, partition: 0 };
    let record = |bytes: usize| {
        // Of no pattern, so that compression does not make it fit.
        let noise =
            std::iter::successors(Some(1_u64), |last| Some(last.wrapping_mul(6_364_136_223_846_793_005) + 1));
        let value: Vec<u8> = noise.map(|number| (number >> 56) as u8).take(bytes).collect();
        let mut batch = Batch::new();
        batch.push(b"device", &value);
        batch
    };
    for topic in [Topic::Telemetry, Topic::Observations] {
        log.append(vec![(at(topic), record(200_000))]).await.unwrap();
        alter(&format!("{}{topic}", options.prefix), "max.message.bytes", "100000").await;
    }
    let words = |error: &dyn std::error::Error| error.source().map(ToString::to_string).unwrap_or_default();
    let expected = |topic| format!("{topic} refuses a record of 200006 bytes");
    let appended = log.append(vec![(at(Topic::Telemetry), record(200_000))]);
    let error = tokio::time::timeout(PATIENCE, appended).await.unwrap().unwrap_err();
    assert!(matches!(error, AppendError::Refused(_)), "{error:?}");
    assert!(words(&error).contains(&expected(Topic::Telemetry)), "{}", words(&error));
    assert!(words(&error).contains("max.message.bytes must be at least 16777216"), "{}", words(&error));
    log.append(vec![(at(Topic::Telemetry), record(50_000))]).await.unwrap();

    let mut pipe = log.pipe("job", Topic::Telemetry);
    while !matches!(pipe.poll().await.unwrap(), Some(Delivery::Records(_))) {}
    let commit = |bytes| Commit {
        outputs: vec![(at(Topic::Observations), record(bytes))],
        offsets: vec![(0, 1)],
        ..Commit::default()
    };
    let error = tokio::time::timeout(PATIENCE, pipe.commit(commit(200_000))).await.unwrap().unwrap_err();
    assert!(matches!(error, LogError::Refused(_)), "{error:?}");
    assert!(words(&error).contains(&expected(Topic::Observations)), "{}", words(&error));
    drop(pipe);
    let mut again = log.pipe("job", Topic::Telemetry);
    while !matches!(again.poll().await.unwrap(), Some(Delivery::Records(_))) {}
    again.commit(commit(50_000)).await.unwrap();
    log.close().await;

    let error = Log::connect(options, metrics()).await.err().expect("it must be refused");
    assert!(error.to_string().contains("telemetry has max.message.bytes=100000"), "{error}");
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_named() {
    let mut options = Options::new("127.0.0.1:1", "one");
    options.properties.insert("socket.connection.setup.timeout.ms".to_owned(), "1000".to_owned());
    let error = Log::connect(options, metrics()).await.err().unwrap();
    assert!(
        matches!(&error, ConnectError::Unavailable { brokers, .. } if brokers == "127.0.0.1:1"),
        "{error}"
    );
}

#[tokio::test]
async fn settings_that_are_not_possible_are_refused() {
    let mut options = Options::new("127.0.0.1:1", "one");
    options.properties.insert("no.such.setting".to_owned(), "1".to_owned());
    let error = Log::connect(options, metrics()).await.err().unwrap();
    assert!(matches!(error, ConnectError::Settings(_)), "{error}");
}

async fn refused(options: Options, because: &str) {
    let error = Log::connect(options, metrics()).await.err().expect("it must be refused");
    assert!(matches!(&error, ConnectError::Topics(all) if all.len() == 1), "{error}");
    assert!(error.to_string().contains(because), "{error}");
}

async fn alter(topic: &str, setting: &str, value: &str) {
    let mut config = ClientConfig::new();
    let admin: AdminClient<DefaultClientContext> =
        config.set("bootstrap.servers", broker()).create().unwrap();
    let resource = ResourceSpecifier::Topic(topic);
    // It replaces all settings of the topic; those that the plan asks for stay.
    let alter = [
        ("min.insync.replicas", "1"),
        ("max.message.bytes", "16777216"),
        ("message.timestamp.type", "LogAppendTime"),
        ("unclean.leader.election.enable", "false"),
        ("retention.ms", "-1"),
        ("retention.bytes", "-1"),
        (setting, value),
    ];
    let alter =
        alter.into_iter().fold(AlterConfig::new(resource), |alter, (key, value)| alter.set(key, value));
    for result in admin.alter_configs(&[alter], &AdminOptions::new()).await.unwrap() {
        result.unwrap();
    }
    // The controller has it; the broker hears of it a moment later.
    let is_known = async || {
        let told = admin.describe_configs([&resource], &AdminOptions::new()).await.unwrap();
        told[0].as_ref().unwrap().entry_map()[setting].value.as_deref() == Some(value)
    };
    while !is_known().await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
