//! The loop: reads the spool in both lanes, appends to the target, commits what the target has acknowledged.

use super::lanes::{Held, Lanes};
use super::load::Load;
use super::pace::Pace;
use super::{ForwardError, Metrics, Options};
use crate::Clock;
use crate::outage::backoff;
use records::{
    AppendError, Consumer, Fetched, LogError, Offset, Producer, Record, Timestamp, TopicPartition,
};
use std::collections::BTreeMap;
use std::error::Error;
use std::future::pending;
use std::pin::Pin;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// What is forwarded: two readers of the same topics of the gateway's own log, each in a group of its own that no one
/// else uses.
#[derive(Debug)]
pub struct Spool<C> {
    /// The gateway's id, for the origin of each record: at most 255 bytes, and no other gateway's.
    pub gateway: String,
    /// When the spool was made, which tells it from an older one of this gateway.
    pub made: Timestamp,
    /// Reads ahead. Its commits follow those of `backlog`, so that it never begins behind it.
    pub live: C,
    /// Reads what had to wait.
    pub backlog: C,
}

/// Forwards until `stop`, or until the spool was closed and everything in it is on the target.
///
/// Every record of the spool is appended to the topic of the same name, in the partition that its key has there, with
/// its origin; and is committed when the target has acknowledged it. A target that refuses is offered the same again
/// for as long as it takes. After `stop` an append that is under way may take [`Options::drain_timeout`].
///
/// # Errors
/// [`ForwardError::Spool`] when the spool can't be read or committed: start again with new readers.
/// [`ForwardError::TargetClosed`] when the target was closed under the forwarder, [`ForwardError::Refused`] when it will
/// not take a record, which nothing behind it may overtake.
pub async fn run<C: Consumer, P: Producer>(
    spool: Spool<C>,
    target: P,
    clock: Clock,
    options: Options,
    metrics: Metrics,
    stop: CancellationToken,
) -> Result<(), ForwardError> {
    let now = Instant::now();
    let made = u64::try_from(spool.made.millis()).unwrap_or(0);
    let pace = Pace::new(&options, now);
    let mut forwarder = Forwarder {
        lanes: Lanes::new(spool.gateway, made, pace.live_bytes()),
        live: Reader { consumer: spool.live, is_open: true },
        backlog: Reader { consumer: spool.backlog, is_open: true },
        target,
        clock,
        pace,
        commit_at: now + options.commit_interval,
        options,
        metrics,
        held: None,
        left_bytes: 0,
        gathering: Load::default(),
        under_way: None,
        is_down: false,
        committed: BTreeMap::new(),
    };
    forwarder.work(&stop).await?;
    forwarder.finish().await
}

struct Forwarder<C, P> {
    lanes: Lanes,
    live: Reader<C>,
    backlog: Reader<C>,
    target: P,
    clock: Clock,
    options: Options,
    metrics: Metrics,
    pace: Pace,
    /// What the backlog's reader has given and had to wait.
    held: Option<Held>,
    /// Bytes that were left to the backlog's reader and are not on the target.
    left_bytes: usize,
    /// For the next append.
    gathering: Load,
    /// The one append, so that records stand in its order whatever fails.
    under_way: Option<UnderWay>,
    /// Whether the target has refused the last append.
    is_down: bool,
    commit_at: Instant,
    committed: BTreeMap<TopicPartition, Offset>,
}

struct Reader<C> {
    consumer: C,
    is_open: bool,
}

struct UnderWay {
    load: Load,
    step: Step,
    attempt: u32,
}

type Answer = Result<Vec<Offset>, AppendError>;

enum Step {
    Appending(Pin<Box<dyn Future<Output = Answer> + Send>>),
    BackingOff(Instant),
}

/// What was waited for.
enum Turn {
    Stop,
    Answer(Answer),
    Live(Option<Fetched>),
    Backlog(Option<Fetched>),
    Time,
}

