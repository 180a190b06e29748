//! One partition of a topic as history: read ahead by a thread of its own, from either log.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use embedded::History;
use kafka::{Start, ViewError};
use records::{Batch, Entry, Fetched, Offset, Record, Timestamp, TopicPartition};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::supervise::Chain;

/// Records that are handed on together, if so many are there.
const AT_ONCE: usize = 4000;
/// Batches that wait for whoever reads them.
const AHEAD: usize = 4;

/// Where history is.
#[derive(Clone)]
pub enum Source {
    /// The folder of an embedded log.
    Embedded(PathBuf),
    /// A cluster.
    Kafka(Arc<kafka::Options>),
}

/// A partition from some place on to where it ended when it was opened.
pub struct Lane {
    batches: Receiver<Result<Fetched, String>>,
    head: Option<Fetched>,
    is_over: bool,
}

impl Lane {
    /// Begins to read.
    pub fn open(source: Source, at: TopicPartition, start: Start) -> Lane {
        let (to, batches) = channel(AHEAD);
        std::thread::spawn(move || {
            let mut gathering = Gathering { at, to, waiting: None };
            let read = match source {
                Source::Embedded(dir) => on_disk(&dir, at, start, &mut gathering),
                Source::Kafka(options) => on_kafka(&options, at, start, &mut gathering),
            };
            gathering.end(read);
        });
        Lane { batches, head: None, is_over: false }
    }

    /// The next batch, left where it is; `None` when there is no more. Cancel-safe.
    ///
    /// # Errors
    /// The log can't be read, in words.
    pub async fn peek(&mut self) -> Result<Option<&Fetched>, String> {
        if self.head.is_none() && !self.is_over {
            self.head = self.batches.recv().await.transpose()?;
            self.is_over = self.head.is_none();
        }
        Ok(self.head.as_ref())
    }

    /// The batch that was looked at.
    pub fn take(&mut self) -> Option<Fetched> {
        self.head.take()
    }

    /// No more is wanted.
    pub fn end(&mut self) {
        (self.head, self.is_over) = (None, true);
        self.batches.close();
    }
}

/// When the first record of a batch that tells the time came, ingest time.
pub fn time_of(fetched: &Fetched) -> Option<Timestamp> {
    fetched.records().find_map(|(_, _, value)| match Record::decode(value).ok()? {
        Record::Observation(message) => Some(message.ingest_time),
        Record::Tick(tick) => Some(tick.at),
        _ => None,
    })
}

fn on_disk(dir: &Path, at: TopicPartition, start: Start, to: &mut Gathering) -> Result<(), String> {
    let in_words = |error: embedded::InspectError| Chain(&error).to_string();
    let from = match start {
        Start::At(time) => embedded::offsets_at(dir, at.topic, time).map_err(in_words)?[&at],
        Start::Offset(offset) => offset,
        Start::Earliest | Start::Latest => 0,
    };
    let mut history = History::open(dir, at, from).map_err(in_words)?;
    loop {
        let rows = history.fetch().map_err(in_words)?;
        if rows.is_empty() {
            return Ok(());
        }
        for Fetched { first, lost, batch, .. } in rows {
            if to.add(first, lost, |waiting| waiting.append(&batch)).is_err() {
                return Ok(());
            }
        }
    }
}

fn on_kafka(
    options: &kafka::Options,
    at: TopicPartition,
    start: Start,
    to: &mut Gathering,
) -> Result<(), String> {
    let take = |_, offset: Offset, entry: Entry<'_>| to.add(offset, 0, |waiting| waiting.push_entry(entry));
    match kafka::view_partition(options, at, start, take) {
        Ok(()) | Err(ViewError::Output(_)) => Ok(()),
        Err(error) => Err(Chain(&error).to_string()),
    }
}

/// Joins what follows without a hole, so that a log with few records a row is read as fast as one with many.
struct Gathering {
    at: TopicPartition,
    to: Sender<Result<Fetched, String>>,
    waiting: Option<Fetched>,
}

impl Gathering {
    /// Adds what begins at `first`. It fails when nobody reads any more.
    fn add(&mut self, first: Offset, lost: u64, push: impl FnOnce(&mut Batch)) -> io::Result<()> {
        let follows = |waiting: &Fetched| waiting.next() == first && waiting.batch.len() < AT_ONCE;
        if !self.waiting.as_ref().is_some_and(follows) {
            self.flush()?;
        }
        let at = self.at;
        let waiting =
            self.waiting.get_or_insert_with(|| Fetched { partition: at, first, lost, batch: Arc::default() });
        push(Arc::make_mut(&mut waiting.batch));
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let Some(waiting) = self.waiting.take() else { return Ok(()) };
        self.to.blocking_send(Ok(waiting)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Hands on what waits, and why there is no more. Where nobody reads any more there is nothing to tell.
    fn end(mut self, read: Result<(), String>) {
        let flushed = self.flush();
        if let (Ok(()), Err(problem)) = (flushed, read) {
            let _ = self.to.blocking_send(Err(problem));
        }
    }
}
