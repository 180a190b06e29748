//! Topics `observations` and `aggregates` into the local store of time series.

use crate::blocking::blocking;
use crate::happenings;
use crate::sink::decoded;
use crate::{Clock, Metrics, Sink, SinkError, Written};
use records::{Aggregate, Body, Fetched, Name, Observation, Offset, Quality, Reading, Record, Subject};
use records::{Timestamp, Topic, TopicPartition};
use std::collections::BTreeMap;
use std::sync::Arc;
use store::{AggregateRow, HappeningRow, RawRow, Store, StoreError};
use tokio::task::JoinHandle;
use tokio::time::{Duration, Instant};

/// How often days that are over are merged and old ones removed.
const MAINTENANCE: Duration = Duration::from_secs(600);

/// Writes rows that queries see at once, and seals them by age or number. The seal carries the log's offsets, so
/// that each record is in the store exactly once, whatever was committed to the log.
pub struct SeriesSink {
    store: Store,
    clock: Clock,
    metrics: Metrics,
    seal_age: Duration,
    due: Option<Instant>,
    /// Offsets below which everything is in the store, sealed or in memory.
    next: BTreeMap<TopicPartition, Offset>,
    upkeep: Option<JoinHandle<()>>,
    maintained_at: Option<Timestamp>,
}

impl SeriesSink {
    /// What to read.
    pub const TOPICS: &'static [Topic] = &[Topic::Observations, Topic::Aggregates];

    /// A sink into `store` that seals what is older than `seal_age`; the store says how many rows are too many.
    pub fn new(store: Store, clock: Clock, seal_age: Duration, metrics: Metrics) -> SeriesSink {
        let next = store.offsets().into_iter().collect();
        SeriesSink { store, clock, metrics, seal_age, due: None, next, upkeep: None, maintained_at: None }
    }

    /// Merges and removes files beside the loop, so that writing does not wait for it.
    fn start_upkeep(&mut self) {
        if self.upkeep.as_ref().is_some_and(|upkeep| !upkeep.is_finished()) {
            return;
        }
        let now = (self.clock)();
        let is_due = self.maintained_at.is_none_or(|at| now.since(at) >= MAINTENANCE);
        if is_due {
            self.maintained_at = Some(now);
        }
        let store = self.store.clone();
        self.upkeep = Some(tokio::task::spawn_blocking(move || {
            let result = store.compact().and_then(|_| if is_due { store.maintain(now) } else { Ok(0) });
            if let Err(error) = result {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "upkeep of the store failed; it is tried again"
                );
            }
        }));
    }
}

impl Sink for SeriesSink {
    fn name(&self) -> &'static str {
        "series"
    }

    async fn write(&mut self, fetched: &Fetched) -> Result<Written, SinkError> {
        let from = self.next.get(&fetched.partition).copied().unwrap_or(0);
        if fetched.first < from {
            tracing::info!(partition = %fetched.partition, offset = fetched.first, from, "the store has this already");
        }
        let (store, fetched, clock) = (self.store.clone(), fetched.clone(), Arc::clone(&self.clock));
        let (partition, next) = (fetched.partition, fetched.next());
        let (written, is_due) = blocking(move || {
            let mut written = Written::default();
            let is_over_bound = write_rows(&store, &fetched, from, &mut written);
            (written, is_over_bound || store.is_seal_due(clock()))
        })
        .await;
        self.next.insert(partition, next.max(from));
        let seal_at = if is_due { Instant::now() } else { Instant::now() + self.seal_age };
        self.due = self.due.min(Some(seal_at)).or(Some(seal_at));
        Ok(written)
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        let offsets: Vec<_> = self.next.iter().map(|(partition, next)| (*partition, *next)).collect();
        let store = self.store.clone();
        let sealed = blocking(move || store.seal(&offsets)).await.map_err(sink_error)?;
        self.metrics.sealed(sealed.rows, sealed.bytes);
        self.due = None;
        self.start_upkeep();
        Ok(())
    }

    fn flush_due(&self) -> Option<Instant> {
        self.due
    }

    /// Upkeep holds the store, which only one process may have open.
    async fn end(&mut self) {
        if let Some(upkeep) = self.upkeep.take()
            && let Err(error) = upkeep.await
        {
            tracing::warn!(%error, "upkeep of the store did not end well; it is done again after the next start");
        }
    }
}

/// The name of an area's series: the store has one space of names, and a device's never holds a slash.
pub(crate) fn area_series(area: &str) -> Name {
    Name::from(format!("area/{area}"))
}

