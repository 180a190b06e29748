//! The consumer: at least once, its place kept by the group.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use records::{Consumer, Fetched, LogError, Offset, Standing, Topic, TopicPartition};

use crate::context::Asking;
use crate::error::{Refused, log_error, unavailable};
use crate::names::Names;
use crate::poller::watermarks;
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
    /// By the groups that they ask about.
    onlookers: BTreeMap<String, Arc<BaseConsumer<Asking>>>,
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
        KafkaConsumer {
            shared,
            group,
            topics,
            instance,
            beginning,
            reading: None,
            onlookers: BTreeMap::new(),
        }
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

    fn list(&self, standings: &[&Standing]) -> Result<TopicPartitionList, KafkaError> {
        let mut list = TopicPartitionList::with_capacity(standings.len());
        for Standing { partition: place, next, note } in standings {
            let at = rdkafka::Offset::Offset(next.cast_signed());
            let (topic, partition) = (self.shared.names.of(place.topic), place.partition.cast_signed());
            let mut entry = list.add_partition(topic, partition);
            entry.set_offset(at)?;
            entry.set_metadata(note);
        }
        Ok(list)
    }

    /// A client that may ask for what `group` has committed, without being a member.
    fn onlooker(&mut self, group: &str) -> Result<Arc<BaseConsumer<Asking>>, LogError> {
        let group = self.shared.names.group(group);
        if let Some(onlooker) = self.onlookers.get(&group) {
            return Ok(Arc::clone(onlooker));
        }
        let config = settings::bystander(&self.shared.options, &group);
        let asking = Asking { tokens: self.shared.options.security.tokens.clone() };
        let onlooker: BaseConsumer<Asking> =
            BaseConsumer::from_config_and_context(&config, asking).map_err(log_error)?;
        let onlooker = Arc::new(onlooker);
        self.onlookers.insert(group, Arc::clone(&onlooker));
        Ok(onlooker)
    }

    fn places(&self) -> Vec<TopicPartition> {
        let all = |topic: &Topic| {
            let (topic, count) = (*topic, self.shared.options.topics[*topic].partitions);
            (0..count).map(move |partition| TopicPartition { topic, partition })
        };
        self.topics.iter().flat_map(all).collect()
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

    async fn commit_noted(&mut self, standings: &[Standing]) -> Result<(), LogError> {
        let consumer = Arc::clone(&self.reading()?.consumer);
        for _ in 0..TRIES {
            let ours = consumer.context().seat.ours().await;
            let standings: Vec<_> =
                standings.iter().filter(|standing| ours.contains(&standing.partition)).collect();
            if standings.is_empty() {
                return Ok(());
            }
            let list = self.list(&standings).map_err(log_error)?;
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

    async fn standings(&mut self, group: &str) -> Result<Vec<Standing>, LogError> {
        let (onlooker, places) = (self.onlooker(group)?, self.places());
        let names = Arc::clone(&self.shared.names);
        let asking = move || {
            // It reads nothing; this is for what librdkafka asks of its client, such as a new token.
            drop(onlooker.poll(Duration::ZERO));
            committed(&onlooker, &names, &places).map(|found| (places, found))
        };
        let asked = tokio::task::spawn_blocking(asking).await.expect("asking does not panic");
        let (places, found) = asked.map_err(log_error)?;
        let standing = |(partition, (next, note)): (TopicPartition, (Option<Offset>, String))| {
            Some(Standing { partition, next: next?, note })
        };
        Ok(places.into_iter().zip(found).filter_map(standing).collect())
    }
}

/// The group is about to decide, perhaps to take us in again; what is ours then may be committed.
fn is_passing(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{IllegalGeneration, RebalanceInProgress, UnknownMemberId};
    matches!(error.rdkafka_error_code(), Some(IllegalGeneration | RebalanceInProgress | UnknownMemberId))
}

/// A consumer begins where its group has committed, or else at the oldest record or behind the newest.
pub(crate) struct WhereCommitted {
    pub is_from_end: bool,
}

impl WhereCommitted {
    /// Commits the end of the partitions in which nothing is committed: what comes from now on is not passed over, not
    /// even when this process ends before it has read any.
    fn stand_at_end(
        consumer: &BaseConsumer<Rebalances>,
        places: &[TopicPartition],
        committed: &mut [(Option<Offset>, String)],
    ) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        for (place, (offset, _)) in places.iter().zip(committed).filter(|(_, (offset, _))| offset.is_none()) {
            let (_, end) = watermarks(consumer, *place)?;
            let (topic, partition) =
                (consumer.context().names.of(place.topic), place.partition.cast_signed());
            list.add_partition_offset(topic, partition, rdkafka::Offset::Offset(end.cast_signed()))?;
            *offset = Some(end);
        }
        if list.count() > 0 { consumer.commit(&list, CommitMode::Sync) } else { Ok(()) }
    }
}

impl Beginning for WhereCommitted {
    fn begin(
        &self,
        consumer: &BaseConsumer<Rebalances>,
        places: &[TopicPartition],
    ) -> Result<Vec<Start>, LogError> {
        let mut committed = committed(consumer, &consumer.context().names, places).map_err(log_error)?;
        if self.is_from_end {
            WhereCommitted::stand_at_end(consumer, places, &mut committed).map_err(log_error)?;
        }
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
    consumer: &BaseConsumer<impl ConsumerContext>,
    names: &Names,
    places: &[TopicPartition],
) -> Result<Vec<(Option<Offset>, String)>, KafkaError> {
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
