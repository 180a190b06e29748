//! Topics on a real broker: made, looked at, and refused.
#![allow(clippy::unwrap_used, reason = "clippy does not see that this is test code")]

mod common;

use std::time::Duration;

use common::{broker, metrics, options, prefix};
use kafka::admin::{Admin, Violation};
use kafka::{ConnectError, Log, Options};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use records::Topic;

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
