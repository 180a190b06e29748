//! What only this engine's readers meet: retention, forgotten records, and readers of the same name.
#![allow(clippy::unwrap_used, reason = "clippy does not see that this is test code")]

mod common;

use std::time::Duration;

use common::sums::{IN, OUT, numbers};
use common::{broker, connect, metrics_in, options, prefix};
use kafka::{KafkaConsumer, Log};
use prometheus::Registry;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use records::{Batch, Consumer, Delivery, Fetched, LogError, Pipe, Producer, Topic, TopicPartition};
use tokio::time::timeout;

const PLACE: TopicPartition = TopicPartition { topic: IN, partition: 0 };
const PATIENCE: Duration = Duration::from_secs(30);

/// A running reader, and one that comes back, are told how much they have missed; it is counted.
#[tokio::test]
#[ignore = "needs Kafka"]
async fn what_retention_removed_unread_is_told() {
    let options = options(&prefix("retention"), "one", 1);
    let name = format!("{}{IN}", options.prefix);
    let registry = Registry::new();
    drop(connect(options.clone()).await);
    let log = Log::connect(options, metrics_in(&registry)).await.unwrap();
    append(&log, 0..100).await;
    let mut consumer = log.consumer("late", &[IN]);
    consumer.commit(&[(PLACE, 10)]).await.unwrap();
    drop(consumer);
    remove_below(&name, 50).await;
    let mut consumer = log.consumer("late", &[IN]);
    let fetched = next(&mut consumer).await.unwrap();
    assert_eq!((fetched.first, fetched.lost, fetched.next()), (50, 40, 100));
    let lost =
        registry.gather().into_iter().find(|family| family.name() == "sluice_kafka_lost_records_total");
    let lost: f64 = lost.unwrap().get_metric().iter().map(|metric| metric.get_counter().get_value()).sum();
    assert_eq!(lost, 40.0);
    append(&log, 100..101).await;
    assert_eq!(next(&mut consumer).await.unwrap().lost, 0);
}

/// A job without a state has all to read again; what is missing beyond its commit is lost, the rest is not.
#[tokio::test]
#[ignore = "needs Kafka"]
async fn a_job_misses_what_it_had_not_committed() {
    let options = options(&prefix("job-retention"), "one", 1);
    let name = format!("{}{IN}", options.prefix);
    let log = connect(options).await;
    append(&log, 0..100).await;
    let mut pipe = log.pipe("job", IN);
    assert!(matches!(pipe.poll().await.unwrap(), Some(Delivery::Assigned { .. })));
    pipe.commit(records::Commit { offsets: vec![(0, 30)], ..Default::default() }).await.unwrap();
    drop(pipe);
    for (oldest, expected) in [(20, (20, 0)), (50, (50, 20))] {
        remove_below(&name, oldest).await;
        let mut pipe = log.pipe("job", IN);
        let assigned = timeout(PATIENCE, pipe.poll()).await.unwrap().unwrap();
        assert!(
            matches!(assigned, Some(Delivery::Assigned { snapshot: None, committed: 30, .. })),
            "{assigned:?}"
        );
        match timeout(PATIENCE, pipe.poll()).await.unwrap().unwrap() {
            Some(Delivery::Records(fetched)) => assert_eq!((fetched.first, fetched.lost), expected),
            other => panic!("{other:?}"),
        }
    }
}

/// A position beyond the end means that records which were read are gone.
#[tokio::test]
#[ignore = "needs Kafka"]
async fn a_position_beyond_the_end_is_damage() {
    let log = connect(options(&prefix("beyond"), "one", 1)).await;
    append(&log, 0..10).await;
    let mut consumer = log.consumer("beyond", &[IN]);
    consumer.commit(&[(PLACE, 1000)]).await.unwrap();
    drop(consumer);
    let answer = next(&mut log.consumer("beyond", &[IN])).await;
    assert!(matches!(answer, Err(LogError::Damaged { offset: 1000, .. })), "{answer:?}");
}

