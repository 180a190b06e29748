//! Both jobs over a log in memory, to the end of the input, whatever happens on the way.

use super::fleet::{self, Chance, Input};
use records::{
    Aggregate, Alert, Commit, Delivery, LogError, MemoryLog, Name, Observation, Pipe, Record, Sighting, Topic,
};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::ops::Range;
use std::task::Poll;
use stream::rule::Ruleset;
use stream::{AreaConfig, AreaJob, DeviceConfig, DeviceJob, Job, Metrics, Options, Partitions, StreamError};
use tokio_util::sync::CancellationToken;

/// What came out. Sorted where the order is nobody's promise.
#[derive(Debug, PartialEq)]
pub struct Output {
    /// In order, per device.
    pub observations: BTreeMap<Name, Vec<Observation>>,
    /// In order, per series.
    pub aggregates: BTreeMap<(Name, Name), Vec<Aggregate>>,
    /// In order, per reader.
    pub sightings: BTreeMap<Name, Vec<Sighting>>,
    /// In order, per alert.
    pub alerts: BTreeMap<Name, Vec<Alert>>,
}

/// A log with that many partitions of `telemetry`, and another number of the others.
pub fn log(telemetry: u32, others: u32) -> MemoryLog {
    MemoryLog::new(move |topic| if topic == Topic::Telemetry { telemetry } else { others })
}

/// How a run is disturbed.
#[derive(Clone, Debug)]
pub struct Disturbance {
    /// Decides when commits fail.
    pub seed: u64,
    /// How many commits in a hundred fail.
    pub failing_percent: u64,
    /// How often is committed and snapshot.
    pub options: Options,
    /// How time is judged.
    pub config: DeviceConfig,
    /// How many workers share the partitions of each job.
    pub workers: u32,
}

/// No disturbance.
pub fn calm() -> Disturbance {
    Disturbance {
        seed: 0,
        failing_percent: 0,
        options: Options::default(),
        config: DeviceConfig::default(),
        workers: 1,
    }
}

/// The built-in rules, and a user-defined job of every windowing.
pub const RULES: &str = concat!(include_str!("../../rules/default.toml"), include_str!("jobs.toml"));

fn rules() -> Ruleset {
    Ruleset::parse(RULES).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// Runs the device job, then the area job, each started again after every failure.
pub async fn run(log: &MemoryLog, disturbance: &Disturbance) -> Output {
    log.close();
    let partitions = Partitions::of(log);
    let device = || DeviceJob::new(disturbance.config.clone(), rules(), partitions);
    run_job(log, Topic::Telemetry, partitions.telemetry, device, disturbance).await;
    let area = || AreaJob::new(AreaConfig::default(), rules(), partitions);
    run_job(log, Topic::Aggregates, partitions.aggregates, area, disturbance).await;
    collect(log)
}

/// The same over a log that was filled with `inputs`, ticks of the clock among them, in batches of so many records.
pub fn run_over(
    inputs: &[Input],
    partitions: (u32, u32),
    ticks: u64,
    disturbance: &Disturbance,
    batch: usize,
) -> Output {
    block_on(async {
        let log = log(partitions.0, partitions.1);
        log.limit_batches(batch);
        fleet::append(&log, inputs, Chance(ticks)).await;
        run(&log, disturbance).await
    })
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime can be built")
        .block_on(future)
}

async fn run_job<J: Job>(
    log: &MemoryLog,
    topic: Topic,
    partitions: u32,
    job: impl Fn() -> J,
    disturbance: &Disturbance,
) {
    let share = |worker: u32| {
        let bound = |worker: u32| partitions * worker / disturbance.workers;
        run_worker(log, topic, bound(worker)..bound(worker + 1), &job, disturbance)
    };
    let mut workers: Vec<_> = (0..disturbance.workers).map(|worker| Some(Box::pin(share(worker)))).collect();
    // One after the other is polled: whichever is ready goes on.
    poll_fn(|cx| {
        for worker in &mut workers {
            let is_done = worker.as_mut().is_some_and(|running| running.as_mut().poll(cx).is_ready());
            if is_done {
                *worker = None;
            }
        }
        if workers.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

async fn run_worker<J: Job>(
    log: &MemoryLog,
    topic: Topic,
    partitions: Range<u32>,
    job: &impl Fn() -> J,
    disturbance: &Disturbance,
) {
    let mut chance = Chance(disturbance.seed);
    loop {
        let pipe = log.pipe(job().name(), topic, partitions.clone());
        let pipe =
            Flaky { pipe, chance: Chance(chance.below(u64::MAX)), percent: disturbance.failing_percent };
        let metrics = Metrics::register(&prometheus::Registry::new()).expect("a fresh registry");
        let options = disturbance.options.clone();
        let stop = CancellationToken::new();
        match stream::run::<MemoryLog>(pipe, job(), None, options, metrics, stop).await {
            Ok(()) => return,
            Err(StreamError::Log { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// A pipe whose commits fail: some without effect, some after they had it.
struct Flaky<P> {
    pipe: P,
    chance: Chance,
    percent: u64,
}

impl<P: Pipe> Pipe for Flaky<P> {
    async fn poll(&mut self) -> Result<Option<Delivery>, LogError> {
        self.pipe.poll().await
    }

    async fn commit(&mut self, commit: Commit) -> Result<(), LogError> {
        let fails = self.chance.percent(self.percent);
        if fails && self.chance.percent(50) {
            return Err(LogError::Unavailable("injected, lost".into()));
        }
        self.pipe.commit(commit).await?;
        if fails { Err(LogError::Unavailable("injected, in doubt".into())) } else { Ok(()) }
    }
}

fn collect(log: &MemoryLog) -> Output {
    let mut output = Output {
        observations: BTreeMap::new(),
        aggregates: BTreeMap::new(),
        sightings: BTreeMap::new(),
        alerts: BTreeMap::new(),
    };
    for record in log.decoded(Topic::Observations) {
        if let Record::Observation(message) = record {
            output.observations.entry(message.device.clone()).or_default().push(message);
        }
    }
    for record in log.decoded(Topic::Aggregates) {
        match record {
            Record::Aggregate(row) => {
                let series = (row.subject.name().clone(), row.quantity.name().into());
                output.aggregates.entry(series).or_default().push(row);
            }
            Record::Sighting(row) => output.sightings.entry(row.device.clone()).or_default().push(row),
            _ => {}
        }
    }
    for record in log.decoded(Topic::Alerts) {
        if let Record::Alert(alert) = record {
            output.alerts.entry(alert.id.clone()).or_default().push(*alert);
        }
    }
    output
}
