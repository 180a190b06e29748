//! What a sink is, and what it may answer.

use records::{Entry, Fetched, LogError, Offset, Origin, Record, Timestamp};
use std::error::Error;
use std::future::Future;
use tokio::time::Instant;

/// Takes records to where they are needed. [`crate::run`] drives it.
///
/// Idempotent per key: writing a record twice leaves what writing it once leaves.
pub trait Sink: Send {
    /// Its name in logs and metrics.
    fn name(&self) -> &'static str;

    /// Takes all records of `fetched`, or none when it returns an error. What it took may still be in memory.
    ///
    /// A record that can't be decoded is counted in [`Written`] and skipped.
    fn write(&mut self, fetched: &Fetched) -> impl Future<Output = Result<Written, SinkError>> + Send;

    /// Makes durable what was written. After `Ok` the log may forget it.
    fn flush(&mut self) -> impl Future<Output = Result<(), SinkError>> + Send;

    /// When a flush is due; a past instant means now, `None` that nothing was written since the last one.
    fn flush_due(&self) -> Option<Instant>;

    /// Called once when the loop ends, well or not: waits for what runs beside it.
    fn end(&mut self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// What [`Sink::write`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows, transitions or updates that came of the records.
    pub rows: u64,
    /// Records whose bytes could not be read: skipped.
    pub undecodable: u64,
    /// The newest ingest time among the records.
    pub newest: Option<Timestamp>,
}

impl Written {
    /// Notes the ingest time of a record.
    pub fn saw(&mut self, ingest_time: Timestamp) {
        self.newest = self.newest.max(Some(ingest_time));
    }
}

/// Why a sink could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// It may work later: try again.
    #[error("the sink is unavailable")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// It will work when a person has put something right (a token, a bucket): say so, and look again now and then.
    #[error("the sink is barred: {0}")]
    Barred(String),
    /// These records will never be taken: halve the batch until the guilty one is alone, then leave it out.
    /// From [`Sink::flush`]: going on would lose records, so stop.
    #[error("rejected: {0}")]
    Rejected(String),
    /// The log can't be read, or positions can't be stored: stop, and start again from the last commit.
    #[error("the log failed")]
    Log(#[from] LogError),
}

impl SinkError {
    /// An error that time may heal.
    pub fn unavailable(error: impl Into<Box<dyn Error + Send + Sync>>) -> SinkError {
        SinkError::Unavailable(error.into())
    }
}

/// The records of `fetched` from offset `from` on; what can't be decoded is counted, logged once and skipped.
pub fn decoded(fetched: &Fetched, from: Offset, written: &mut Written) -> Vec<(Offset, Record)> {
    decoded_where(fetched, |offset| offset >= from, written)
}

/// The records of `fetched` whose offset is wanted; what can't be decoded is counted, logged once and skipped.
pub fn decoded_where(
    fetched: &Fetched,
    is_wanted: impl Fn(Offset) -> bool,
    written: &mut Written,
) -> Vec<(Offset, Record)> {
    let mut records = Vec::with_capacity(fetched.batch.len());
    for (offset, _key, value) in fetched.records().filter(|(offset, ..)| is_wanted(*offset)) {
        match Record::decode(value) {
            Ok(record) => records.push((offset, record)),
            Err(error) => {
                if written.undecodable == 0 {
                    tracing::error!(partition = %fetched.partition, offset, %error, "skipped a record that can't be read");
                }
                written.undecodable += 1;
            }
        }
    }
    records
}

/// Whence the record at `offset` came, when a forwarder has brought it. `entries`: those of its batch, which go on with
/// each call, so offsets are asked for in their order.
pub fn origin<'a>(
    entries: &mut impl Iterator<Item = (Offset, Entry<'a>)>,
    offset: Offset,
) -> Option<Origin<'a>> {
    entries.find(|(at, _)| *at == offset).and_then(|(_, entry)| entry.origin)
}
