//! A reader's end of its polling thread.

use std::sync::Arc;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, config::FromClientConfigAndContext};
use records::{LogError, Topic};
use tokio::sync::mpsc;

use crate::bystander::Probe;
use crate::error::{Refused, unavailable};
use crate::forgotten::Watch;
use crate::poller::Poller;
use crate::rebalances::{Beginning, Item, Rebalances};
use crate::settings;
use crate::shared::Shared;

/// Batches that wait for the reader.
const AHEAD: usize = 16;

/// A reader's end of its polling thread, which ends with it.
pub(crate) struct Reading {
    pub consumer: Arc<BaseConsumer<Rebalances>>,
    items: mpsc::Receiver<Result<Item, LogError>>,
    has_ended: bool,
}

impl Reading {
    /// Joins the group and begins to read. Needs a tokio runtime.
    pub fn begin(
        shared: &Shared,
        config: &ClientConfig,
        topics: &[Topic],
        beginning: Box<dyn Beginning>,
    ) -> Result<Reading, LogError> {
        let (to_reader, items) = mpsc::channel(AHEAD);
        let tokens = shared.options.security.tokens.clone();
        let context =
            Rebalances::new(Arc::clone(&shared.names), shared.metrics.clone(), tokens, beginning, to_reader);
        let group = config.get("group.id").unwrap_or_default().to_owned();
        let instance = shared.renamed.name(&group, config.get("group.instance.id").unwrap_or_default());
        let mut config = config.clone();
        config.set("group.instance.id", &instance);
        let consumer = subscribe(shared, &config, topics, context).map_err(unavailable)?;
        let consumer = Arc::new(consumer);
        let probe = Probe {
            config: settings::bystander(&shared.options, &group),
            names: Arc::clone(&shared.names),
            tokens: shared.options.security.tokens.clone(),
        };
        let poller = Poller::new(Arc::clone(&consumer), Arc::clone(&shared.is_closed), probe);
        let thread = std::thread::Builder::new().name("kafka-reader".to_owned());
        thread.spawn(move || poller.run()).map_err(unavailable)?;
        tokio::spawn(Watch::new(shared, (group, instance), topics, &consumer).run());
        Ok(Reading { consumer, items, has_ended: false })
    }

    /// Waits for the next item; `None` for good after the end. Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<Item>, LogError> {
        if self.has_ended {
            return Ok(None);
        }
        match self.items.recv().await {
            Some(Ok(Item::End)) => {
                self.has_ended = true;
                Ok(None)
            }
            Some(item) => item.map(Some),
            None => Err(unavailable(Refused("this reader has ended with an error".to_owned()))),
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.consumer.context().seat.leave();
    }
}

fn subscribe(
    shared: &Shared,
    config: &ClientConfig,
    topics: &[Topic],
    context: Rebalances,
) -> Result<BaseConsumer<Rebalances>, KafkaError> {
    let consumer: BaseConsumer<Rebalances> = BaseConsumer::from_config_and_context(config, context)?;
    let names: Vec<&str> = topics.iter().map(|topic| shared.names.of(*topic)).collect();
    consumer.subscribe(&names)?;
    Ok(consumer)
}
