//! The stream stage: telemetry → observations, aggregates, alerts; aggregates → alerts.

use std::error::Error;
use std::ops::Range;
use std::time::{Duration, Instant};

use records::{Family, LogError, Producer, Topic};
use stream::rule::{RulesSet, Ruleset};
use stream::{AreaConfig, AreaJob, DeviceConfig, DeviceJob, Partitions, StreamError, Ticker, Times};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::rules::{RulesFile, wish};
use super::{Site, registered};
use crate::clock;
use crate::command::Failure;
use crate::config::Config;
use crate::engine::Engine;
use crate::fences::Fences;
use crate::supervise::Chain;

/// Starts both jobs.
///
/// # Errors
/// The metrics are taken.
pub(super) fn start(site: &mut Site<'_>, log: &Engine, rules: Ruleset) -> Result<(), Failure> {
    let metrics = registered(stream::Metrics::register(&site.metrics))?;
    let config = site.config;
    let (wishes, wanted) = watch::channel(wish(&rules));
    let file = config.stream.rules.as_deref().map(|path| RulesFile::new(path, &rules));
    let (device, options) = (device_config(config), stream_options(config));
    let jobs = Jobs { log: log.clone(), rules, wanted, device, options };
    let pipes = log.pipes(config.stream.workers);
    for partitions in shares(log.partitions(Topic::Telemetry), pipes) {
        let (jobs, metrics) = (jobs.clone(), metrics.clone());
        site.supervisor.spawn("device job", |stop| async move {
            kept_up(jobs.log.is_shared(), &stop, || {
                jobs.run_device_job(partitions.clone(), metrics.clone(), stop.clone())
            })
            .await
        });
    }
    for partitions in shares(log.partitions(Topic::Aggregates), pipes) {
        let (jobs, metrics) = (jobs.clone(), metrics.clone());
        site.supervisor.spawn("area job", |stop| async move {
            kept_up(jobs.log.is_shared(), &stop, || {
                jobs.run_area_job(partitions.clone(), metrics.clone(), stop.clone())
            })
            .await
        });
    }
    if let Some(file) = file {
        site.supervisor.spawn("rules file", |stop| async move {
            file.watch(wishes, stop).await;
            Ok(())
        });
    }
    Ok(())
}

/// What every worker of the stream stage is made from.
#[derive(Clone)]
struct Jobs {
    log: Engine,
    /// What partitions begin with.
    rules: Ruleset,
    /// What is to hold.
    wanted: watch::Receiver<RulesSet>,
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
        let (log, wanted) = (self.log.clone(), self.wanted.clone());
        let ticker = Ticker { log, clock: clock::shared(), wanted };
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
        stream::run(pipe, job, None::<Ticker<Engine>>, self.options.clone(), metrics, stop).await
    }
}

/// How long a job waits before it is started again.
const PAUSE: Duration = Duration::from_secs(1);

/// Failures closer together than this are one outage, and told once.
const OUTAGE: Duration = Duration::from_secs(60);

/// Runs a job, and starts it again from its last commit while its log is unavailable (a full disk) or its snapshot
/// was made under another configuration, or when the group of a shared log has lost sight of it. Damage and a second
/// reader are for a person to look at.
async fn kept_up<F>(
    is_shared: bool,
    stop: &CancellationToken,
    run: impl Fn() -> F,
) -> Result<(), Box<dyn Error + Send + Sync>>
where
    F: Future<Output = Result<(), StreamError>>,
{
    let (mut failed_at, mut fences): (Option<Instant>, _) = (None, Fences::default());
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
            Err(error @ StreamError::Log { source: LogError::Fenced, .. })
                if is_shared && fences.may_join_again(Instant::now()) =>
            {
                warn!("{}; nothing is lost, joining again", Chain(&error));
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

/// How the device job judges time, by the configuration.
pub(crate) fn device_config(config: &Config) -> DeviceConfig {
    let (ledger_every, idle_after) = (config.stream.ledger_every, config.stream.idle_after);
    let mut device =
        DeviceConfig { clock: config.clock.clone(), ledger_every, idle_after, ..Default::default() };
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

/// The partitions `0..count` in at most `workers` runs of nearly equal length.
pub(crate) fn shares(count: u32, workers: u32) -> impl Iterator<Item = Range<u32>> {
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
