//! What the group decides, in order with the records: partitions come, and go.

use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, TopicPartitionList};
use records::{Fetched, LogError, Offset, Snapshot, TopicPartition};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::context::speak_as_client;
use crate::cutting::Cutting;
use crate::error::log_error;
use crate::names::Names;
use crate::seat::Seat;
use crate::{Metrics, TokenSource};

/// How long a reader may take to commit what it has of a partition that goes. Then others take it over all the same,
/// and the commit comes too late.
const HANDOVER: Duration = Duration::from_secs(60);
/// Between two tries to learn where to begin.
const PAUSE: Duration = Duration::from_millis(200);

/// What the polling thread tells the reader.
pub(crate) enum Item {
    Assigned {
        partition: u32,
        start: Start,
    },
    /// The partition goes when `handover` has been dropped.
    Revoked {
        partition: u32,
        handover: Handover,
    },
    Records(Fetched),
    /// No more will come.
    End,
}

/// Held until a partition may go.
pub(crate) type Handover = std_mpsc::Sender<()>;

/// Where a reader begins in partitions that come to it.
pub(crate) trait Beginning: Send + Sync {
    /// In the order of `places`.
    ///
    /// # Errors
    /// [`LogError::Unavailable`]: ask again.
    fn begin(
        &self,
        consumer: &BaseConsumer<Rebalances>,
        places: &[TopicPartition],
    ) -> Result<Vec<Start>, LogError>;

    /// Whether the reader hears of partitions, and hands them over after a commit.
    fn is_told(&self) -> bool;
}

/// Where a reader begins in one partition.
pub(crate) struct Start {
    /// `None`: at the oldest record.
    pub next: Option<Offset>,
    /// For a reader that is told: what its state is built from, and where that stands.
    pub snapshot: Option<(Offset, Snapshot)>,
    /// For a reader that is told: outputs of what is below are out.
    pub committed: Offset,
}

/// librdkafka's callbacks of one reader, all on the thread that polls.
pub(crate) struct Rebalances {
    pub names: Arc<Names>,
    pub seat: Arc<Seat>,
    metrics: Metrics,
    tokens: Option<TokenSource>,
    beginning: Box<dyn Beginning>,
    cutting: Mutex<Cutting>,
    items: mpsc::Sender<Result<Item, LogError>>,
    runtime: Handle,
    /// Who we are to the group since it last spoke. It is kept because it proves that what we hold is ours: asked for
    /// later, it might be that of somebody who has lost everything.
    member: Mutex<Option<Arc<ConsumerGroupMetadata>>>,
}

impl Rebalances {
    pub fn new(
        names: Arc<Names>,
        metrics: Metrics,
        tokens: Option<TokenSource>,
        beginning: Box<dyn Beginning>,
        items: mpsc::Sender<Result<Item, LogError>>,
    ) -> Rebalances {
        Rebalances {
            names,
            seat: Arc::new(Seat::new()),
            metrics,
            tokens,
            beginning,
            cutting: Mutex::default(),
            items,
            runtime: Handle::current(),
            member: Mutex::default(),
        }
    }

