//! The two sinks into InfluxDB: what is fresh, and what was left out while it was away.

use super::InfluxOptions;
use super::delivery::Delivery;
use super::encoder::{Encoded, Encoder};
use super::ledger::{Ledger, Pages};
use super::lines::Lines;
use super::wire::Wire;
use crate::alerts::sink_error;
use crate::blocking::blocking;
use crate::metrics::Metrics;
use crate::sink::decoded_where;
use crate::{Clock, Sink, SinkError, Written};
use records::{Fetched, Offset, Record, Timestamp, TopicPartition};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// A lane that has nothing to send saves and commits this often.
const SAVE_AGE: Duration = Duration::from_secs(5);

/// One lane. Records are lines in memory when `write` returns, and stored when `flush` does.
pub struct InfluxSink {
    name: &'static str,
    role: Role,
    ledger: Ledger,
    metrics: Metrics,
    encoder: Encoder,
    lines: Lines,
    delivery: Delivery,
    limits: Limits,
    /// Offsets below which everything is in `lines`, delivered, or left out.
    next: BTreeMap<TopicPartition, Offset>,
    due: Option<Instant>,
    is_over_budget: bool,
}

enum Role {
    /// Leaves out what is older than `after` when it is read, up to the first record that is not.
    Live { after: Duration, clock: Clock },
    /// Writes what was left out.
    Backfill,
}

#[derive(Clone, Copy)]
struct Limits {
    lines: usize,
    bytes: usize,
    age: Duration,
}

impl InfluxSink {
    /// The lane that keeps up; it reads through [`super::Leading`]. `token` may write to the bucket.
    ///
    /// # Errors
    /// In words, when URL or token can't be used.
    pub fn live(
        options: &InfluxOptions,
        token: &str,
        ledger: Ledger,
        clock: Clock,
        metrics: Metrics,
    ) -> Result<InfluxSink, String> {
        let role = Role::Live { after: options.backfill_after, clock };
        InfluxSink::new("influx", role, options, token, ledger, metrics)
    }

    /// The lane that fills gaps; it reads through [`super::Trailing`].
    ///
    /// # Errors
    /// In words, when URL or token can't be used.
    pub fn backfill(
        options: &InfluxOptions,
        token: &str,
        ledger: Ledger,
        metrics: Metrics,
    ) -> Result<InfluxSink, String> {
        InfluxSink::new("influx_backfill", Role::Backfill, options, token, ledger, metrics)
    }

    fn new(
        name: &'static str,
        role: Role,
        options: &InfluxOptions,
        token: &str,
        ledger: Ledger,
        metrics: Metrics,
    ) -> Result<InfluxSink, String> {
        let limits =
            Limits { lines: options.batch_lines, bytes: options.batch_bytes, age: options.batch_age };
        let to = (Wire::new(options, token)?, ledger.clone(), metrics.clone());
        Ok(InfluxSink {
            name,
            role,
            ledger,
            metrics,
            encoder: Encoder::new(options),
            lines: Lines::default(),
            delivery: Delivery::new(to, name, limits.lines, limits.bytes),
            limits,
            next: BTreeMap::new(),
            due: None,
            is_over_budget: false,
        })
    }

    /// Says it once when series are too many, with whose they are.
    fn note_budget(&mut self, over_budget: u64) {
        self.metrics.over_budget(self.name, over_budget);
        if over_budget > 0 && !self.is_over_budget {
            self.is_over_budget = true;
            let (culprit, series) = self.encoder.largest().unwrap_or_default();
            tracing::error!(
                sink = self.name,
                culprit = culprit.as_str(),
                series,
                "too many series: points of further ones are left out"
            );
        }
    }

    /// What was written out of gaps is none any more.
    fn note_progress(&mut self) {
        let next = std::mem::take(&mut self.next);
        if matches!(self.role, Role::Backfill) {
            let mut pages = self.ledger.pages();
            next.iter().for_each(|(partition, next)| pages.to_fill.close_below(*partition, *next));
            self.metrics.influx_gaps(pages.to_fill.records());
        }
        self.metrics.influx_series(self.ledger.pages().series());
    }

    fn set_due(&mut self) {
        let now = Instant::now();
        let is_full = self.lines.len() >= self.limits.lines || self.lines.bytes.len() >= self.limits.bytes;
        let at = match (is_full, self.lines.is_empty()) {
            (true, _) => now,
            (false, true) => now + SAVE_AGE,
            (false, false) => now + self.limits.age,
        };
        self.due = self.due.min(Some(at)).or(Some(at));
    }
}