impl<C: Consumer, P: Producer> Forwarder<C, P> {
    async fn work(&mut self, stop: &CancellationToken) -> Result<(), ForwardError> {
        while !self.is_done() {
            match self.turn(stop).await? {
                Turn::Stop => return Ok(()),
                Turn::Answer(answer) => self.take(answer)?,
                Turn::Live(Some(fetched)) => self.arrive(&fetched),
                Turn::Live(None) => self.live.is_open = false,
                Turn::Backlog(Some(fetched)) => self.held = self.lanes.hold(fetched),
                Turn::Backlog(None) => self.backlog.is_open = false,
                Turn::Time => {}
            }
            let now = Instant::now();
            self.pick(now);
            self.send(now);
            if now >= self.commit_at {
                self.commit().await?;
                self.commit_at = Instant::now() + self.options.commit_interval;
            }
        }
        Ok(())
    }

    async fn turn(&mut self, stop: &CancellationToken) -> Result<Turn, ForwardError> {
        let wake_at = self.wake_at();
        tokio::select! {
            () = stop.cancelled() => Ok(Turn::Stop),
            answer = answer(&mut self.under_way) => Ok(Turn::Answer(answer)),
            fetched = self.live.consumer.poll(), if self.live.is_open => in_spool(fetched).map(Turn::Live),
            fetched = self.backlog.consumer.poll(), if self.backlog.is_open && self.held.is_none() => {
                in_spool(fetched).map(Turn::Backlog)
            }
            () = sleep_until(wake_at) => Ok(Turn::Time),
        }
    }

    fn is_done(&self) -> bool {
        let is_read = !self.live.is_open && !self.backlog.is_open && self.held.is_none();
        is_read && self.gathering.is_empty() && self.under_way.is_none()
    }

    /// When to look again if nothing happens until then.
    fn wake_at(&self) -> Instant {
        let append_at = match &self.under_way {
            Some(UnderWay { step: Step::BackingOff(until), .. }) => Some(*until),
            Some(_) => None,
            None => self.pace.free_at().filter(|_| !self.gathering.is_empty()),
        };
        let backlog_at = self.held.is_some().then(|| self.pace.backlog_ready_at());
        // What may go already waits for something else than time.
        let backlog_at = backlog_at.filter(|at| *at > Instant::now());
        [append_at, backlog_at].into_iter().flatten().fold(self.commit_at, Instant::min)
    }

    fn arrive(&mut self, fetched: &Fetched) {
        let partitions = self.target.partitions(fetched.partition.topic);
        let (live_bytes, load) = (self.pace.live_bytes(), &mut self.gathering);
        let left = self.lanes.arrive(fetched, partitions, live_bytes, load);
        self.left_bytes += left.bytes;
        if !self.is_down {
            self.pace.grew(left.records, left.bytes);
        }
    }

    /// Short backlogs first, then as much of the others as may go.
    fn pick(&mut self, now: Instant) {
        let (live_bytes, target) = (self.pace.live_bytes(), &self.target);
        self.lanes.catch_up(|topic| target.partitions(topic), live_bytes, &mut self.gathering);
        let Some(held) = self.held.take() else { return };
        let partitions = self.target.partitions(held.partition().topic);
        let before = self.gathering.backlog;
        let room = self.pace.backlog(now, before);
        self.held = self.lanes.pick(held, partitions, room, &mut self.gathering);
        let after = self.gathering.backlog;
        self.pace.took(after.records - before.records, after.bytes - before.bytes);
    }

    /// Begins an append when none is under way and the uplink is free.
    fn send(&mut self, now: Instant) {
        let due = match self.under_way.take() {
            Some(UnderWay { step: Step::BackingOff(until), load, attempt }) if until <= now => {
                (load, attempt)
            }
            None if !self.gathering.is_empty() && self.pace.free_at().is_none_or(|at| at <= now) => {
                (std::mem::take(&mut self.gathering), 0)
            }
            other => {
                self.under_way = other;
                return;
            }
        };
        let (load, attempt) = due;
        self.pace.sent(load.bytes(), now);
        let (target, batches) = (self.target.clone(), load.batches());
        let step = Step::Appending(Box::pin(async move { target.append(batches).await }));
        self.under_way = Some(UnderWay { load, step, attempt });
    }

