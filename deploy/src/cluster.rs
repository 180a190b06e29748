//! The Kafka cluster that a configuration names.

mod token;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use kafka::{Cleanup, ConnectError, TopicPlans};
use prometheus::Registry as MetricsRegistry;
use records::Topic;
use tracing::warn;

use crate::command::Failure;
use crate::config::{Config, KafkaConfig, LogKind};
use crate::engine::Engine;
use crate::supervise::Chain;

/// How long a process waits at its start for brokers that do not answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// How to meet it.
#[derive(Clone)]
pub struct Cluster {
    options: kafka::Options,
    metrics: kafka::Metrics,
}

impl Cluster {
    /// The cluster of this configuration; `None` when the log is embedded.
    ///
    /// # Errors
    /// The password's file can't be read.
    pub fn of(config: &Config, metrics: &MetricsRegistry) -> Result<Option<Cluster>, Failure> {
        let LogKind::Kafka(kafka) = &config.log.kind else { return Ok(None) };
        let metrics =
            kafka::Metrics::register(metrics).map_err(|error| Failure::because("metrics", &error))?;
        Ok(Some(Cluster { options: options(config, kafka)?, metrics }))
    }

    /// How it is met.
    pub fn options(&self) -> kafka::Options {
        self.options.clone()
    }

    /// Meets it once, and holds its topics against the plan.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(&self) -> Result<Engine, ConnectError> {
        let log = kafka::Log::connect(self.options.clone(), self.metrics.clone()).await?;
        Ok(Engine::Kafka(log, self.options.instance.as_str().into()))
    }

    /// Meets it, waiting for brokers that do not answer yet.
    ///
    /// # Errors
    /// They still do not, or a topic would break a promise.
    pub async fn connect_patiently(&self) -> Result<Engine, Failure> {
        patiently(async || self.connect().await).await
    }
}

/// Asks until there is an answer: brokers that start may answer for the cluster before every partition has a leader.
///
/// # Errors
/// There is none within a minute, or asking again would not help.
pub async fn patiently<T>(ask: impl AsyncFn() -> Result<T, ConnectError>) -> Result<T, Failure> {
    let began = Instant::now();
    loop {
        match ask().await {
            Err(error @ ConnectError::Unavailable { .. }) if began.elapsed() < PATIENCE => {
                warn!("{}; trying again", Chain(&error));
                tokio::time::sleep(PAUSE).await;
            }
            answer => return answer.map_err(|error| Failure::because("log", &error)),
        }
    }
}

/// The section in the words of the crate.
///
/// # Errors
/// The password's file, or this machine's name, can't be read.
pub fn options(config: &Config, kafka: &KafkaConfig) -> Result<kafka::Options, Failure> {
    let instance = kafka.instance.clone().map_or_else(host_name, Ok)?;
    let mut options = kafka::Options::new(kafka.brokers.clone(), instance);
    options.prefix.clone_from(&kafka.prefix);
    options.topics = topics(config, kafka);
    options.security.properties.clone_from(&kafka.security);
    if let Some(file) = &kafka.password_file {
        options.security.properties.insert("sasl.password".to_owned(), password(file)?);
    }
    options.security.tokens = kafka.token_file.clone().map(token::source);
    options.max_pending_bytes = usize::try_from(kafka.max_pending_bytes).unwrap_or(usize::MAX);
    options.linger = kafka.linger;
    options.compression.clone_from(&kafka.compression);
    options.delivery_timeout = kafka.delivery_timeout;
    options.session_timeout = kafka.session_timeout;
    options.transaction_timeout = kafka.transaction_timeout;
    options.properties.clone_from(&kafka.properties);
    Ok(options)
}

fn topics(config: &Config, kafka: &KafkaConfig) -> TopicPlans {
    let mut plans = TopicPlans::default();
    for plan in plans.topics.iter_mut().chain([&mut plans.snapshots, &mut plans.mirrors]) {
        plan.replication = kafka.replication;
        plan.min_insync = kafka.min_insync;
    }
    for topic in [Topic::Telemetry, Topic::Observations, Topic::Aggregates] {
        plans[topic].partitions = config.log.partitions;
        plans[topic].cleanup = Cleanup::Delete { age: Some(config.log.retention), bytes: None };
    }
    // A snapshot stands in the partition of the input that it is the state of.
    plans.snapshots.partitions = config.log.partitions;
    plans
}

fn password(file: &Path) -> Result<String, Failure> {
    let text = fs::read_to_string(file);
    let text = text.map_err(|error| {
        Failure::because(format_args!("log.kafka.password_file = \"{}\"", file.display()), &error)
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// What this machine is called: a pod's name, a container's, a host's.
pub fn host_name() -> Result<String, Failure> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname");
    name.map(|name| name.trim().to_owned()).map_err(|error| Failure::because("this machine's name", &error))
}
