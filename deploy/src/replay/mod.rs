//! History run again by the same code at full speed: the log's telemetry in, and nothing on the live topics out.
//!
//! The jobs are those of the server; only their pipes differ: one that reads history, and one that passes rows on in
//! memory. So what they compute is what they computed then, as far as the log still has what they computed it from.

mod areas;
mod difference;
mod feed;
mod kept;
mod lane;
mod pace;
mod past;
mod progress;

pub use difference::{Change, Difference, Life, difference, lives_of};
pub use lane::Source;
pub use progress::Read;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kafka::Start;
use prometheus::Registry as MetricsRegistry;
use records::{Alert, Family, Name, Timestamp, Topic, TopicPartition};
use stream::rule::Ruleset;
use stream::{AreaConfig, AreaJob, DeviceConfig, DeviceJob, Partitions, StreamError, Ticker};
use tokio::sync::mpsc::channel;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::command::Failure;
use crate::compose::{device_config, registered, shares};
use crate::config::Config;
use crate::engine::Engine;
use areas::Areas;
use feed::Feed;
use kept::Kept;
use lane::Lane;
use pace::Pace;
use progress::Progress;

/// Batches of rows that wait for the area job.
const WAITING_ROWS: usize = 64;

/// How far behind the last instant that is asked for something may still come that belongs before it, beside what
/// waits for its turn: partitions' ticks and the slack of ingest times.
const TAIL: Duration = Duration::from_secs(5);

/// What is run again.
pub struct Replay {
    /// Where history is.
    pub source: Source,
    /// Partitions of `telemetry`, and of the other topics.
    pub partitions: Partitions,
    /// Tasks that share the partitions of each job.
    pub workers: u32,
    /// How time is judged.
    pub device: DeviceConfig,
    /// The rules.
    pub rules: Ruleset,
    /// Those that hold in the end, when they changed.
    in_the_end: Option<Ruleset>,
    /// Whether they hold throughout, whatever the log says of other rules.
    pub is_trial: bool,
    /// What is looked at, ingest time.
    pub range: Range<Timestamp>,
    /// How long before it reading begins; without one at the oldest record.
    pub warm_up: Option<Duration>,
    /// A folder for a log with all outputs.
    pub into: Option<PathBuf>,
}

/// What came out.
pub struct Replayed {
    /// The alerts' transitions of the range.
    pub alerts: Vec<Alert>,
    /// The same of rules in the shadow, which nobody has been told of.
    pub shadows: Vec<Alert>,
    /// What was read, by partition of `telemetry`.
    pub read: BTreeMap<u32, Read>,
}

impl Replay {
    /// Of the log and the settings of a configuration.
    pub fn new(config: &Config, source: Source, partitions: Partitions, rules: Ruleset) -> Replay {
        Replay {
            source,
            partitions,
            workers: config.stream.workers,
            device: device_config(config),
            rules,
            in_the_end: None,
            is_trial: false,
            range: Timestamp::MIN..Timestamp::MAX,
            warm_up: None,
            into: None,
        }
    }

    /// Where reading begins.
    pub fn start(&self) -> Start {
        match self.warm_up {
            Some(warm_up) if self.range.start > Timestamp::MIN => Start::At(self.range.start - warm_up),
            _ => Start::Earliest,
        }
    }

    /// What the live alerts said in the range.
    ///
    /// # Errors
    /// The log can't be read.
    pub async fn past_alerts(&self) -> Result<Vec<Alert>, Failure> {
        past::alerts(&self.source, self.partitions.alerts, &self.range).await.map_err(unread)
    }

    /// By the rules as they were, when ours are those that hold in the end: begins with what held when the log begins, as
    /// far as it tells, and changes where it changed. Otherwise ours are on trial.
    ///
    /// # Errors
    /// The log can't be read, or has rules that this program can't read.
    pub async fn as_it_was(&mut self) -> Result<(), Failure> {
        let Some((first, last)) = past::changes(&self.source, self.start()).await.map_err(unread)? else {
            return Ok(());
        };
        if last.text != *self.rules.text {
            self.is_trial = true;
            return Ok(());
        }
        let before = Ruleset::parse(&first.replaces).map_err(|_| {
            Failure::failed("the rules that held when the log begins are none that this program can read")
        })?;
        self.in_the_end = Some(std::mem::replace(&mut self.rules, before));
        Ok(())
    }

    /// Runs it.
    ///
    /// # Errors
    /// The log can't be read, or the folder not be written.
    pub async fn run(self) -> Result<Replayed, Failure> {
        let into = self.into.as_deref().map(|dir| open(dir, self.partitions)).transpose()?;
        let shadows = self.shadows();
        let kept = Kept::new(self.range.clone(), into.clone());
        let progress = Arc::new(Progress::default());
        let mut jobs = JoinSet::new();
        self.spawn(&kept, &progress, &mut jobs).await?;
        while let Some(ended) = jobs.join_next().await {
            ended
                .map_err(|error| Failure::because("replay", &error))?
                .map_err(|error| Failure::because("replay", &error))?;
        }
        if let Some(log) = into {
            log.close().await;
        }
        let is_shadow = |alert: &Alert| shadows.contains(&alert.rule);
        let (shadows, alerts) = kept.alerts().into_iter().partition(is_shadow);
        Ok(Replayed { alerts, shadows, read: progress.read() })
    }

