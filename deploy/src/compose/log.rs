//! The log that this process's parts read and append to.

use prometheus::Registry as MetricsRegistry;
use records::Topic;

use super::registered;
use crate::clock;
use crate::cluster::Cluster;
use crate::command::Failure;
use crate::config::Config;
use crate::engine::Engine;
use crate::folder::Folder;
use crate::role::Role;

/// Opens it. A gateway with a spool has no other: it must start, and acknowledge, while Kafka is away.
///
/// # Errors
/// The embedded log can't be opened; no broker answers, or a topic would break a promise.
pub(super) async fn open(
    config: &Config,
    role: Role,
    folder: &Folder,
    cluster: Option<&Cluster>,
    spool: Option<&embedded::Log>,
    metrics: &MetricsRegistry,
) -> Result<Engine, Failure> {
    match (role, spool, cluster) {
        (Role::Gateway, Some(spool), _) => Ok(Engine::Embedded(spool.clone())),
        (_, _, Some(cluster)) => cluster.connect_patiently().await,
        (_, _, None) => embedded(config, folder, metrics).map(Engine::Embedded),
    }
}

fn embedded(config: &Config, folder: &Folder, metrics: &MetricsRegistry) -> Result<embedded::Log, Failure> {
    let mut options = embedded::Options { budget_bytes: Some(config.log.budget_bytes), ..Default::default() };
    for topic in [Topic::Telemetry, Topic::Observations, Topic::Aggregates] {
        options[topic].partitions = config.log.partitions;
        options[topic].retention.age = Some(config.log.retention);
    }
    let metrics = registered(embedded::Metrics::register(metrics))?;
    embedded::Log::open(&folder.log(), options, clock::shared(), metrics)
        .map_err(|error| Failure::because("log", &error))
}
