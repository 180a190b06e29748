//! A producer of transactions: its steps, each asked for again until it is done or can't be.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext};
use records::Entry;

use crate::context::speak_as_client;
use crate::oversize::Oversize;
use crate::{TokenSource, headers};

/// How long one step may take before it is asked for again.
pub(crate) const STEP: Duration = Duration::from_secs(10);

/// Between two looks whether all has arrived.
const PAUSE: Duration = Duration::from_micros(500);

/// One transactional id's producer.
pub(crate) struct Transactional {
    pub client: ThreadedProducer<Places>,
    /// How long a step may be asked for again.
    patience: Duration,
}

impl Transactional {
    /// Fences the process before with this id, and undoes what it had not finished. Blocks.
    pub fn begin(
        config: &ClientConfig,
        patience: Duration,
        tokens: Option<TokenSource>,
    ) -> Result<Transactional, KafkaError> {
        let context = Places { tokens, places: Mutex::default(), oversize: Mutex::default() };
        let client: ThreadedProducer<Places> = ThreadedProducer::from_config_and_context(config, context)?;
        let producer = Transactional { client, patience };
        producer.again(|client| client.init_transactions(STEP))?;
        Ok(producer)
    }

    /// Hands a record over, with its headers.
    pub fn send(&self, topic: &str, partition: i32, entry: &Entry<'_>) -> Result<(), KafkaError> {
        let record = BaseRecord::with_opaque_to(topic, NOT_ASKED)
            .partition(partition)
            .key(entry.key)
            .payload(entry.value)
            .headers(headers::write(entry));
        self.client.send(record).map_err(|(error, _)| error)
    }

    /// Forgets where records stand that were asked for before, and which was refused.
    pub fn forget_places(&self) {
        self.take_places();
        self.take_oversize();
    }

    /// A record that was refused since then, for which its transaction fails.
    pub fn take_oversize(&self) -> Option<Oversize> {
        self.client.client().context().oversize.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Where the records stand that were sent with a number other than [`NOT_ASKED`] and have arrived.
    pub fn take_places(&self) -> BTreeMap<usize, i64> {
        self.client.client().context().take()
    }

    /// Waits until everything that was sent has arrived, or can't.
    ///
    /// rdkafka's own flush, and its commit with it, polls for a tenth of a second at a time whatever comes: every
    /// transaction would take that long. Here the producer's own thread polls.
    pub fn flush(&self) -> Result<(), KafkaError> {
        let since = Instant::now();
        loop {
            match self.client.flush(Duration::ZERO) {
                Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut))
                    if since.elapsed() < self.patience =>
                {
                    std::thread::sleep(PAUSE);
                }
                done => return done,
            }
        }
    }

    /// Makes visible what was sent.
    pub fn commit(&self) -> Result<(), KafkaError> {
        self.flush()?;
        self.again(|client| client.commit_transaction(STEP))
    }

    /// A step that is safe to ask for again, until it is done or can't be.
    pub fn again(
        &self,
        step: impl Fn(&ThreadedProducer<Places>) -> Result<(), KafkaError>,
    ) -> Result<(), KafkaError> {
        let since = Instant::now();
        loop {
            match step(&self.client) {
                Err(error) if is_passing(&error) && since.elapsed() < self.patience => {
                    tracing::debug!(%error, "a step of a transaction is asked for again");
                }
                done => return done,
            }
        }
    }
}

fn is_passing(error: &KafkaError) -> bool {
    matches!(error, KafkaError::Transaction(error) if error.is_retriable() && !error.txn_requires_abort())
}

/// What a record is sent with whose place nobody asks for.
pub(crate) const NOT_ASKED: usize = 0;

/// Learns where some records stand, and which was refused.
pub(crate) struct Places {
    tokens: Option<TokenSource>,
    places: Mutex<BTreeMap<usize, i64>>,
    oversize: Mutex<Option<Oversize>>,
}

impl Places {
    fn take(&self) -> BTreeMap<usize, i64> {
        std::mem::take(&mut *self.places.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ClientContext for Places {
    speak_as_client!();
}

impl ProducerContext for Places {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, asked: usize) {
        match result {
            Ok(message) if asked != NOT_ASKED => {
                let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
                places.insert(asked, message.offset());
            }
            Ok(_) => {}
            // A failure makes the whole transaction fail, and is told there.
            Err((error, message)) => {
                let mut oversize = self.oversize.lock().unwrap_or_else(PoisonError::into_inner);
                *oversize = oversize.take().or_else(|| Oversize::of(error, message));
            }
        }
    }
}
