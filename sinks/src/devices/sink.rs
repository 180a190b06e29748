//! Topics `observations`, `aggregates` and `quarantine` into the device book.

use super::book::{Changes, DeviceBook};
use super::live::Live;
use super::quarantine::Refused;
use crate::alerts::sink_error;
use crate::blocking::blocking;
use crate::sink::{decoded, origin};
use crate::{Sink, SinkError, Written};
use records::{Fetched, Record, Topic};
use std::sync::Arc;
use tokio::time::{Duration, Instant};

/// How old what is only in memory may get. After a crash so much is read again.
const SAVE_AGE: Duration = Duration::from_secs(5);

/// Takes in what devices said as it comes; only saving and the commit wait.
pub struct DeviceSink {
    book: Arc<DeviceBook>,
    due: Option<Instant>,
}

impl DeviceSink {
    /// What to read.
    pub const TOPICS: &'static [Topic] = &[Topic::Observations, Topic::Aggregates, Topic::Quarantine];

    /// A sink into `book`.
    pub fn new(book: Arc<DeviceBook>) -> DeviceSink {
        DeviceSink { book, due: None }
    }
}

impl Sink for DeviceSink {
    fn name(&self) -> &'static str {
        "devices"
    }

    async fn write(&mut self, fetched: &Fetched) -> Result<Written, SinkError> {
        let mut written = Written::default();
        let mut changes = changes(fetched, &mut written);
        if !changes.refused.is_empty() {
            let (book, refused) = (Arc::clone(&self.book), std::mem::take(&mut changes.refused));
            blocking(move || book.refuse(&refused)).await.map_err(sink_error)?;
        }
        self.book.take_in(&changes);
        self.due.get_or_insert_with(|| Instant::now() + SAVE_AGE);
        Ok(written)
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        let book = Arc::clone(&self.book);
        blocking(move || book.save()).await.map_err(sink_error)?;
        self.due = None;
        Ok(())
    }

    fn flush_due(&self) -> Option<Instant> {
        self.due
    }
}

fn changes(fetched: &Fetched, written: &mut Written) -> Changes {
    let (mut changes, mut entries) = (Changes::default(), fetched.entries());
    for (offset, record) in decoded(fetched, 0, written) {
        match record {
            Record::Device(device) => changes.devices.push(device),
            Record::Observation(observation) => {
                written.saw(observation.ingest_time);
                changes.observations.push(observation);
            }
            Record::Aggregate(aggregate) if Live::is_derived(&aggregate) => {
                changes.aggregates.push(aggregate)
            }
            Record::Quarantined(quarantined) => {
                written.saw(quarantined.ingest_time);
                let (at, origin) = (fetched.partition.partition, origin(&mut entries, offset));
                changes.refused.push(Refused::new(at, offset, origin, quarantined));
            }
            _ => continue,
        }
        written.rows += 1;
    }
    changes
}