fn sink_error(error: StoreError) -> SinkError {
    match error {
        StoreError::Full(_) | StoreError::Unavailable(_) => SinkError::unavailable(error),
        StoreError::InUse { .. }
        | StoreError::Version { .. }
        | StoreError::TooManyRows { .. }
        | StoreError::Stopped => SinkError::Rejected(error.to_string()),
    }
}

/// Writes the rows of the records from offset `from` on. Returns whether memory is full.
fn write_rows(store: &Store, fetched: &Fetched, from: Offset, written: &mut Written) -> bool {
    let mut rows = Rows::default();
    for (_, record) in decoded(fetched, from, written) {
        if let Some(ingest_time) = rows.add(record) {
            written.saw(ingest_time);
        }
    }
    let outcome = rows.write_to(store);
    written.rows = outcome.accepted as u64;
    if outcome.refused > 0 {
        tracing::error!(partition = %fetched.partition, rows = outcome.refused, "rows that can't be stored were left out");
    }
    outcome.is_over_bound
}

/// What records leave in the store.
#[derive(Default)]
pub struct Rows {
    /// Raw values.
    pub raw: Vec<RawRow>,
    /// Windows.
    pub windows: Vec<AggregateRow>,
    /// What happened once.
    pub happenings: Vec<HappeningRow>,
}

impl Rows {
    /// Adds the rows of a record, and tells its ingest time if it had any.
    pub fn add(&mut self, record: Record) -> Option<Timestamp> {
        match record {
            Record::Observation(observation) => {
                let ingest_time = observation.ingest_time;
                happenings::of_observation(&mut self.happenings, &observation);
                raw_rows(&mut self.raw, observation);
                Some(ingest_time)
            }
            Record::Aggregate(aggregate) => {
                let as_of = aggregate.as_of;
                self.windows.push(window_row(aggregate));
                Some(as_of)
            }
            Record::Sighting(sighting) => {
                let as_of = sighting.as_of;
                self.happenings.push(happenings::of_sighting(sighting));
                Some(as_of)
            }
            _ => None,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.raw.len() + self.windows.len() + self.happenings.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts them into the memory of a store.
    pub fn write_to(&self, store: &Store) -> store::Written {
        let (one, other) = (store.write(&self.raw, &self.windows), store.write_happenings(&self.happenings));
        store::Written {
            accepted: one.accepted + other.accepted,
            refused: one.refused + other.refused,
            is_over_bound: one.is_over_bound || other.is_over_bound,
        }
    }
}

/// A row per reading. Tag reads and passages leave here what an operator charts of them: reads, vehicles, speeds.
pub(crate) fn raw_rows(rows: &mut Vec<RawRow>, observation: Observation) {
    let Observation { device, device_time, event_time, ingest_time, body, .. } = observation;
    let mut add = |quantity: &str, event_time, value, quality| {
        let (subject, quantity) = (device.clone(), Name::from(quantity));
        rows.push(RawRow { subject, quantity, event_time, device_time, ingest_time, value, quality });
    };
    match body {
        Body::Readings(readings) => {
            for Reading { quantity, value, quality } in readings {
                add(quantity.name(), event_time, value, quality);
            }
        }
        Body::TagReads(reads) => {
            let count: f64 = reads.iter().map(|read| f64::from(read.count)).sum();
            add("tag_reads", event_time, count, Quality::GOOD);
        }
        Body::Passages(passages) => {
            add("vehicle_count", event_time, passages.len() as f64, Quality::GOOD);
            // Passages carry device time; what the clock model did to the message, it does to them.
            let correction = device_time.map_or(0, |at| event_time.millis().saturating_sub(at.millis()));
            for passage in passages {
                let at = Timestamp(passage.at.millis().saturating_add(correction));
                if let Some(speed) = passage.speed {
                    add("speed", at, f64::from(speed), Quality::default());
                }
            }
        }
        Body::Status(status) => {
            if let Some(volts) = status.battery_v {
                add("battery", event_time, f64::from(volts), Quality::default());
            }
        }
    }
}

fn window_row(aggregate: Aggregate) -> AggregateRow {
    let subject = match aggregate.subject {
        Subject::Device(device) => device,
        Subject::Area(area) => area_series(&area),
    };
    AggregateRow {
        subject,
        quantity: aggregate.quantity.name().into(),
        window: aggregate.window,
        revision: aggregate.revision,
        count: aggregate.count,
        good: aggregate.good,
        sum: aggregate.sum,
        mean: aggregate.mean,
        min: aggregate.min,
        max: aggregate.max,
        as_of: aggregate.as_of,
        is_backfill: aggregate.is_backfill,
    }
}
