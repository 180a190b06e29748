//! Puts the stages together, in the order in which data flows, one block a part.

mod devices;
mod influx;
mod jobs;
mod listeners;
mod outlets;
mod webhook;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use embedded::Log;
use gateway::Registry;
use prometheus::Registry as MetricsRegistry;
use records::Topic;
use stream::rule::Ruleset;

use crate::admin::{self, Readiness};
use crate::clock;
use crate::command::Failure;
use crate::config::Config;
use crate::folder::Folder;
use crate::supervise::{Ending, Supervisor};
use listeners::Listeners;

/// All stages together have this long to stop.
const DEADLINE: Duration = Duration::from_secs(20);

/// Everything in one process, running.
pub struct Sluice {
    /// Where it listens.
    pub addresses: Addresses,
    /// Who may connect.
    pub registry: Arc<Registry>,
    supervisor: Supervisor,
    readiness: Readiness,
    log: Log,
}

/// The listeners' addresses, with the ports that the system chose where the configuration says 0.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// MQTT.
    pub mqtt: SocketAddr,
    /// Page and API.
    pub console: SocketAddr,
    /// Metrics and health.
    pub admin: SocketAddr,
}

/// What every part is built from.
struct Site<'a> {
    config: &'a Config,
    folder: Folder,
    log: Log,
    metrics: MetricsRegistry,
    supervisor: Supervisor,
}

impl Sluice {
    /// Builds and starts every part. What can be wrong with ports and files is found before anything is started.
    ///
    /// # Errors
    /// The first part that can't be built, in words for the terminal.
    pub async fn start(config: &Config, rules: Ruleset) -> Result<Sluice, Failure> {
        let metrics = MetricsRegistry::new();
        let readiness = Readiness::default();

        // ### Listeners: bound before any part runs, so that a port in use stops nothing half-way.
        let listeners = Listeners::bind(config).await?;
        let addresses = listeners.addresses()?;

        // ### Data: the folder, the log.
        let folder = Folder::create(&config.data)?;
        let log = open_log(config, &folder, &metrics)?;
        let mut site =
            Site { config, folder, log, metrics: metrics.clone(), supervisor: Supervisor::default() };

        // ### Gateway: devices → telemetry.
        let registry = devices::start(&mut site, listeners.mqtt)?;

        // ### Stream: telemetry → observations, aggregates, alerts; aggregates → alerts.
        jobs::start(&mut site, rules)?;

        // ### Sinks and console: observations, aggregates, alerts → series, alert book, device book, page, API.
        outlets::start(&mut site, listeners.page)?;

        // ### Admin: metrics and health.
        site.supervisor.spawn("admin", {
            let readiness = readiness.clone();
            |stop| async move { Ok(admin::serve(listeners.health, metrics, readiness, stop).await?) }
        });
        readiness.set(true);
        Ok(Sluice { addresses, registry, supervisor: site.supervisor, readiness, log: site.log })
    }

    /// Goes on until `asked` is done or a part ends, then stops all parts and closes the log.
    ///
    /// # Errors
    /// A part ended that should have gone on.
    pub async fn run_until(self, asked: impl Future<Output = ()>) -> Result<(), Failure> {
        let asked = async {
            asked.await;
            self.readiness.set(false);
        };
        let ending = self.supervisor.run(asked, DEADLINE).await;
        self.log.close().await;
        match ending {
            Ending::Asked => Ok(()),
            Ending::Broken(why) => Err(Failure::failed(why)),
        }
    }
}

fn open_log(config: &Config, folder: &Folder, metrics: &MetricsRegistry) -> Result<Log, Failure> {
    let mut options = embedded::Options { budget_bytes: Some(config.log.budget_bytes), ..Default::default() };
    for topic in [Topic::Telemetry, Topic::Observations, Topic::Aggregates] {
        options[topic].partitions = config.log.partitions;
        options[topic].retention.age = Some(config.log.retention);
    }
    let metrics = registered(embedded::Metrics::register(metrics))?;
    Log::open(&folder.log(), options, clock::shared(), metrics)
        .map_err(|error| Failure::because("log", &error))
}

fn registered<T>(metrics: Result<T, prometheus::Error>) -> Result<T, Failure> {
    metrics.map_err(|error| Failure::because("metrics", &error))
}