impl Sink for InfluxSink {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn write(&mut self, fetched: &Fetched) -> Result<Written, SinkError> {
        let encoder = std::mem::replace(&mut self.encoder, Encoder::new(&InfluxOptions::default()));
        let lines = std::mem::take(&mut self.lines);
        let oldest_live = match &self.role {
            Role::Live { after, clock } => Some((*clock)() - *after),
            Role::Backfill => None,
        };
        let (ledger, batch) = (self.ledger.clone(), fetched.clone());
        let mut work = Encoding { encoder, lines, encoded: Encoded::default(), written: Written::default() };
        let work = blocking(move || {
            let mut pages = ledger.pages();
            pages.catch_up();
            match oldest_live {
                Some(oldest) => work.live(&batch, oldest, &mut pages),
                None => work.backfill(&batch, &mut pages),
            }
            work
        })
        .await;
        let Encoding { encoder, lines, encoded, mut written } = work;
        (self.encoder, self.lines) = (encoder, lines);
        written.rows = encoded.lines;
        self.note_budget(encoded.over_budget);
        self.next.insert(fetched.partition, fetched.next());
        self.set_due();
        Ok(written)
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        self.delivery.deliver(&mut self.lines).await?;
        let ledger = self.ledger.clone();
        blocking(move || ledger.save()).await.map_err(sink_error)?;
        self.note_progress();
        self.due = None;
        Ok(())
    }

    fn flush_due(&self) -> Option<Instant> {
        self.due
    }
}

/// Records on their way to lines.
struct Encoding {
    encoder: Encoder,
    lines: Lines,
    encoded: Encoded,
    written: Written,
}

impl Encoding {
    /// Writes a batch from its first fresh record on, and leaves out what lies before; registry entries count in
    /// any case.
    fn live(&mut self, fetched: &Fetched, oldest: Timestamp, pages: &mut Pages) {
        let records = decoded_where(fetched, |_| true, &mut self.written);
        let fresh = records.iter().find(|(_, record)| said_at(record).is_some_and(|at| at >= oldest));
        let is_old = records.iter().any(|(_, record)| said_at(record).is_some_and(|at| at < oldest));
        let from = match fresh {
            _ if !is_old => fetched.first,
            Some((offset, _)) => *offset,
            None => fetched.next(),
        };
        pages.left_out.leave(fetched.partition, fetched.first..from);
        for (offset, record) in records {
            if let Record::Device(device) = &record {
                pages.learn(device);
            }
            if offset >= from && !self.must_wait(fetched.partition, offset, &record, pages) {
                self.put(fetched, offset, record, pages);
            }
        }
    }

    /// Whether it is a revision that must not be written before what was left out.
    fn must_wait(
        &mut self,
        partition: TopicPartition,
        offset: Offset,
        record: &Record,
        pages: &mut Pages,
    ) -> bool {
        let Record::Aggregate(window) = record else { return false };
        if window.revision == 0 {
            return false;
        }
        let key = self.encoder.key(window, pages);
        pages.left_out.must_wait(partition, offset, key)
    }

    /// Writes what the live lane left out of a batch.
    fn backfill(&mut self, fetched: &Fetched, pages: &mut Pages) {
        let is_left_out = |offset| pages.to_fill.has(fetched.partition, offset);
        let records = decoded_where(fetched, is_left_out, &mut self.written);
        for (offset, record) in records {
            if let Record::Device(device) = &record {
                pages.learn(device);
            }
            self.put(fetched, offset, record, pages);
        }
    }

    fn put(&mut self, fetched: &Fetched, offset: Offset, record: Record, pages: &mut Pages) {
        self.lines.from_record(fetched.partition, offset);
        let encoded = match record {
            Record::Observation(observation) => {
                self.written.saw(observation.ingest_time);
                self.encoder.values(&observation, pages, &mut self.lines)
            }
            Record::Aggregate(window) => {
                self.written.saw(window.as_of);
                self.encoder.window(&window, pages, &mut self.lines)
            }
            _ => return,
        };
        self.encoded.add(encoded);
    }
}

/// The ingest time of a record that becomes lines.
fn said_at(record: &Record) -> Option<Timestamp> {
    match record {
        Record::Observation(observation) => Some(observation.ingest_time),
        Record::Aggregate(window) => Some(window.as_of),
        _ => None,
    }
}
