//! The producer behind `append`: many callers, one librdkafka client.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext, Statistics};
use records::{AppendError, Batch, TopicPartition};
use tokio::sync::Semaphore;

use crate::append::{Answer, Append, Sent};
use crate::context::speak_as_client;
use crate::error::append_unavailable;
use crate::names::Names;
use crate::oversize::Oversize;
use crate::{Metrics, TokenSource, headers};

/// What a record takes in memory beside its key and value, about.
const OVERHEAD_BYTES: usize = 256;

/// The idempotent producer, made anew when it can't go on.
pub(crate) struct Appender {
    config: ClientConfig,
    names: Arc<Names>,
    metrics: Metrics,
    tokens: Option<TokenSource>,
    /// Held while a batch is handed over, so that it stands together.
    client: Mutex<ThreadedProducer<Deliveries>>,
    room: Arc<Semaphore>,
    max_pending_bytes: usize,
}

impl Appender {
    pub fn new(
        config: ClientConfig,
        names: Arc<Names>,
        metrics: Metrics,
        tokens: Option<TokenSource>,
        max_pending_bytes: usize,
    ) -> Result<Appender, KafkaError> {
        let client = Mutex::new(connect(&config, &metrics, tokens.clone())?);
        let max_pending_bytes = max_pending_bytes.clamp(1, u32::MAX as usize);
        let room = Arc::new(Semaphore::new(max_pending_bytes));
        Ok(Appender { config, names, metrics, tokens, client, room, max_pending_bytes })
    }

    /// Waits for room, and hands the batches over.
    pub async fn send(&self, batches: &[(TopicPartition, Batch)]) -> Result<Answer, AppendError> {
        let bytes: usize = batches.iter().map(|(_, batch)| cost(batch)).sum();
        // One append that is larger than all we have waits for all of it.
        let bytes = u32::try_from(bytes.min(self.max_pending_bytes)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(bytes).await.map_err(|_| AppendError::Closed)?;
        let (append, answer) = Append::new(batches.len(), room);
        self.note_pending();
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        self.renew_if_dead(&mut client).map_err(append_unavailable)?;
        for (number, (at, batch)) in batches.iter().enumerate() {
            self.hand_over(&client, *at, batch, &append.batch(number, batch.len()));
        }
        Ok(answer)
    }

    /// Tells what is on its way now.
    pub fn note_pending(&self) {
        let pending = self.max_pending_bytes.saturating_sub(self.room.available_permits());
        self.metrics.pending_bytes.set(pending.try_into().unwrap_or(i64::MAX));
    }

    /// All that was handed over has been answered for.
    pub async fn drained(&self) {
        let all = u32::try_from(self.max_pending_bytes).unwrap_or(u32::MAX);
        // It fails when the semaphore is closed, and nobody does that.
        let _ = self.room.acquire_many(all).await;
    }

    /// After a fatal error librdkafka answers everything with that error; a new client begins anew.
    fn renew_if_dead(&self, client: &mut ThreadedProducer<Deliveries>) -> Result<(), KafkaError> {
        if let Some((error, reason)) = client.client().fatal_error() {
            tracing::warn!(%error, reason, "the producer can't go on; a new one takes its place");
            *client = connect(&self.config, &self.metrics, self.tokens.clone())?;
        }
        Ok(())
    }

    fn hand_over(
        &self,
        client: &ThreadedProducer<Deliveries>,
        at: TopicPartition,
        batch: &Batch,
        sent: &Arc<Sent>,
    ) {
        let (topic, partition) = (self.names.of(at.topic), at.partition.cast_signed());
        for (number, entry) in batch.entries().enumerate() {
            let record = BaseRecord::with_opaque_to(topic, Arc::clone(sent))
                .partition(partition)
                .key(entry.key)
                .payload(entry.value)
                .headers(headers::write(&entry));
            if let Err((error, _)) = client.send(record) {
                return sent.failed(batch.len() - number, || append_unavailable(error));
            }
        }
    }
}

fn connect(
    config: &ClientConfig,
    metrics: &Metrics,
    tokens: Option<TokenSource>,
) -> Result<ThreadedProducer<Deliveries>, KafkaError> {
    let context = Deliveries { metrics: metrics.clone(), tokens };
    ThreadedProducer::from_config_and_context(config, context)
}

fn cost(batch: &Batch) -> usize {
    batch.as_bytes().len() + batch.len() * OVERHEAD_BYTES
}

/// Takes the brokers' answers, on librdkafka's thread.
struct Deliveries {
    metrics: Metrics,
    tokens: Option<TokenSource>,
}

impl ClientContext for Deliveries {
    speak_as_client!();

    fn stats(&self, statistics: Statistics) {
        self.metrics.note(&statistics);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Sent>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Arc<Sent>) {
        match result {
            Ok(message) => sent.delivered(message.offset()),
            Err((error, message)) => {
                let code = error.rdkafka_error_code();
                tracing::debug!(?code, "a record was not acknowledged");
                sent.failed(1, || match Oversize::of(error, message) {
                    Some(oversize) => AppendError::Refused(Box::new(oversize)),
                    None => append_unavailable(error.clone()),
                });
            }
        }
    }
}
