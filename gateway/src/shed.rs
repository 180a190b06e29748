//! What is left out while the log is nearly full: messages of QoS 0 of families that the operator has named, counted by
//! device.
//!
//! A message of QoS 0 was promised nothing. Whoever has named its family would rather miss it than have those wait whose
//! messages must not be missed; but nobody is to look for it in vain, so the sums go to quarantine.

use crate::gateway::Gate;
use crate::normalize::{Arrival, KEPT_TEXT, Rejection, start_of};
use crate::outage::append_until_durable;
use prometheus::IntCounter;
use records::{
    Batch, Crs, Family, Name, Producer, Quarantined, Reason, Record, Timestamp, Topic, TopicPartition,
    partition_of,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What may be left out, and when. By default nothing, ever.
#[derive(Clone)]
pub struct Shedding {
    /// Families whose messages of QoS 0 may be left out.
    pub families: Vec<Family>,
    /// Whether there is so little room that they are. Asked for each of them, so it must be cheap.
    pub is_scarce: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl Default for Shedding {
    fn default() -> Shedding {
        Shedding { families: Vec::new(), is_scarce: Arc::new(|| false) }
    }
}

/// What was left out and is still to be told.
pub(crate) struct Shed {
    policy: Shedding,
    sums: Mutex<Sums>,
    /// Messages that no durable record tells of yet.
    untold: AtomicU64,
    total: IntCounter,
    /// Nothing more will be left out.
    over: CancellationToken,
}

/// By device and hour of arrival, as the ledger has it.
type Sums = BTreeMap<(Name, Timestamp), Sum>;

struct Sum {
    /// Of the first of them, or its beginning.
    topic_name: String,
    /// When the last of them came.
    newest: Timestamp,
    count: u32,
}

const HOUR: Duration = Duration::from_secs(3600);
/// How often it is told.
const PERIOD: Duration = Duration::from_secs(1);
const DETAIL: &str = "published with QoS 0 while the spool was nearly full";

impl Shed {
    pub(crate) fn new(policy: Shedding, total: IntCounter) -> Shed {
        let (sums, untold, over) = (Mutex::default(), AtomicU64::new(0), CancellationToken::new());
        Shed { policy, sums, untold, total, over }
    }

    /// Whether anything may be left out.
    pub(crate) fn may_be(&self) -> bool {
        !self.policy.families.is_empty()
    }

    /// Whether messages of such devices may be left out.
    pub(crate) fn concerns(&self, family: Family) -> bool {
        self.policy.families.contains(&family)
    }

    pub(crate) fn is_due(&self) -> bool {
        (self.policy.is_scarce)()
    }

    /// Counts a message that is left out.
    pub(crate) fn enter(&self, device: &Name, topic_name: &str, ingest_time: Timestamp) {
        self.total.inc();
        self.untold.fetch_add(1, Ordering::Relaxed);
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = sums.entry((device.clone(), ingest_time.floor(HOUR)));
        let topic_name = || start_of(topic_name, KEPT_TEXT).to_owned();
        let sum = sum.or_insert_with(|| Sum { topic_name: topic_name(), newest: ingest_time, count: 0 });
        sum.newest = sum.newest.max(ingest_time);
        sum.count = sum.count.saturating_add(1);
    }

    /// From now on nothing is left out: [`tell`] ends when it has told the rest.
    pub(crate) fn end(&self) {
        self.over.cancel();
    }

    /// How many messages were left out of which nobody will hear if the process ends now.
    pub(crate) fn untold(&self) -> u64 {
        self.untold.load(Ordering::Relaxed)
    }

    fn take(&self) -> Sums {
        std::mem::take(&mut self.sums.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Brings what was left out to quarantine, until [`Shed::end`]. While the log takes nothing at all, sums wait in memory.
pub(crate) async fn tell<P: Producer>(gate: Arc<Gate<P>>) {
    let shed = &gate.shed;
    let mut lost: u64 = 0;
    loop {
        let is_over = tokio::time::timeout(PERIOD, shed.over.cancelled()).await.is_ok();
        let sums = shed.take();
        let messages = sums.values().map(|sum| u64::from(sum.count)).sum();
        say(&mut lost, messages, shed.is_due());
        if messages > 0 {
            let batches = batches(&gate.log, sums);
            if append_until_durable(&gate.log, &batches, &gate.outage).await.is_err() {
                return;
            }
            shed.untold.fetch_sub(messages, Ordering::Relaxed);
        }
        if is_over {
            return;
        }
    }
}

/// One line when it begins, and one when it is over. `lost`: messages since it began.
fn say(lost: &mut u64, messages: u64, is_scarce: bool) {
    if messages > 0 && *lost == 0 {
        tracing::error!(
            "the spool is nearly full: messages of QoS 0 are left out, of the families that may be"
        );
    }
    *lost += messages;
    if messages == 0 && *lost > 0 && !is_scarce {
        tracing::info!(messages = *lost, "the spool has room again: nothing is left out any more");
        *lost = 0;
    }
}

fn batches<P: Producer>(log: &P, sums: Sums) -> Vec<(TopicPartition, Batch)> {
    let topic = Topic::Quarantine;
    let mut batches: BTreeMap<TopicPartition, Batch> = BTreeMap::new();
    for ((device, _), Sum { topic_name, newest, count }) in sums {
        let arrival = Arrival { device: &device, crs: Crs::Wgs84, ingest_time: newest };
        let one = Rejection::new(Reason::Dropped, DETAIL).quarantine(arrival, &topic_name, &[]);
        let record = Record::Quarantined(Quarantined { count, ..one });
        let key = device.as_bytes();
        let partition = partition_of(key, log.partitions(topic));
        let batch = batches.entry(TopicPartition { topic, partition }).or_default();
        batch.push_with(key, |bytes| record.encode(bytes));
    }
    batches.into_iter().collect()
}
