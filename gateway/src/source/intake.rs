//! What came from a broker and is not acknowledged: what gathers, and the one append that is under way.
//!
//! The session's ledger does the same for one device; here a batch goes to as many partitions as its devices have.

use crate::normalize::{self, Arrival, Normalized};
use crate::outage::{Closed, Outage, append_until_durable};
use crate::{Limits, Metrics};
use records::{Batch, Device, Producer, Reason, Record, Topic, TopicPartition, partition_of};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

pub(super) struct Intake<P> {
    log: P,
    outage: Arc<Outage>,
    gathering: Gathered,
    under_way: Option<UnderWay>,
}

/// An acknowledgement that the broker is to get, and by which of its connections.
pub(super) struct Owed {
    pub packet_id: u16,
    pub connection: u64,
}

/// Messages for one append.
#[derive(Default)]
pub(super) struct Gathered {
    batches: BTreeMap<TopicPartition, Batch>,
    pub owed: Vec<Owed>,
    accepted: usize,
    quarantined: [u32; Reason::ALL.len()],
    forbidden: u64,
}

struct UnderWay {
    append: Pin<Box<dyn Future<Output = Result<(), Closed>> + Send>>,
    work: Gathered,
}

impl<P: Producer> Intake<P> {
    pub(super) fn new(log: P, outage: Arc<Outage>) -> Intake<P> {
        Intake { log, outage, gathering: Gathered::default(), under_way: None }
    }

    /// A device is met for the first time: what the log is to know of it stands before what it says.
    pub(super) fn introduce(&mut self, device: Device) {
        let id = device.id.clone();
        let batch = self.batch(Topic::Telemetry, id.as_bytes());
        batch.push_with(id.as_bytes(), |bytes| Record::Device(device).encode(bytes));
    }

    /// Enters a message, understood or not.
    pub(super) fn enter(
        &mut self,
        arrival: Arrival<'_>,
        topic: &str,
        payload: &[u8],
        normalized: Normalized,
    ) {
        let key = arrival.device.as_bytes();
        match normalize::fit(normalized, payload.len()) {
            Ok(observations) => {
                let batch = self.batch(Topic::Telemetry, key);
                for observation in observations.as_slice() {
                    batch.push_with(key, |bytes| observation.encode(bytes));
                }
                self.gathering.accepted += 1;
            }
            Err(rejection) => {
                tracing::debug!(device = %arrival.device, topic, detail = rejection.detail, "quarantined");
                let place = Reason::ALL.iter().position(|known| *known == rejection.reason);
                self.gathering.quarantined[place.expect("ALL has every reason")] += 1;
                let record = Record::Quarantined(rejection.quarantine(arrival, topic, payload));
                self.batch(Topic::Quarantine, key).push_with(key, |bytes| record.encode(bytes));
            }
        }
    }

    /// A message that is not taken, of a device that is disabled.
    pub(super) fn forbid(&mut self) {
        self.gathering.forbidden += 1;
    }

    /// The message that was just entered is acknowledged when all before it is durable.
    pub(super) fn owe(&mut self, owed: Option<Owed>) {
        self.gathering.owed.extend(owed);
    }

    /// Begins the next append, when there is something to append and nothing under way.
    pub(super) fn hand_over(&mut self) {
        if self.under_way.is_some() || self.gathering.messages() == 0 {
            return;
        }
        let mut work = std::mem::take(&mut self.gathering);
        let batches: Vec<_> = std::mem::take(&mut work.batches).into_iter().collect();
        let (log, outage) = (self.log.clone(), self.outage.clone());
        let append = Box::pin(async move { append_until_durable(&log, &batches, &outage).await });
        self.under_way = Some(UnderWay { append, work });
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Waits for the append that is under way. Cancel-safe: it goes on at the next call.
    pub(super) async fn durable(&mut self) -> Result<Gathered, Closed> {
        let Some(under_way) = &mut self.under_way else { return Ok(Gathered::default()) };
        under_way.append.as_mut().await?;
        Ok(self.under_way.take().map(|under_way| under_way.work).unwrap_or_default())
    }

    /// Whether another message may be taken on.
    pub(super) fn has_room(&self, limits: &Limits) -> bool {
        let bytes: usize = self.gathering.batches.values().map(|batch| batch.as_bytes().len()).sum();
        self.gathering.messages() < limits.max_waiting_messages && bytes < limits.max_waiting_bytes
    }

    /// Gives up what is left, and returns how many messages that were.
    pub(super) fn abandon(&mut self) -> usize {
        let under_way = self.under_way.take().map_or(0, |under_way| under_way.work.messages());
        under_way + std::mem::take(&mut self.gathering).messages()
    }

    fn batch(&mut self, topic: Topic, key: &[u8]) -> &mut Batch {
        let partition = partition_of(key, self.log.partitions(topic));
        self.gathering.batches.entry(TopicPartition { topic, partition }).or_default()
    }
}

impl Gathered {
    fn messages(&self) -> usize {
        let quarantined: u32 = self.quarantined.iter().sum();
        self.accepted + quarantined as usize + self.forbidden as usize
    }

    /// Its messages are durable, and `acknowledged` of them told to the broker.
    pub(super) fn count(&self, metrics: &Metrics, acknowledged: usize) {
        metrics.count_durable(self.accepted, &self.quarantined, acknowledged);
        metrics.forbidden.inc_by(self.forbidden);
    }
}