    async fn spawn(
        &self,
        kept: &Kept,
        progress: &Arc<Progress>,
        jobs: &mut JoinSet<Result<(), StreamError>>,
    ) -> Result<(), Failure> {
        let metrics = registered(stream::Metrics::register(&MetricsRegistry::new()))?;
        let mut areas = Vec::new();
        for mine in shares(self.partitions.aggregates, self.workers) {
            let (to, rows) = channel(WAITING_ROWS);
            areas.extend(mine.clone().map(|_| to.clone()));
            let actions = past::actions(&self.source, mine.clone(), self.start()).await.map_err(unread)?;
            let (assigned, next, kept) = (mine.collect(), BTreeMap::new(), kept.clone());
            let pipe = Areas { assigned, actions, rows, next, kept };
            let job = AreaJob::new(AreaConfig::default(), self.rules.clone(), self.partitions);
            jobs.spawn(run(pipe, job, metrics.clone()));
        }
        let workers: Vec<_> = shares(self.partitions.telemetry, self.workers).collect();
        let pace = Arc::new(Pace::new(workers.len()));
        for (worker, mine) in workers.into_iter().enumerate() {
            let lane = |partition| {
                let at = TopicPartition { topic: Topic::Telemetry, partition };
                Lane::open(self.source.clone(), at, self.start())
            };
            let feed = Feed {
                worker,
                lanes: mine.clone().map(lane).collect(),
                assigned: mine.collect(),
                until: self.until(),
                pace: pace.clone(),
                progress: progress.clone(),
                areas: areas.clone(),
                kept: kept.clone(),
            };
            let job = DeviceJob::new(self.device.clone(), self.rules.clone(), self.partitions);
            let job = if self.is_trial { job.fixed() } else { job };
            jobs.spawn(run(feed, job, metrics.clone()));
        }
        Ok(())
    }

    /// The rules that are in the shadow in the end.
    fn shadows(&self) -> BTreeSet<Name> {
        let in_the_end = self.in_the_end.as_ref().unwrap_or(&self.rules);
        in_the_end.alerting().filter(|rule| rule.is_shadow).map(|rule| rule.id.clone()).collect()
    }

    /// Up to where must be read so that all of the range is told.
    fn until(&self) -> Timestamp {
        let times = Family::ALL.into_iter().map(|family| self.device.times.of(family));
        let out_of_order = times.map(|times| times.out_of_orderness).max().unwrap_or_default();
        self.range.end + out_of_order + self.rules.longest_wait() + self.device.slack + TAIL
    }
}

fn unread(problem: String) -> Failure {
    Failure::failed(format_args!("log: {problem}"))
}

async fn run(
    pipe: impl records::Pipe,
    job: impl stream::Job,
    metrics: stream::Metrics,
) -> Result<(), StreamError> {
    // Nothing of a replay is recovered: only how much is written at once matters.
    let never = Duration::from_secs(u64::from(u32::MAX));
    let options = stream::Options {
        commit_interval: Duration::from_secs(1),
        snapshot_interval: never,
        snapshot_records: u64::MAX,
        tells_shadows: true,
        ..Default::default()
    };
    stream::run(pipe, job, None::<Ticker<Engine>>, options, metrics, CancellationToken::new()).await
}

/// A new log for the outputs, with as many partitions as the live one.
fn open(dir: &Path, partitions: Partitions) -> Result<embedded::Log, Failure> {
    if dir.join("log.db").exists() {
        return Err(Failure::usage(format_args!("{} holds a log already", dir.display())));
    }
    let mut options = embedded::Options::default();
    options[Topic::Telemetry].partitions = partitions.telemetry;
    options[Topic::Observations].partitions = partitions.observations;
    options[Topic::Aggregates].partitions = partitions.aggregates;
    options[Topic::Alerts].partitions = partitions.alerts;
    options[Topic::Ledger].partitions = partitions.ledger;
    let metrics = registered(embedded::Metrics::register(&MetricsRegistry::new()))?;
    embedded::Log::open(dir, options, clock::shared(), metrics)
        .map_err(|error| Failure::because("the folder of the outputs", &error))
}

/// How many partitions the topics of the embedded log in `dir` have.
///
/// # Errors
/// There is no log, or it can't be read.
pub fn partitions_on_disk(dir: &Path) -> Result<Partitions, Failure> {
    let survey = embedded::stats(dir).map_err(|error| Failure::because("log", &error))?;
    let count = |topic| {
        let of_topic = survey.partitions.iter().filter(|partition| partition.stats.partition.topic == topic);
        u32::try_from(of_topic.count()).expect("a log has few partitions")
    };
    Ok(Partitions {
        telemetry: count(Topic::Telemetry),
        observations: count(Topic::Observations),
        aggregates: count(Topic::Aggregates),
        alerts: count(Topic::Alerts),
        ledger: count(Topic::Ledger),
    })
}
