//! Looks at a topic from a chosen place on, in no group and without leaving a trace.

use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use records::{Entry, Offset, Timestamp, Topic, TopicPartition};

use crate::context::Asking;
use crate::names::Names;
use crate::{ConnectError, Options, headers, settings};

/// How long a broker has for an answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long one poll waits.
const WAIT: Duration = Duration::from_millis(200);

/// Where to begin, in every partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the oldest record.
    Earliest,
    /// Behind the newest.
    Latest,
    /// At this one.
    Offset(Offset),
    /// At the first that the log took at this time or later.
    At(Timestamp),
}

/// Why looking ended.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The cluster can't be met, or the topic is not there.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A record can't be read.
    #[error("the topic can't be read")]
    Read(#[source] KafkaError),
    /// What was found could not be passed on.
    #[error("what was found can't be passed on")]
    Output(#[source] std::io::Error),
}

/// Hands out the records of `topic` whose transactions were committed: each partition in its order, until all that is
/// there was handed out, or, when it should `follow`, for ever. Blocks.
///
/// # Errors
/// See [`ViewError`].
pub fn view(
    options: &Options,
    topic: Topic,
    start: Start,
    follow: bool,
    each: impl FnMut(TopicPartition, Offset, Entry<'_>) -> std::io::Result<()>,
) -> Result<(), ViewError> {
    look(options, topic, None, start, follow, each)
}

/// The same of one partition, until all that is there was handed out.
///
/// # Errors
/// See [`ViewError`].
pub fn view_partition(
    options: &Options,
    at: TopicPartition,
    start: Start,
    each: impl FnMut(TopicPartition, Offset, Entry<'_>) -> std::io::Result<()>,
) -> Result<(), ViewError> {
    look(options, at.topic, Some(at.partition), start, false, each)
}

fn look(
    options: &Options,
    topic: Topic,
    partition: Option<u32>,
    start: Start,
    follow: bool,
    mut each: impl FnMut(TopicPartition, Offset, Entry<'_>) -> std::io::Result<()>,
) -> Result<(), ViewError> {
    let context = Asking { tokens: options.security.tokens.clone() };
    let config = settings::bystander(options, "viewer");
    let consumer: BaseConsumer<Asking> =
        BaseConsumer::from_config_and_context(&config, context).map_err(ConnectError::Settings)?;
    let names = Names::new(&options.prefix);
    let list = beginnings(&consumer, names.of(topic), partition, start)
        .map_err(|source| ConnectError::Unavailable { brokers: options.brokers.clone(), source })?;
    let mut unread: Vec<i32> = list.elements().iter().map(|element| element.partition()).collect();
    consumer.assign(&list).map_err(ViewError::Read)?;
    while follow || !unread.is_empty() {
        match consumer.poll(WAIT) {
            Some(Ok(message)) => {
                let place = TopicPartition { topic, partition: message.partition().unsigned_abs() };
                let (key, value) = (message.key().unwrap_or_default(), message.payload().unwrap_or_default());
                let (origin, mirrored) = headers::whence(&message);
                let entry = Entry { key, value, origin, mirrored };
                each(place, message.offset().unsigned_abs(), entry).map_err(ViewError::Output)?;
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => unread.retain(|number| *number != partition),
            Some(Err(error)) if follow => tracing::debug!(%error, "while a topic is looked at"),
            Some(Err(error)) => return Err(ViewError::Read(error)),
            None => {}
        }
    }
    Ok(())
}

fn beginnings(
    consumer: &BaseConsumer<Asking>,
    topic: &str,
    partition: Option<u32>,
    start: Start,
) -> Result<TopicPartitionList, KafkaError> {
    let at = match start {
        Start::Earliest => rdkafka::Offset::Beginning,
        Start::Latest => rdkafka::Offset::End,
        Start::Offset(offset) => rdkafka::Offset::Offset(offset.cast_signed()),
        Start::At(time) => rdkafka::Offset::Offset(time.millis()),
    };
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
    let mut list = TopicPartitionList::new();
    let is_wanted = |id: i32| partition.is_none_or(|number| number == id.unsigned_abs());
    for id in partitions.map(|partition| partition.id()).filter(|id| is_wanted(*id)) {
        list.add_partition_offset(topic, id, at)?;
    }
    if let Start::At(_) = start { consumer.offsets_for_times(list, PATIENCE) } else { Ok(list) }
}
