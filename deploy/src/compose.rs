//! Puts the stages together, in the order in which data flows, one block a part.

mod certificate;
mod claim;
mod devices;
mod export;
mod influx;
mod jobs;
mod listeners;
mod log;
mod mirror;
mod outlets;
mod results;
mod rules;
mod sessions;
mod spool;
mod webhook;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gateway::Registry;
use prometheus::Registry as MetricsRegistry;
use stream::rule::Ruleset;
use tokio::time::timeout;
use tracing::warn;

use crate::admin::{self, Readiness};
use crate::cluster::Cluster;
use crate::command::Failure;
use crate::config::Config;
use crate::engine::Engine;
use crate::folder::Folder;
use crate::role::Role;
use crate::supervise::{Ending, Supervisor};
pub(crate) use jobs::{device_config, shares};
use listeners::Listeners;
use results::Whence;

/// All stages together have this long to stop.
const DEADLINE: Duration = Duration::from_secs(20);
/// Then the logs have so long to answer for what they were handed.
const CLOSING: Duration = Duration::from_secs(5);

/// The parts of one process, running.
pub struct Sluice {
    /// Where it listens.
    pub addresses: Addresses,
    /// Who may connect; `None` without a gateway.
    pub registry: Option<Arc<Registry>>,
    supervisor: Supervisor,
    readiness: Readiness,
    /// In the order in which data flows.
    logs: Vec<Engine>,
}

/// The listeners' addresses, with the ports that the system chose where the configuration says 0.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// MQTT; `None` without a gateway.
    pub mqtt: Option<SocketAddr>,
    /// MQTT through TLS; `None` when it isn't wanted, or without a gateway.
    pub mqtts: Option<SocketAddr>,
    /// MQTT in a WebSocket; `None` when it isn't wanted, or without a gateway.
    pub websocket: Option<SocketAddr>,
    /// The same through TLS.
    pub secure_websocket: Option<SocketAddr>,
    /// Page and API; `None` without sinks.
    pub console: Option<SocketAddr>,
    /// Metrics and health.
    pub admin: SocketAddr,
}

/// What every part is built from.
struct Site<'a> {
    config: &'a Config,
    folder: Folder,
    metrics: MetricsRegistry,
    supervisor: Supervisor,
}

impl Sluice {
    /// Builds and starts every part of `role`. What can be wrong with ports and files is found before anything is
    /// started.
    ///
    /// # Errors
    /// The first part that can't be built, in words for the terminal.
    pub async fn start(config: &Config, rules: Ruleset, role: Role) -> Result<Sluice, Failure> {
        role.check(config)?;
        let metrics = MetricsRegistry::new();
        let readiness = Readiness::default();

        // ### Listeners: bound before any part runs, so that a port in use stops nothing half-way.
        let listeners = Listeners::bind(config, role).await?;
        let addresses = listeners.addresses()?;

        // ### Data: the folder, the gateway's spool when there is one, the log.
        let folder = Folder::create(&config.data)?;
        let cluster = Cluster::of(config, &metrics)?;
        let spool = spool::open(config, role, &folder, &metrics).await?;
        let log = log::open(config, role, &folder, cluster.as_ref(), spool.as_ref(), &metrics).await?;
        let mut logs: Vec<Engine> =
            spool.iter().cloned().map(Engine::Embedded).chain([log.clone()]).collect();
        let supervisor = Supervisor::default();
        let mut site = Site { config, folder, metrics: metrics.clone(), supervisor };

        // ### Gateway: devices → telemetry.
        let registry = match listeners.devices {
            None => None,
            Some(doors) => {
                let shedding = spool::shedding(&config.spool, spool.as_ref());
                let to = spool.clone().map_or_else(|| log.clone(), Engine::Embedded);
                let sessions = sessions::open(&to, &site.folder, &metrics)?;
                logs.extend(sessions.own_file());
                let gateway = devices::start(&mut site, to, sessions, shedding, doors)?;

                // ### Results: observations, aggregates, alerts → the gateway's subscribers.
                let whence = match (&spool, &cluster) {
                    (Some(_), Some(cluster)) => Whence::Cluster(Box::new(cluster.clone())),
                    _ => Whence::Log(log.clone()),
                };
                results::start(&mut site, whence, gateway.fanout, gateway.metrics).await?;
                Some(gateway.registry)
            }
        };

        // ### Forwarder: spool → telemetry.
        let mirrored = cluster.clone();
        match (spool, cluster) {
            (Some(spool), Some(cluster)) => spool::forward(&mut site, spool, cluster)?,
            // Without a spool the gateway's place is all that there is to hold.
            (None, Some(_)) if role.has_gateway() => {
                let (log, gateway) = (log.clone(), spool::name(config)?);
                let hold = |stop| async move { claim::hold(&log, &gateway, &stop).await };
                site.supervisor.spawn("gateway's place", hold);
            }
            _ => {}
        }

        // ### Stream: telemetry → observations, aggregates, alerts; aggregates → alerts.
        if role.has_stream() {
            jobs::start(&mut site, &log, rules)?;
        }

        // ### Sinks and console: observations, aggregates, alerts → series, alert book, device book, page, API.
        if let Some(page) = listeners.page {
            outlets::start(&mut site, &log, page).await?;
        }

        // ### Mirror: observations, aggregates, alerts → another deployment's Kafka.
        if role.has_mirror() {
            mirror::start(&mut site, &log, mirrored)?;
        }

        // ### Admin: metrics and health.
        site.supervisor.spawn("admin", {
            let readiness = readiness.clone();
            |stop| async move { Ok(admin::serve(listeners.health, metrics, readiness, stop).await?) }
        });
        readiness.set(true);
        Ok(Sluice { addresses, registry, supervisor: site.supervisor, readiness, logs })
    }

    /// Goes on until `asked` is done or a part ends, then stops all parts and closes the logs.
    ///
    /// # Errors
    /// A part ended that should have gone on.
    pub async fn run_until(self, asked: impl Future<Output = ()>) -> Result<(), Failure> {
        let asked = async {
            asked.await;
            self.readiness.set(false);
        };
        let ending = self.supervisor.run(asked, DEADLINE).await;
        let closing = async {
            for log in &self.logs {
                log.close().await;
            }
        };
        if timeout(CLOSING, closing).await.is_err() {
            warn!("the log has not answered for all that it was handed; that was never acknowledged");
        }
        match ending {
            Ending::Asked => Ok(()),
            Ending::Broken(why) => Err(Failure::failed(why)),
        }
    }
}

pub(crate) fn registered<T>(metrics: Result<T, prometheus::Error>) -> Result<T, Failure> {
    metrics.map_err(|error| Failure::because("metrics", &error))
}
