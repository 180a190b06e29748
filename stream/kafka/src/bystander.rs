//! A reader that belongs to no group and looks at one partition.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::{ClientConfig, TopicPartitionList, config::FromClientConfigAndContext};
use records::{Offset, TopicPartition};

use crate::TokenSource;
use crate::context::Asking;
use crate::names::Names;

/// How long one poll waits.
const WAIT: Duration = Duration::from_millis(200);

/// A reader that belongs to no group and looks at one partition.
pub(crate) struct Bystander {
    consumer: BaseConsumer<Asking>,
}

/// What it sees.
pub(crate) enum Sight<'a> {
    /// The next record.
    Record(BorrowedMessage<'a>),
    /// There is no more now, or none that may be seen yet.
    End,
}

impl Bystander {
    /// `config`: see [`crate::settings::bystander`].
    pub fn new(config: &ClientConfig, tokens: Option<TokenSource>) -> Result<Bystander, KafkaError> {
        Ok(Bystander { consumer: BaseConsumer::from_config_and_context(config, Asking { tokens })? })
    }

    /// Looks from here on; `None`: from the oldest record.
    pub fn go_to(&self, topic: &str, partition: u32, from: Option<Offset>) -> Result<(), KafkaError> {
        let from = from.map_or(rdkafka::Offset::Beginning, |at| rdkafka::Offset::Offset(at.cast_signed()));
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition.cast_signed(), from)?;
        self.consumer.assign(&list)
    }

    /// What comes next, within `patience`.
    pub fn look(&self, patience: Duration) -> Result<Sight<'_>, KafkaError> {
        let since = Instant::now();
        while since.elapsed() < patience {
            match self.consumer.poll(WAIT) {
                Some(Ok(message)) => return Ok(Sight::Record(message)),
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(Sight::End),
                Some(Err(error)) => tracing::debug!(%error, "while a partition is looked at"),
                None => {}
            }
        }
        Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut))
    }
}

/// Finds out whether records are left in a partition, or marks of transactions alone.
pub(crate) struct Probe {
    pub config: ClientConfig,
    pub names: Arc<Names>,
    pub tokens: Option<TokenSource>,
}

impl Probe {
    /// Whether no record stands at `from` or behind it.
    pub fn is_at_end(
        &self,
        place: TopicPartition,
        from: Option<Offset>,
        patience: Duration,
    ) -> Result<bool, KafkaError> {
        let bystander = Bystander::new(&self.config, self.tokens.clone())?;
        bystander.go_to(self.names.of(place.topic), place.partition, from)?;
        let is_end = matches!(bystander.look(patience)?, Sight::End);
        Ok(is_end)
    }
}
