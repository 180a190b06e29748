//! What a gateway on Kafka writes to first, and what brings it on.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use embedded::Log;
use gateway::{Shedding, forward};
use kafka::ConnectError;
use prometheus::Registry as MetricsRegistry;
use records::{LogError, Topic};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Site, claim, registered};
use crate::clock;
use crate::cluster::{self, Cluster};
use crate::command::Failure;
use crate::config::{Config, LogKind, SpoolConfig};
use crate::engine::Engine;
use crate::folder::Folder;
use crate::role::Role;
use crate::supervise::Chain;

/// What a gateway writes.
const TOPICS: &[Topic] = &[Topic::Telemetry, Topic::Quarantine, Topic::Audit];

/// The forwarder's two readers.
const LIVE: &str = "forward.live";
const BACKLOG: &str = "forward.backlog";

/// How long Kafka may take to answer at the end for what it was sent; the spool keeps what it does not.
const CLOSING: Duration = Duration::from_secs(1);

/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// The spool's log; `None` when there is none.
///
/// # Errors
/// It can't be opened or written: another gateway may be using it.
pub(super) async fn open(
    config: &Config,
    role: Role,
    folder: &Folder,
    metrics: &MetricsRegistry,
) -> Result<Option<Log>, Failure> {
    let is_wanted = role.has_gateway() && config.spool.is_enabled && config.log.kind != LogKind::Embedded;
    if !is_wanted {
        return Ok(None);
    }
    let budget_bytes = Some(config.spool.budget_bytes);
    let options = embedded::Options { budget_bytes, ..Default::default() };
    let metrics = registered(embedded::Metrics::register(metrics))?;
    let spool = Log::open(&folder.spool(), options, clock::shared(), metrics)
        .map_err(|error| Failure::because("spool", &error))?;
    // Kafka may be away for long before the first of them reads.
    for group in [LIVE, BACKLOG] {
        spool.introduce(group, TOPICS).await.map_err(|error| Failure::because("spool", &error))?;
    }
    Ok(Some(spool))
}

/// What may be left out while the spool is nearly full; nothing without one.
pub(super) fn shedding(config: &SpoolConfig, spool: Option<&Log>) -> Shedding {
    match spool.cloned() {
        None => Shedding::default(),
        Some(spool) => {
            let is_scarce = Arc::new(move || spool.is_scarce());
            Shedding { families: config.may_drop.clone(), is_scarce }
        }
    }
}

/// Starts the forwarder.
///
/// # Errors
/// This machine's name, which stands for the gateway's, can't be read.
pub(super) fn forward(site: &mut Site<'_>, spool: Log, cluster: Cluster) -> Result<(), Failure> {
    let config = &site.config.spool;
    let gateway = name(site.config)?;
    let metrics = registered(forward::Metrics::register(&site.metrics))?;
    let forwarder = Forwarder { gateway, spool, cluster, options: options(config), metrics };
    site.supervisor.spawn("forwarder", |stop| async move { forwarder.run(stop).await });
    Ok(())
}

/// What this gateway is called, with a spool or without.
///
/// # Errors
/// This machine's name, which stands for it when the configuration has none, can't be read.
pub(super) fn name(config: &Config) -> Result<String, Failure> {
    let instance = match &config.log.kind {
        LogKind::Kafka(kafka) => kafka.instance.clone(),
        LogKind::Embedded => None,
    };
    config.spool.gateway.clone().or(instance).map_or_else(cluster::host_name, Ok)
}

fn options(config: &SpoolConfig) -> forward::Options {
    forward::Options {
        backlog_records_per_second: config.backlog_records_per_second,
        backlog_bytes_per_second: config.backlog_bytes_per_second,
        uplink_bits_per_second: config.uplink_bits_per_second,
        commit_interval: config.commit_interval,
        ..Default::default()
    }
}

struct Forwarder {
    gateway: String,
    spool: Log,
    cluster: Cluster,
    options: forward::Options,
    metrics: forward::Metrics,
}

impl Forwarder {
    async fn run(self, stop: CancellationToken) -> Result<(), Box<dyn Error + Send + Sync>> {
        let Some(target) = self.meet(&stop).await? else { return Ok(()) };
        let result = tokio::select! {
            result = self.keep_forwarding(&target, &stop) => result,
            Err(taken) = claim::hold(&target, &self.gateway, &stop) => Err(taken),
        };
        let _ = tokio::time::timeout(CLOSING, target.close()).await;
        result
    }

    /// Kafka, when it answers; `None` when told to stop before. It may be away for as long as the spool has room.
    async fn meet(&self, stop: &CancellationToken) -> Result<Option<Engine>, ConnectError> {
        let mut is_news = true;
        loop {
            let met = tokio::select! {
                () = stop.cancelled() => return Ok(None),
                met = self.cluster.connect() => met,
            };
            match met {
                Ok(target) => return Ok(Some(target)),
                Err(error @ ConnectError::Unavailable { .. }) => {
                    if std::mem::take(&mut is_news) {
                        warn!("{}; the spool keeps what comes", Chain(&error));
                    }
                }
                Err(error) => return Err(error),
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(None),
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    /// Starts again from the last commit when the spool fails, as it does on a full disk.
    async fn keep_forwarding(
        &self,
        target: &Engine,
        stop: &CancellationToken,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        loop {
            let spool = forward::Spool {
                gateway: self.gateway.clone(),
                made: self.spool.made(),
                live: self.spool.consumer(LIVE, TOPICS),
                backlog: self.spool.consumer(BACKLOG, TOPICS),
            };
            let (options, metrics) = (self.options.clone(), self.metrics.clone());
            match forward::run(spool, target.clone(), clock::shared(), options, metrics, stop.clone()).await {
                Err(forward::ForwardError::Spool(error @ LogError::Unavailable(_))) => {
                    info!("{}; forwarding starts again", Chain(&error));
                }
                ended => return Ok(ended?),
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }
}
