//! A Kafka of the tests' own: each test has topics, groups and ids under a prefix of its own.

#![allow(dead_code, reason = "not every test needs all of it")]

pub mod sums;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use kafka::admin::Admin;
use kafka::{Log, Metrics, Options};
use records::Topic;

/// `host:port` of the broker.
pub fn broker() -> String {
    std::env::var("SLUICE_KAFKA").expect("SLUICE_KAFKA must name a broker (host:port); see deploy/services")
}

/// A prefix that nobody has used before.
pub fn prefix(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    format!("{name}-{now}-{}-{}-", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// For one broker, with so many partitions of each topic.
pub fn options(prefix: &str, instance: &str, partitions: u32) -> Options {
    options_at(&broker(), prefix, instance, partitions)
}

/// The same, elsewhere.
pub fn options_at(broker: &str, prefix: &str, instance: &str, partitions: u32) -> Options {
    let mut options = Options::new(broker, instance);
    options.prefix = prefix.to_owned();
    options.topics = options.topics.on_brokers(1);
    for topic in Topic::ALL {
        options.topics[topic].partitions = partitions;
    }
    options.topics.snapshots.partitions = partitions;
    options.session_timeout = Duration::from_secs(6);
    options
}

/// The log, its topics made if they are not there.
pub async fn connect(options: Options) -> Log {
    Admin::connect(&options).unwrap().create().await.unwrap();
    Log::connect(options, metrics()).await.unwrap()
}

pub fn metrics() -> Metrics {
    metrics_in(&prometheus::Registry::new())
}

pub fn metrics_in(registry: &prometheus::Registry) -> Metrics {
    Metrics::register(registry).unwrap()
}

/// From a test that can't wait: on a thread and a runtime of its own.
pub fn connect_now(options: Options) -> Log {
    let connect = move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        runtime.unwrap().block_on(connect(options))
    };
    std::thread::spawn(connect).join().unwrap()
}
