//! Registry entries on the log, so that whatever they change in a result is part of the input.
//!
//! No telemetry of a device stands on the log before the entry under which it was accepted.

use crate::outage::{Closed, Outage, append_until_durable};
use records::{Batch, Device, Name, Producer, Record, Timestamp, Topic, TopicPartition, partition_of};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What of the registry stands on the log.
#[derive(Debug)]
pub(crate) struct Announcer {
    outage: Arc<Outage>,
    /// Newest `updated_at` on the log, by device.
    announced: Mutex<FxHashMap<Name, Timestamp>>,
}

/// Entries of one append: enough to spare commits, few enough to fit every log.
const AT_ONCE: usize = 1000;

impl Announcer {
    pub(crate) fn new(outage: Arc<Outage>) -> Announcer {
        Announcer { outage, announced: Mutex::default() }
    }

    /// Returns when these entries, or newer ones, are durable on `telemetry`. What stands there already is not
    /// appended again.
    pub(crate) async fn announce<P: Producer>(&self, log: &P, devices: &[Device]) -> Result<(), Closed> {
        let news: Vec<&Device> = devices.iter().filter(|device| self.is_news(device)).collect();
        for chunk in news.chunks(AT_ONCE) {
            append_until_durable(log, &batches(log, chunk), &self.outage).await?;
            self.note(chunk);
        }
        Ok(())
    }

    fn is_news(&self, device: &Device) -> bool {
        let announced = self.announced.lock().unwrap_or_else(PoisonError::into_inner);
        announced.get(&device.id).is_none_or(|at| *at < device.updated_at)
    }

    fn note(&self, devices: &[&Device]) {
        let mut announced = self.announced.lock().unwrap_or_else(PoisonError::into_inner);
        for device in devices {
            let at = announced.entry(device.id.clone()).or_insert(Timestamp::MIN);
            *at = device.updated_at.max(*at);
        }
    }
}

fn batches<P: Producer>(log: &P, devices: &[&Device]) -> Vec<(TopicPartition, Batch)> {
    let partitions = log.partitions(Topic::Telemetry);
    let mut by_partition: BTreeMap<u32, Batch> = BTreeMap::new();
    for device in devices {
        let key = device.id.as_bytes();
        let batch = by_partition.entry(partition_of(key, partitions)).or_default();
        batch.push_with(key, |bytes| Record::Device((*device).clone()).encode(bytes));
    }
    let place = |partition| TopicPartition { topic: Topic::Telemetry, partition };
    by_partition.into_iter().map(|(partition, batch)| (place(partition), batch)).collect()
}
