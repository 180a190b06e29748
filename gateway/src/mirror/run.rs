//! The loop: reads the chosen topics, and commits copies with positions.

use super::filter::{Choice, Filter};
use super::lane::{Lane, Route};
use super::load::Load;
use super::target::{Notes, Target};
use super::{Metrics, Options, positions};
use crate::Clock;
use crate::forward::Uplink;
use records::{Consumer, LogError, Offset, Record, Timestamp, TopicPartition};
use std::collections::BTreeMap;
use std::future::pending;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// The city's side.
#[derive(Debug)]
pub struct Source<C> {
    /// What this deployment is called; no other is.
    pub city: String,
    /// Tells this log from one that took its place and counts from 0 again.
    pub log: String,
    /// What the deployment at the target is called.
    pub to: String,
    /// A reader of each topic, from where [`positions`] says, or from the oldest record; the most urgent first, at most
    /// three.
    pub readers: Vec<C>,
}

/// Mirroring has ended, and not because it was told to.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// The city's log can't be read: begin again, with new readers.
    #[error("can't read what is to be mirrored")]
    Source(#[source] LogError),
    /// Whether the last copies are visible is not known: begin again, with a new target.
    /// [`LogError::Fenced`]: another mirror of this city may have begun.
    #[error("can't write to the deployment that is mirrored to")]
    Target(#[source] LogError),
}

/// Mirrors until `stop`, or until the source was closed and everything chosen is at the target.
///
/// # Errors
/// See [`MirrorError`]; nothing is lost or doubled by beginning again with what the target has noted.
#[allow(clippy::too_many_arguments, reason = "each is one thing that only the caller knows")]
pub async fn run<C: Consumer, T: Target>(
    source: Source<C>,
    target: T,
    notes: &Notes,
    choice: Choice,
    clock: Clock,
    options: Options,
    metrics: Metrics,
    stop: CancellationToken,
) -> Result<(), MirrorError> {
    let now = Instant::now();
    let next = positions(&source.log, notes);
    let mut lanes = source.readers.into_iter().map(Lane::new);
    let mut mirror = Mirror {
        filter: Filter::new(choice, source.to, notes),
        city: source.city,
        log: source.log,
        lanes: [lanes.next(), lanes.next(), lanes.next()],
        target,
        uplink: Uplink::new(options.uplink_bits_per_second, options.commit_bytes),
        next,
        load: Load::default(),
        commit_at: now + options.position_interval,
        clock,
        options,
        metrics,
    };
    mirror.work(&stop).await?;
    let drain = mirror.options.drain_timeout;
    // What does not get through comes again after the next start.
    timeout(drain, mirror.commit()).await.unwrap_or(Ok(()))
}

struct Mirror<C, T> {
    city: String,
    log: String,
    lanes: [Option<Lane<C>>; 3],
    filter: Filter,
    target: T,
    uplink: Uplink,
    /// Per partition of the source, the next record to look at.
    next: BTreeMap<TopicPartition, Offset>,
    load: Load,
    commit_at: Instant,
    clock: Clock,
    options: Options,
    metrics: Metrics,
}

impl<C: Consumer, T: Target> Mirror<C, T> {
    async fn work(&mut self, stop: &CancellationToken) -> Result<(), MirrorError> {
        loop {
            let [first, second, third] = &mut self.lanes;
            let metrics = &self.metrics;
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = sleep_until(self.commit_at) => self.commit().await?,
                polled = poll(first, metrics) => polled.map_err(MirrorError::Source)?,
                polled = poll(second, metrics) => polled.map_err(MirrorError::Source)?,
                polled = poll(third, metrics) => polled.map_err(MirrorError::Source)?,
            }
            self.fill();
            self.hurry();
            if self.load.is_empty() && self.lanes.iter().flatten().all(Lane::is_over) {
                return Ok(());
            }
        }
    }

    fn fill(&mut self) {
        let Mirror { target, lanes, filter, next, load, metrics, city, .. } = self;
        let partitions = |topic| target.partitions(topic);
        let route = Route { city, partitions: &partitions, bytes: self.uplink.append_bytes() };
        for lane in lanes.iter_mut().flatten() {
            lane.fill(filter, next, &route, load, metrics);
        }
    }

    /// Sees to it that what is loaded does not wait longer than it should, nor goes before the uplink is free.
    fn hurry(&mut self) {
        if self.load.is_empty() {
            return;
        }
        let now = Instant::now();
        let is_full = self.lanes.iter().flatten().any(|lane| !lane.is_waiting() && !lane.is_over());
        let is_due = is_full || self.load.is_urgent;
        let due = if is_due { now } else { now + self.options.commit_interval };
        let due = self.commit_at.min(due);
        self.commit_at = self.uplink.free_at().map_or(due, |free_at| due.max(free_at));
    }

    async fn commit(&mut self) -> Result<(), MirrorError> {
        let mut load = std::mem::take(&mut self.load);
        self.commit_at = Instant::now() + self.options.position_interval;
        if load.positions.is_empty() {
            return Ok(());
        }
        let (sizes, oldest) = (load.sizes(), load.oldest());
        let (copies, mut notes) = load.take(&self.log);
        notes.extend(self.filter.take_news());
        self.uplink.sent(load.bytes, Instant::now());
        self.target.commit(copies, notes).await.map_err(MirrorError::Target)?;
        self.metrics.commits.inc();
        sizes.into_iter().for_each(|(topic, records, bytes)| self.metrics.copied(topic, records, bytes));
        for (topic, at) in oldest {
            self.metrics.lag(topic, (self.clock)().since(at));
        }
        self.release(&load).await
    }

    /// Tells the source what it need not keep for us any more.
    async fn release(&mut self, load: &Load) -> Result<(), MirrorError> {
        for lane in self.lanes.iter_mut().flatten() {
            let Some(topic) = lane.topic() else { continue };
            let of_topic = load.positions.iter().filter(|(at, _)| at.topic == topic);
            let offsets: Vec<_> = of_topic.map(|(at, next)| (*at, *next)).collect();
            if !offsets.is_empty() {
                lane.commit(&offsets).await.map_err(MirrorError::Source)?;
            }
        }
        Ok(())
    }
}

async fn poll<C: Consumer>(lane: &mut Option<Lane<C>>, metrics: &Metrics) -> Result<(), LogError> {
    match lane {
        Some(lane) if lane.is_waiting() => lane.poll(metrics).await,
        _ => pending().await,
    }
}

/// When a record came to be known, by the city's clocks.
pub(super) fn known_at(value: &[u8]) -> Option<Timestamp> {
    match Record::decode(value).ok()? {
        Record::Observation(observation) => Some(observation.ingest_time),
        Record::Aggregate(aggregate) => Some(aggregate.as_of),
        Record::Sighting(sighting) => Some(sighting.as_of),
        Record::Alert(alert) => Some(alert.as_of),
        _ => None,
    }
}
