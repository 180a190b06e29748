//! What a mirror writes at another deployment: copies, and notes of how far it is, visible together or not at all.
//!
//! The notes stand in the compacted topic `mirrors`, partition 0, under `city/note`. So the target alone knows how far
//! each city got, and a mirror that lost everything on its own side neither loses nor doubles a record.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, Producer};
use records::{Batch, LogError, Topic, TopicPartition};

use crate::admin::Admin;
use crate::bystander::{Bystander, Sight};
use crate::error::log_error;
use crate::names::Names;
use crate::transactional::{NOT_ASKED, Transactional};
use crate::{ConnectError, Options, settings};

/// How long reading the notes may take; the open transaction of another city's mirror may hide them for a while.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a deployment is called there, whoever asks.
const NAME: &str = "name";
/// Written at the beginning: what a city has noted before stands before it.
const BEGAN: &str = "began";

/// A note's name, and what it says; `None`: it is gone.
pub type Note = (String, Option<String>);

/// The one writer of a city's copies at another deployment. A second one of the same city fences it.
pub struct Importer {
    inner: Arc<Inner>,
    partitions: BTreeMap<Topic, u32>,
}

struct Inner {
    producer: Transactional,
    names: Names,
    city: String,
}

impl Importer {
    /// Fences the mirror of `city` before this one, and reads what it has noted. The deployment at the target must be
    /// called `name`, by which it is known from its first mirror on.
    ///
    /// # Errors
    /// See [`ConnectError`]; topics are those that break a promise or are not there.
    pub async fn begin(
        options: Options,
        city: &str,
        name: &str,
        topics: &[Topic],
    ) -> Result<(Importer, BTreeMap<String, String>), ConnectError> {
        let partitions = Admin::connect(&options)?.check_target(topics).await?;
        let (city, name) = (city.to_owned(), name.to_owned());
        let beginning = tokio::task::spawn_blocking(move || begin(&options, city, &name));
        let (inner, notes) = beginning.await.expect("beginning does not panic")?;
        Ok((Importer { inner: Arc::new(inner), partitions }, notes))
    }

    /// How many partitions the target has of one of the topics that were named.
    pub fn partitions(&self, topic: Topic) -> u32 {
        self.partitions.get(&topic).copied().unwrap_or(1)
    }

    /// Makes copies visible, and notes with them, or nothing.
    ///
    /// # Errors
    /// Whether they are visible is not known: begin anew. [`LogError::Fenced`]: another mirror of this city has begun,
    /// or the brokers gave up a transaction that took too long. [`LogError::Refused`]: a topic is not as it must be.
    pub async fn commit(
        &mut self,
        copies: Vec<(TopicPartition, Batch)>,
        notes: Vec<Note>,
    ) -> Result<(), LogError> {
        let inner = Arc::clone(&self.inner);
        let committing = move || {
            inner.producer.forget_places();
            inner.commit(&copies, &notes).map_err(|error| match inner.producer.take_oversize() {
                Some(oversize) => LogError::Refused(Box::new(oversize)),
                None => log_error(error),
            })
        };
        tokio::task::spawn_blocking(committing).await.expect("a commit does not panic")
    }
}

fn begin(
    options: &Options,
    city: String,
    name: &str,
) -> Result<(Inner, BTreeMap<String, String>), ConnectError> {
    let unavailable = |source| ConnectError::Unavailable { brokers: options.brokers.clone(), source };
    let names = Names::new(&options.prefix);
    let config = settings::transactions(options, &names.mirror(&city));
    let producer =
        Transactional::begin(&config, options.transaction_timeout, options.security.tokens.clone());
    let inner = Inner { producer: producer.map_err(unavailable)?, names, city };
    let mark = inner.mark().map_err(unavailable)?;
    let (notes, found) = inner.read(options, mark).map_err(unavailable)?;
    match found {
        Some(found) if found != name => {
            let (brokers, asked) = (options.brokers.clone(), name.to_owned());
            return Err(ConnectError::Name { brokers, found, asked });
        }
        Some(_) => {}
        None => inner.call(name).map_err(unavailable)?,
    }
    Ok((inner, notes))
}

impl Inner {
    fn commit(&self, copies: &[(TopicPartition, Batch)], notes: &[Note]) -> Result<(), KafkaError> {
        self.transaction(|| {
            for (at, batch) in copies {
                let (topic, partition) = (self.names.of(at.topic), at.partition.cast_signed());
                batch.entries().try_for_each(|entry| self.producer.send(topic, partition, &entry))?;
            }
            let key = |note: &str| format!("{}/{note}", self.city);
            notes.iter().try_for_each(|(note, says)| self.note(&key(note), says.as_deref(), NOT_ASKED))
        })
    }

    /// Writes a note whose place tells that all notes of the mirrors before stand before it.
    fn mark(&self) -> Result<i64, KafkaError> {
        const ASKED: usize = 1;
        self.transaction(|| self.note(&format!("{}/{BEGAN}", self.city), Some(""), ASKED))?;
        let place = self.producer.take_places().remove(&ASKED);
        place.ok_or(KafkaError::MessageProduction(RDKafkaErrorCode::BadMessage))
    }

    /// Names the deployment, once and for all.
    fn call(&self, name: &str) -> Result<(), KafkaError> {
        self.transaction(|| self.note(NAME, Some(name), NOT_ASKED))
    }

    /// What the city has noted, and what the deployment is called.
    fn read(
        &self,
        options: &Options,
        mark: i64,
    ) -> Result<(BTreeMap<String, String>, Option<String>), KafkaError> {
        let config = settings::bystander(options, &self.names.mirror(&self.city));
        let bystander = Bystander::new(&config, options.security.tokens.clone())?;
        bystander.go_to(self.names.mirrors(), 0, None)?;
        let (mut notes, mut name, since) = (BTreeMap::new(), None, Instant::now());
        while since.elapsed() < PATIENCE {
            // The end may be that of what may be seen now, so the mark decides.
            let Sight::Record(message) = bystander.look(PATIENCE)? else { continue };
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let (key, says) = (text(message.key().unwrap_or_default()), message.payload().map(text));
            if key == NAME {
                name = says;
            } else if let Some(note) = key.strip_prefix(&self.city).and_then(|key| key.strip_prefix('/')) {
                match says {
                    Some(says) => notes.insert(note.to_owned(), says),
                    None => notes.remove(note),
                };
            }
            if message.offset() >= mark {
                notes.remove(BEGAN);
                return Ok((notes, name));
            }
        }
        Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut))
    }

    fn transaction(&self, write: impl FnOnce() -> Result<(), KafkaError>) -> Result<(), KafkaError> {
        self.producer.client.begin_transaction()?;
        write()?;
        self.producer.commit()
    }

    fn note(&self, key: &str, says: Option<&str>, asked: usize) -> Result<(), KafkaError> {
        let record = BaseRecord::with_opaque_to(self.names.mirrors(), asked).partition(0).key(key);
        let record = match says {
            Some(says) => record.payload(says),
            None => record,
        };
        self.producer.client.send(record).map_err(|(error, _)| error)
    }
}