/// The mark that ends a transaction is behind the last record, and nothing comes of it.
#[tokio::test]
#[ignore = "needs Kafka"]
async fn a_closed_log_ends_at_a_mark() {
    let log = connect(options(&prefix("closed"), "one", 1)).await;
    let mut pipe = log.pipe("job", IN);
    assert!(matches!(pipe.poll().await.unwrap(), Some(Delivery::Assigned { .. })));
    for number in 0..2 {
        let outputs = vec![(TopicPartition { topic: OUT, partition: 0 }, numbers(number..number + 1))];
        pipe.commit(records::Commit { outputs, ..Default::default() }).await.unwrap();
    }
    let mut consumer = log.consumer("closed", &[OUT]);
    drop(log.close());
    assert_eq!(next(&mut consumer).await.unwrap().first, 0);
    let second = next(&mut consumer).await.unwrap();
    assert_eq!((second.first, second.lost), (2, 0), "a mark stands between");
    assert!(timeout(PATIENCE, consumer.poll()).await.unwrap().unwrap().is_none());
}

#[tokio::test]
#[ignore = "needs Kafka"]
async fn a_consumer_of_the_same_name_takes_over() {
    let log = connect(options(&prefix("named"), "one", 1)).await;
    append(&log, 0..10).await;
    let mut older = log.consumer("sink", &[IN]);
    assert_eq!(next(&mut older).await.unwrap().next(), 10);
    let mut newer = log.consumer("sink", &[IN]);
    assert_eq!(next(&mut newer).await.unwrap().next(), 10);
    let answer = next(&mut older).await;
    assert!(matches!(answer, Err(LogError::Fenced)), "{answer:?}");
}

async fn next(consumer: &mut KafkaConsumer) -> Result<Fetched, LogError> {
    let polled = timeout(PATIENCE, consumer.poll()).await.expect("this comes soon")?;
    Ok(polled.expect("the log is open"))
}

async fn append(log: &Log, range: std::ops::Range<u64>) {
    log.append(vec![(PLACE, numbers(range))]).await.unwrap();
}

/// As retention does it.
async fn remove_below(topic: &str, oldest: i64) {
    let mut config = ClientConfig::new();
    let admin: AdminClient<DefaultClientContext> =
        config.set("bootstrap.servers", broker()).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(oldest)).unwrap();
    let removed = admin.delete_records(&list, &AdminOptions::new()).await.unwrap();
    removed.elements().iter().for_each(|at| at.error().unwrap());
}

/// However much is handed over at once, no more is on its way than the bound says, and all of it arrives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Kafka"]
async fn appends_wait_while_too_much_is_on_its_way() {
    const BOUND: usize = 1 << 20;
    const APPENDS: usize = 200;
    let mut options = options(&prefix("bound"), "test", 1);
    options.max_pending_bytes = BOUND;
    kafka::admin::Admin::connect(&options).unwrap().create().await.unwrap();
    let registry = Registry::new();
    let log = Log::connect(options, metrics_in(&registry)).await.unwrap();
    let pending = || {
        let families = registry.gather();
        let found = families.iter().find(|family| family.name() == "sluice_kafka_pending_bytes").unwrap();
        found.get_metric()[0].get_gauge().get_value() as usize
    };
    let place = TopicPartition { topic: Topic::Telemetry, partition: 0 };
    let mut appends = tokio::task::JoinSet::new();
    for _ in 0..APPENDS {
        let log = log.clone();
        let mut batch = Batch::new();
        (0..10).for_each(|_| batch.push(b"key", &[7; 10_000]));
        appends.spawn(async move { log.append(vec![(place, batch)]).await });
    }
    let mut most = 0;
    while let Some(done) = appends.join_next().await {
        done.unwrap().unwrap();
        most = most.max(pending());
    }
    assert!(most <= BOUND && most > BOUND / 2, "{most}: the bound is reached and kept");
    assert_eq!(log.ends().await.unwrap()[&place], APPENDS as u64 * 10);
}
