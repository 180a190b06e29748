//! Puts the stages together, in the order in which data flows, one block a part.

use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use embedded::Log;
use gateway::Registry;
use prometheus::Registry as MetricsRegistry;
use records::{Family, LogError, Producer, Topic};
use sinks::{AlertBook, AlertSink, Ambient, ConsoleState, DeviceBook, DeviceSink, Login, SeriesSink};
use store::Store;
use stream::rule::Ruleset;
use stream::{AreaConfig, AreaJob, DeviceConfig, DeviceJob, Partitions, StreamError, Ticker, Times};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::admin::{self, Readiness};
use crate::clock;
use crate::command::Failure;
use crate::config::Config;
use crate::folder::Folder;
use crate::supervise::{Chain, Ending, Supervisor};

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

impl Sluice {
    /// Builds and starts every part. What can be wrong with ports and files is found before anything is started.
    ///
    /// # Errors
    /// The first part that can't be built, in words for the terminal.
    pub async fn start(config: &Config, rules: Ruleset) -> Result<Sluice, Failure> {
        let metrics = MetricsRegistry::new();
        let readiness = Readiness::default();
        let mut supervisor = Supervisor::default();

        // ### Data: the folder, who may connect, the log.
        let folder = Folder::create(&config.data)?;
        let log = open_log(config, &folder, &metrics)?;
        let registry =
            Registry::open(&folder.registry()).map_err(|error| Failure::because("registry", &error))?;
        let registry = Arc::new(registry);

        // ### Listeners: bound before any part runs, so that a port in use stops nothing half-way.
        let mqtt = listen("gateway.listen", config.gateway.listen).await?;
        let page = listen("console.listen", config.console.listen).await?;
        let health = listen("admin.listen", config.admin.listen).await?;
        let addresses = Addresses { mqtt: bound(&mqtt)?, console: bound(&page)?, admin: bound(&health)? };

        // ### Gateway: devices → telemetry.
        let gateway_metrics = Arc::new(registered(gateway::Metrics::register(&metrics))?);
        let limits = gateway_limits(config);
        supervisor.spawn("gateway", {
            let (log, registry) = (log.clone(), registry.clone());
            |stop| async move {
                let gateway =
                    gateway::run(mqtt, log, registry, clock::shared(), limits, gateway_metrics, stop);
                Ok(gateway.await?)
            }
        });

        // ### Stream: telemetry → observations, aggregates, alerts; aggregates → alerts.
        let stream_metrics = registered(stream::Metrics::register(&metrics))?;
        let jobs =
            Jobs { log: log.clone(), rules, device: device_config(config), options: stream_options(config) };
        for partitions in shares(log.partitions(Topic::Telemetry), config.stream.workers) {
            let (jobs, metrics) = (jobs.clone(), stream_metrics.clone());
            supervisor.spawn("device job", |stop| async move {
                kept_up(&stop, || jobs.run_device_job(partitions.clone(), metrics.clone(), stop.clone()))
                    .await
            });
        }
        for partitions in shares(log.partitions(Topic::Aggregates), config.stream.workers) {
            let (jobs, metrics) = (jobs.clone(), stream_metrics.clone());
            supervisor.spawn("area job", |stop| async move {
                kept_up(&stop, || jobs.run_area_job(partitions.clone(), metrics.clone(), stop.clone())).await
            });
        }

        // ### Sinks: observations, aggregates, alerts → series, alert book, device book.
        let sink_metrics = registered(sinks::Metrics::register(&metrics))?;
        let store = open_store(config, &folder.series(), &log)?;
        let alerts =
            AlertBook::open(&folder.alerts()).map_err(|error| Failure::because("alert book", &error))?;
        let devices =
            DeviceBook::open(&folder.devices()).map_err(|error| Failure::because("device book", &error))?;
        let (alerts, devices) = (Arc::new(alerts), Arc::new(devices));
        let ambient = |seed| Ambient { metrics: sink_metrics.clone(), clock: clock::shared(), seed };
        supervisor.spawn("series sink", {
            let consumer = log.consumer("series", SeriesSink::TOPICS);
            let (sink_metrics, ambient) = (sink_metrics.clone(), ambient(1));
            let sink = SeriesSink::new(store.clone(), clock::shared(), config.store.seal_age, sink_metrics);
            |stop| async move { Ok(sinks::run(consumer, sink, ambient, stop).await?) }
        });
        supervisor.spawn("alert sink", {
            let consumer = log.consumer("alerts", AlertSink::TOPICS);
            let (sink, ambient) = (AlertSink::new(alerts.clone(), sink_metrics.clone()), ambient(2));
            |stop| async move { Ok(sinks::run(consumer, sink, ambient, stop).await?) }
        });
        supervisor.spawn("device sink", {
            let consumer = log.consumer("devices", DeviceSink::TOPICS);
            let (sink, ambient) = (DeviceSink::new(devices.clone()), ambient(3));
            |stop| async move { Ok(sinks::run(consumer, sink, ambient, stop).await?) }
        });

        // ### Console: pages, API, live feed.
        let login = login(config)?;
        supervisor.spawn("console", {
            let actions = sinks::console::Actions::new(log.clone());
            |stop| async move {
                let state = ConsoleState {
                    store,
                    alerts,
                    devices,
                    actions,
                    clock: clock::shared(),
                    login,
                    metrics: sink_metrics,
                    stop: stop.clone(),
                };
                Ok(sinks::console::serve(page, sinks::console::router(state), stop).await?)
            }
        });

        // ### Admin: metrics and health.
        supervisor.spawn("admin", {
            let readiness = readiness.clone();
            |stop| async move { Ok(admin::serve(health, metrics, readiness, stop).await?) }
        });
        readiness.set(true);
        Ok(Sluice { addresses, registry, supervisor, readiness, log })
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

/// What every worker of the stream stage is made from.
#[derive(Clone)]
struct Jobs {
    log: Log,
    rules: Ruleset,
    device: DeviceConfig,
    options: stream::Options,
}

impl Jobs {
    async fn run_device_job(
        &self,
        partitions: Range<u32>,
        metrics: stream::Metrics,
        stop: CancellationToken,
    ) -> Result<(), StreamError> {
        let pipe = self.log.pipe("device", Topic::Telemetry, partitions);
        let job = DeviceJob::new(self.device.clone(), self.rules.clone(), Partitions::of(&self.log));
        let ticker = Ticker { log: self.log.clone(), clock: clock::shared() };
        stream::run(pipe, job, Some(ticker), self.options.clone(), metrics, stop).await
    }

    async fn run_area_job(
        &self,
        partitions: Range<u32>,
        metrics: stream::Metrics,
        stop: CancellationToken,
    ) -> Result<(), StreamError> {
        let pipe = self.log.pipe("area", Topic::Aggregates, partitions);
        let job = AreaJob::new(AreaConfig::default(), self.rules.clone(), Partitions::of(&self.log));
        stream::run(pipe, job, None::<Ticker<Log>>, self.options.clone(), metrics, stop).await
    }
}

/// How long a job waits before it is started again.
const PAUSE: Duration = Duration::from_secs(1);

/// Failures closer together than this are one outage, and told once.
const OUTAGE: Duration = Duration::from_secs(60);

/// Runs a job, and starts it again from its last commit while its log is unavailable (a full disk) or its snapshot
/// was made under another configuration. Damage and a second reader are for a person to look at.
async fn kept_up<F>(stop: &CancellationToken, run: impl Fn() -> F) -> Result<(), Box<dyn Error + Send + Sync>>
where
    F: Future<Output = Result<(), StreamError>>,
{
    let mut failed_at: Option<Instant> = None;
    loop {
        match run().await {
            Ok(()) => return Ok(()),
            Err(error @ StreamError::Log { source: LogError::Unavailable(_), .. }) => {
                let is_news =
                    failed_at.replace(Instant::now()).is_none_or(|before| before.elapsed() > OUTAGE);
                if is_news {
                    warn!("{}; nothing is lost, trying again every second", Chain(&error));
                }
            }
            Err(error @ StreamError::Reset { .. }) => {
                info!("{}", Chain(&error));
                continue;
            }
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

fn device_config(config: &Config) -> DeviceConfig {
    let mut device = DeviceConfig { clock: config.clock.clone(), ..Default::default() };
    for family in Family::ALL {
        *device.times.of_mut(family) = Times {
            out_of_orderness: config.stream.out_of_orderness,
            patience: config.stream.patience,
            allowed_lateness: config.stream.allowed_lateness,
        };
    }
    device
}

fn stream_options(config: &Config) -> stream::Options {
    stream::Options { commit_interval: config.stream.commit_interval, ..Default::default() }
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

/// Log and series are a pair: series that are ahead of the log would take its next records for known ones.
fn open_store(config: &Config, path: &Path, log: &Log) -> Result<Store, Failure> {
    let options = store::Options {
        seal_age: config.store.seal_age,
        retention: Some(config.store.retention),
        ..Default::default()
    };
    let store = Store::open(path, options).map_err(|error| Failure::because("time series", &error))?;
    let ends: BTreeMap<_, _> = log.stats().partitions.iter().map(|at| (at.partition, at.next)).collect();
    let ahead = store.offsets().into_iter().find(|(at, next)| ends.get(at).is_none_or(|end| next > end));
    match ahead {
        None => Ok(store),
        Some((at, next)) => Err(Failure::failed(format_args!(
            "the series in {} know {at} up to offset {next}, and the log ends before: they belong to another log. \
             Put the log back, or move the series away",
            path.display()
        ))),
    }
}

fn gateway_limits(config: &Config) -> gateway::Limits {
    gateway::Limits {
        max_connections: usize::try_from(config.gateway.max_connections).unwrap_or(usize::MAX),
        max_payload: usize::try_from(config.gateway.max_payload_bytes).unwrap_or(usize::MAX),
        connect_timeout: config.gateway.connect_timeout,
        ..Default::default()
    }
}

fn login(config: &Config) -> Result<Option<Login>, Failure> {
    let Some(login) = &config.console.login else { return Ok(None) };
    let made = Login::new(login.operator.as_str().into(), &login.password_hash);
    made.map(Some).ok_or_else(|| Failure::usage("console.password_hash is not an argon2id hash"))
}

async fn listen(key: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| Failure::because(format_args!("{key} = \"{address}\""), &error))
}

fn bound(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(|error| Failure::because("listener", &error))
}

fn registered<T>(metrics: Result<T, prometheus::Error>) -> Result<T, Failure> {
    metrics.map_err(|error| Failure::because("metrics", &error))
}

/// The partitions `0..count` in at most `workers` runs of nearly equal length.
fn shares(count: u32, workers: u32) -> impl Iterator<Item = Range<u32>> {
    let workers = workers.clamp(1, count.max(1));
    (0..workers).map(move |worker| count * worker / workers..count * (worker + 1) / workers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_has_one_worker() {
        let check = |count, workers, expected: &[(u32, u32)]| {
            let shares: Vec<_> = shares(count, workers).map(|share| (share.start, share.end)).collect();
            assert_eq!(shares, expected, "{count} over {workers}");
        };
        check(4, 2, &[(0, 2), (2, 4)]);
        check(4, 3, &[(0, 1), (1, 2), (2, 4)]);
        check(1, 8, &[(0, 1)]);
        check(5, 1, &[(0, 5)]);
    }
}