    /// The target has answered.
    fn take(&mut self, answer: Answer) -> Result<(), ForwardError> {
        let Some(UnderWay { load, attempt, .. }) = self.under_way.take() else { return Ok(()) };
        match answer {
            Ok(_) => self.settle(&load),
            Err(AppendError::Closed) => return Err(ForwardError::TargetClosed),
            Err(error @ AppendError::Refused(_)) => return Err(ForwardError::Refused(error)),
            Err(error) => {
                self.refused(&error);
                let step = Step::BackingOff(Instant::now() + backoff(attempt));
                self.under_way = Some(UnderWay { load, step, attempt: attempt + 1 });
            }
        }
        Ok(())
    }

    fn settle(&mut self, load: &Load) {
        self.left_bytes = self.left_bytes.saturating_sub(load.backlog.bytes);
        self.metrics.live.count(load.live);
        self.metrics.backlog.count(load.backlog);
        if std::mem::take(&mut self.is_down) {
            self.metrics.is_down.set(0);
            tracing::info!("the target takes records again");
        }
    }

    fn refused(&mut self, error: &AppendError) {
        self.metrics.retries.inc();
        if !std::mem::replace(&mut self.is_down, true) {
            self.metrics.is_down.set(1);
            self.metrics.outages.inc();
            let cause = error.source().map(ToString::to_string);
            tracing::warn!(%error, cause, "the target takes nothing: the spool keeps what comes");
        }
    }

    /// Lets the last append end, if the target answers, and commits.
    async fn finish(mut self) -> Result<(), ForwardError> {
        let is_appending = matches!(&self.under_way, Some(UnderWay { step: Step::Appending(_), .. }));
        if is_appending
            && let Ok(answer) = timeout(self.options.drain_timeout, answer(&mut self.under_way)).await
        {
            self.take(answer)?;
        }
        self.commit().await
    }

    /// Remembers on the spool what is on the target: first for the backlog's reader, so that the live one never begins
    /// behind it and no record is passed over by both.
    async fn commit(&mut self) -> Result<(), ForwardError> {
        let positions = self.lanes.positions(&self.loads().collect::<Vec<_>>());
        self.tell_lag(&positions);
        let is_new = |(from, offset): &(TopicPartition, Offset)| self.committed.get(from) != Some(offset);
        let moved: Vec<_> = positions.into_iter().filter(is_new).collect();
        if moved.is_empty() {
            return Ok(());
        }
        in_spool(self.backlog.consumer.commit(&moved).await)?;
        in_spool(self.live.consumer.commit(&moved).await)?;
        self.committed.extend(moved);
        Ok(())
    }

    /// What the target has not acknowledged.
    fn loads(&self) -> impl Iterator<Item = &Load> {
        let under_way = self.under_way.as_ref().map(|under_way| &under_way.load);
        under_way.into_iter().chain([&self.gathering])
    }

    fn tell_lag(&mut self, positions: &[(TopicPartition, Offset)]) {
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        if self.lanes.behind() == 0 {
            // Retention may have removed what was left.
            self.left_bytes = 0;
        }
        self.metrics.lag_records.set(gauge(self.lanes.lag(positions)));
        self.metrics.devices_behind.set(gauge(self.lanes.behind() as u64));
        let live_bytes: usize = self.loads().map(|load| load.live.bytes).sum();
        self.metrics.lag_bytes.set(gauge((live_bytes + self.lanes.short_bytes() + self.left_bytes) as u64));
        let oldest = self.held.iter().filter_map(Held::oldest).chain(self.loads().flat_map(Load::firsts));
        let oldest = oldest.filter_map(ingest_time).min();
        let age = oldest.map_or(0, |oldest| (self.clock)().since(oldest).as_secs());
        self.metrics.lag_seconds.set(gauge(age));
    }
}

/// The answer to the append that is under way, whenever there is one.
async fn answer(under_way: &mut Option<UnderWay>) -> Answer {
    match under_way {
        Some(UnderWay { step: Step::Appending(append), .. }) => append.await,
        _ => pending().await,
    }
}

fn in_spool<T>(result: Result<T, LogError>) -> Result<T, ForwardError> {
    result.map_err(ForwardError::Spool)
}

/// When the gateway got it. A registry entry is as old as the entry and tells nothing.
fn ingest_time(value: &[u8]) -> Option<Timestamp> {
    match Record::decode(value).ok()? {
        Record::Observation(observation) => Some(observation.ingest_time),
        Record::Quarantined(quarantined) => Some(quarantined.ingest_time),
        _ => None,
    }
}