    pub fn cutting(&self) -> MutexGuard<'_, Cutting> {
        self.cutting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn member(&self) -> Option<Arc<ConsumerGroupMetadata>> {
        self.member.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the reader takes it, or is gone.
    pub fn send(&self, item: Result<Item, LogError>) {
        // It fails when the reader is gone, and nobody misses anything then.
        let _ = self.runtime.block_on(self.items.send(item));
    }

    /// Gives the item back when the reader does not take it in time.
    pub fn send_within(&self, item: Item, patience: Duration) -> Result<(), Item> {
        if let Ok(permit) = self.items.try_reserve() {
            permit.send(Ok(item));
            return Ok(());
        }
        let room = async { tokio::time::timeout(patience, self.items.reserve()).await };
        match self.runtime.block_on(room) {
            Ok(Ok(permit)) => permit.send(Ok(item)),
            Ok(Err(_)) => {}
            Err(_) => return Err(item),
        }
        Ok(())
    }

    pub fn count(&self, fetched: &Fetched) {
        self.metrics.read_records.of(fetched.partition.topic).inc_by(fetched.batch.len() as u64);
    }

    pub fn lost(&self, place: TopicPartition, lost: u64) {
        tracing::error!(%place, lost, "retention removed records before they were read");
        self.metrics.lost_records.of(place.topic).inc_by(lost);
    }

    fn places(&self, list: &TopicPartitionList) -> Vec<TopicPartition> {
        let place = |(topic, partition): (&str, i32)| {
            Some(TopicPartition { topic: self.names.topic(topic)?, partition: partition.try_into().ok()? })
        };
        list.elements().iter().filter_map(|at| place((at.topic(), at.partition()))).collect()
    }

    fn assign(&self, consumer: &BaseConsumer<Rebalances>, list: &mut TopicPartitionList) {
        let places = self.places(list);
        let Some(starts) = self.starts(consumer, &places) else { return self.take(consumer, list) };
        self.confirm(consumer);
        for (place, start) in places.iter().zip(starts) {
            let from = start
                .next
                .map_or(rdkafka::Offset::Beginning, |next| rdkafka::Offset::Offset(next.cast_signed()));
            let (topic, partition) = (self.names.of(place.topic), place.partition.cast_signed());
            if let Err(error) = list.set_partition_offset(topic, partition, from) {
                return self.send(Err(log_error(error)));
            }
            self.cutting().begin(*place, start.next);
            if self.beginning.is_told() {
                self.send(Ok(Item::Assigned { partition: place.partition, start }));
            }
        }
        self.take(consumer, list);
        self.seat.assign(&places);
    }

    /// librdkafka waits for this in any case.
    fn take(&self, consumer: &BaseConsumer<Rebalances>, list: &TopicPartitionList) {
        if let Err(error) = consumer.incremental_assign(list) {
            self.send(Err(log_error(error)));
        }
    }

    /// What we hold is ours under this membership.
    fn confirm(&self, consumer: &BaseConsumer<Rebalances>) {
        *self.member.lock().unwrap_or_else(PoisonError::into_inner) = consumer.group_metadata().map(Arc::new);
    }

    /// Where to begin; asked again and again until it is told. `None`: the reader is gone.
    fn starts(&self, consumer: &BaseConsumer<Rebalances>, places: &[TopicPartition]) -> Option<Vec<Start>> {
        while !self.seat.is_left() {
            if places.is_empty() {
                return Some(Vec::new());
            }
            match self.beginning.begin(consumer, places) {
                Ok(starts) => return Some(starts),
                Err(LogError::Unavailable(error)) => {
                    tracing::warn!(%error, "where to begin is not known yet; trying again");
                }
                Err(error) => {
                    self.send(Err(error));
                    return None;
                }
            }
            std::thread::sleep(PAUSE);
        }
        None
    }

    fn revoke(&self, consumer: &BaseConsumer<Rebalances>, list: &TopicPartitionList) {
        let places = self.places(list);
        let is_lost = consumer.assignment_lost();
        if self.beginning.is_told() && !self.seat.is_left() && !places.is_empty() {
            if is_lost {
                self.fence();
            } else {
                // They are still ours, under a membership that the last commit needs.
                self.confirm(consumer);
                self.hand_over(&places);
            }
        }
        for place in &places {
            self.cutting().end(*place);
        }
        self.seat.revoke(&places);
        if let Err(error) = consumer.incremental_unassign(list) {
            self.send(Err(log_error(error)));
        }
    }

    /// Tells the reader, after all that was read, and waits until it has committed.
    fn hand_over(&self, places: &[TopicPartition]) {
        let read = self.cutting().take();
        for fetched in read {
            self.count(&fetched);
            self.send(Ok(Item::Records(fetched)));
        }
        let (handover, handed_over) = std_mpsc::channel();
        for place in places {
            self.send(Ok(Item::Revoked { partition: place.partition, handover: handover.clone() }));
        }
        drop(handover);
        // Nothing is ever sent: it ends when every holder has dropped its end.
        if let Err(std_mpsc::RecvTimeoutError::Timeout) = handed_over.recv_timeout(HANDOVER) {
            tracing::warn!(?places, "partitions go without a last commit: the reader is too slow");
            self.fence();
        }
    }

    /// Others may be at work already: what was read since the last commit is theirs. It is said before the group hears
    /// that we gave the partitions up, so nothing is committed under a membership that came after.
    fn fence(&self) {
        self.seat.fence();
        self.send(Err(LogError::Fenced));
    }
}

impl ClientContext for Rebalances {
    speak_as_client!();
}

impl ConsumerContext for Rebalances {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Rebalances>,
        what: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        self.metrics.rebalances.inc();
        match what {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assign(consumer, list),
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => self.revoke(consumer, list),
            other => {
                let code = RDKafkaErrorCode::from(other);
                self.send(Err(log_error(KafkaError::Rebalance(code))));
            }
        }
    }
}
