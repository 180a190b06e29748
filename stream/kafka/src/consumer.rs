//! The consumer: at least once, its place kept by the group.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use records::{Consumer, Fetched, LogError, Offset, Topic, TopicPartition};

use crate::error::{Refused, log_error, unavailable};
use crate::reading::Reading;
use crate::rebalances::{Beginning, Item, Rebalances, Start};
use crate::settings;
use crate::shared::Shared;

/// How long a broker has to tell what was committed.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a commit is tried while the group is deciding who reads what, and how long between.
const TRIES: usize = 100;
const PAUSE: Duration = Duration::from_millis(100);

/// Reads some topics at least once, sharing their partitions with the other processes of its group.
///
/// It joins the group at its first use. A commit concerns the partitions that are its own at that time; the others
/// come again to whoever has them now.
pub struct KafkaConsumer {
    shared: Arc<Shared>,
    group: String,
    topics: Vec<Topic>,
    /// What it is called in its group.
    instance: String,
    /// Until it joins.
    beginning: Option<Box<dyn Beginning>>,
    reading: Option<Reading>,
}

impl KafkaConsumer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        group: &str,
        topics: &[Topic],
        beginning: Box<dyn Beginning>,
    ) -> KafkaConsumer {
        let group = shared.names.group(group);
        let (topics, instance, beginning) =
            (topics.to_vec(), shared.options.instance.clone(), Some(beginning));
        KafkaConsumer { shared, group, topics, instance, beginning, reading: None }
    }

    pub(crate) fn called(mut self, instance: &str) -> KafkaConsumer {
        instance.clone_into(&mut self.instance);
        self
    }

    fn reading(&mut self) -> Result<&mut Reading, LogError> {
        if let Some(beginning) = self.beginning.take() {
            let mut config = settings::reader(&self.shared.options, &self.group);
            config.set("group.instance.id", &self.instance);
            self.reading = Some(Reading::begin(&self.shared, &config, &self.topics, beginning)?);
        }
        let reading = self.reading.as_mut();
        reading.ok_or_else(|| unavailable(Refused("this reader could not be made".to_owned())))
    }

    fn list(&self, offsets: &[(TopicPartition, Offset)]) -> Result<TopicPartitionList, KafkaError> {
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (place, offset) in offsets {
            let at = rdkafka::Offset::Offset(offset.cast_signed());
            list.add_partition_offset(self.shared.names.of(place.topic), place.partition.cast_signed(), at)?;
        }
        Ok(list)
    }
}

impl Consumer for KafkaConsumer {
    async fn poll(&mut self) -> Result<Option<Fetched>, LogError> {
        loop {
            match self.reading()?.next().await? {
                Some(Item::Records(fetched)) => return Ok(Some(fetched)),
                // This reader is not told of partitions.
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }

    async fn commit(&mut self, offsets: &[(TopicPartition, Offset)]) -> Result<(), LogError> {
        let consumer = Arc::clone(&self.reading()?.consumer);
        for _ in 0..TRIES {
            let ours = consumer.context().seat.ours().await;
            let offsets: Vec<_> = offsets.iter().copied().filter(|(place, _)| ours.contains(place)).collect();
            if offsets.is_empty() {
                return Ok(());
            }
            let list = self.list(&offsets).map_err(log_error)?;
            let consumer = Arc::clone(&consumer);
            let commit = move || consumer.commit(&list, CommitMode::Sync);
            let done = tokio::task::spawn_blocking(commit).await.expect("a commit does not panic");
            match done {
                Err(error) if is_passing(&error) => tokio::time::sleep(PAUSE).await,
                done => return done.map_err(log_error),
            }
        }
        Err(log_error(KafkaError::ConsumerCommit(RDKafkaErrorCode::RebalanceInProgress)))
    }
}

/// The group is about to decide, perhaps to take us in again; what is ours then may be committed.
fn is_passing(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{IllegalGeneration, RebalanceInProgress, UnknownMemberId};
    matches!(error.rdkafka_error_code(), Some(IllegalGeneration | RebalanceInProgress | UnknownMemberId))
}

/// A consumer begins where its group has committed, or at the oldest record.
pub(crate) struct WhereCommitted;

impl Beginning for WhereCommitted {
    fn begin(
        &self,
        consumer: &BaseConsumer<Rebalances>,
        places: &[TopicPartition],
    ) -> Result<Vec<Start>, LogError> {
        let committed = committed(consumer, places).map_err(log_error)?;
        let start = |(offset, _): (Option<Offset>, String)| Start {
            next: offset,
            snapshot: None,
            committed: offset.unwrap_or(0),
        };
        Ok(committed.into_iter().map(start).collect())
    }

    fn is_told(&self) -> bool {
        false
    }
}

/// A consumer begins where it was told, wherever its group is.
pub(crate) struct From(pub BTreeMap<TopicPartition, Offset>);

impl Beginning for From {
    fn begin(&self, _: &BaseConsumer<Rebalances>, places: &[TopicPartition]) -> Result<Vec<Start>, LogError> {
        let start = |place| {
            let next = self.0.get(place).copied();
            Start { next, snapshot: None, committed: next.unwrap_or(0) }
        };
        Ok(places.iter().map(start).collect())
    }

    fn is_told(&self) -> bool {
        false
    }
}

/// What the group has committed for each of `places`, with what was noted beside it.
pub(crate) fn committed(
    consumer: &BaseConsumer<Rebalances>,
    places: &[TopicPartition],
) -> Result<Vec<(Option<Offset>, String)>, KafkaError> {
    let names = &consumer.context().names;
    let mut list = TopicPartitionList::with_capacity(places.len());
    for place in places {
        list.add_partition(names.of(place.topic), place.partition.cast_signed());
    }
    let found = consumer.committed_offsets(list, PATIENCE)?;
    let mut committed = Vec::with_capacity(places.len());
    for place in places {
        let at = found.find_partition(names.of(place.topic), place.partition.cast_signed());
        let at = at.ok_or(KafkaError::OffsetFetch(RDKafkaErrorCode::UnknownPartition))?;
        at.error()?;
        let offset = match at.offset() {
            rdkafka::Offset::Offset(offset) => offset.try_into().ok(),
            _ => None,
        };
        committed.push((offset, at.metadata().to_owned()));
    }
    Ok(committed)
}
