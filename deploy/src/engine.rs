//! The log, whichever it is: behind the traits of `records`, with what starting and stopping need beside them.

use std::collections::BTreeMap;
use std::ops::Range;

use kafka::ConnectError;
use records::{
    AppendError, Batch, Commit, Consumer, Delivery, Fetched, LogError, Offset, Pipe, Producer, Standing,
    Topic, TopicPartition,
};

use crate::patient::PatientConsumer;

/// A log of either kind. Cheap to clone; the clones are the same log.
#[derive(Clone)]
pub enum Engine {
    /// On this machine.
    Embedded(embedded::Log),
    /// Across machines.
    Kafka(kafka::Log, Instance),
}

/// What this process is called in its groups.
pub type Instance = std::sync::Arc<str>;

impl Engine {
    /// A reader whose work others of the same name share: on Kafka, processes divide the partitions among them.
    pub fn shared_consumer(&self, group: &str, topics: &[Topic]) -> EngineConsumer {
        match self {
            Engine::Embedded(log) => EngineConsumer::Embedded(log.consumer(group, topics)),
            Engine::Kafka(log, _) => {
                let reader = PatientConsumer::new(log, group, topics, kafka::Log::consumer);
                EngineConsumer::Kafka(Box::new(reader))
            }
        }
    }

    /// The same; a group that has committed nothing begins behind what is there.
    pub fn shared_consumer_from_end(&self, group: &str, topics: &[Topic]) -> EngineConsumer {
        match self {
            Engine::Embedded(log) => EngineConsumer::Embedded(log.consumer_from_end(group, topics)),
            Engine::Kafka(log, _) => {
                let reader = PatientConsumer::new(log, group, topics, kafka::Log::consumer_from_end);
                EngineConsumer::Kafka(Box::new(reader))
            }
        }
    }

    /// A reader that sees everything, for what this process keeps on its own disk: on Kafka, its group carries the
    /// process's name.
    pub fn own_consumer(&self, group: &str, topics: &[Topic]) -> EngineConsumer {
        match self {
            Engine::Embedded(_) => self.shared_consumer(group, topics),
            Engine::Kafka(_, instance) => self.shared_consumer(&format!("{group}.{instance}"), topics),
        }
    }

    /// A reader from these offsets on, whatever its group has committed. On Kafka it ends with each outage, and is
    /// built anew from where its owner stands.
    pub fn consumer_from(
        &self,
        group: &str,
        topics: &[Topic],
        from: BTreeMap<TopicPartition, Offset>,
    ) -> EngineConsumer {
        match self {
            Engine::Embedded(log) => EngineConsumer::Embedded(log.consumer_from(group, topics, from)),
            Engine::Kafka(log, _) => {
                EngineConsumer::Impatient(Box::new(log.consumer_from(group, topics, from)))
            }
        }
    }

    /// Tells a log from one that took its place and counts from 0 again, as far as it can be told.
    pub fn identity(&self) -> String {
        match self {
            Engine::Embedded(log) => log.made().millis().to_string(),
            Engine::Kafka(..) => "kafka".to_owned(),
        }
    }

    /// Makes a group known that may come to read much later: the embedded log keeps what it has not read. Kafka keeps
    /// everything for its retention, whoever reads.
    ///
    /// # Errors
    /// The log can't be written.
    pub async fn introduce(&self, group: &str, topics: &[Topic]) -> Result<(), LogError> {
        match self {
            Engine::Embedded(log) => log.introduce(group, topics).await,
            Engine::Kafka(..) => Ok(()),
        }
    }

    /// What is switched off reads no more: the embedded log keeps nothing for it. Kafka lets groups go by itself.
    ///
    /// # Errors
    /// The log can't be written.
    pub async fn forget(&self, group: &str) -> Result<(), LogError> {
        match self {
            Engine::Embedded(log) => log.forget(embedded::ReaderName::Group(group.to_owned())).await,
            Engine::Kafka(..) => Ok(()),
        }
    }

    /// The input of `job`: these partitions of `topic` on the embedded log; on Kafka those that the job's group gives
    /// this process.
    pub fn pipe(&self, job: &str, topic: Topic, partitions: Range<u32>) -> EnginePipe {
        match self {
            Engine::Embedded(log) => EnginePipe::Embedded(Box::new(log.pipe(job, topic, partitions))),
            Engine::Kafka(log, _) => EnginePipe::Kafka(Box::new(log.pipe(job, topic))),
        }
    }

    /// Whether a reader can be fenced by accident.
    pub fn is_shared(&self) -> bool {
        matches!(self, Engine::Kafka(..))
    }

    /// How many pipes of a job this process runs when `workers` were asked for. Kafka has one transactional producer a
    /// process, and more processes.
    pub fn pipes(&self, workers: u32) -> u32 {
        match self {
            Engine::Embedded(_) => workers,
            Engine::Kafka(..) => 1,
        }
    }

    /// Where each partition ends.
    ///
    /// # Errors
    /// The brokers do not tell.
    pub async fn ends(&self) -> Result<BTreeMap<TopicPartition, Offset>, ConnectError> {
        match self {
            Engine::Embedded(log) => {
                Ok(log.stats().partitions.iter().map(|at| (at.partition, at.next)).collect())
            }
            Engine::Kafka(log, _) => log.ends().await,
        }
    }

    /// From now on appends are refused, and readers end when they have read what is there. Returns when everything
    /// that was handed over is durable or refused.
    pub async fn close(&self) {
        match self {
            Engine::Embedded(log) => log.close().await,
            Engine::Kafka(log, _) => log.close().await,
        }
    }
}

impl Producer for Engine {
    fn partitions(&self, topic: Topic) -> u32 {
        match self {
            Engine::Embedded(log) => log.partitions(topic),
            Engine::Kafka(log, _) => log.partitions(topic),
        }
    }

    async fn append(&self, batches: Vec<(TopicPartition, Batch)>) -> Result<Vec<Offset>, AppendError> {
        match self {
            Engine::Embedded(log) => log.append(batches).await,
            Engine::Kafka(log, _) => log.append(batches).await,
        }
    }
}

/// A consumer on either log.
pub enum EngineConsumer {
    /// On this machine.
    Embedded(embedded::EmbeddedConsumer),
    /// Across machines.
    Kafka(Box<PatientConsumer>),
    /// The same, for who begins anew by itself.
    Impatient(Box<kafka::KafkaConsumer>),
}

impl Consumer for EngineConsumer {
    async fn poll(&mut self) -> Result<Option<Fetched>, LogError> {
        match self {
            EngineConsumer::Embedded(consumer) => consumer.poll().await,
            EngineConsumer::Kafka(consumer) => consumer.poll().await,
            EngineConsumer::Impatient(consumer) => consumer.poll().await,
        }
    }

    async fn commit_noted(&mut self, standings: &[Standing]) -> Result<(), LogError> {
        match self {
            EngineConsumer::Embedded(consumer) => consumer.commit_noted(standings).await,
            EngineConsumer::Kafka(consumer) => consumer.commit_noted(standings).await,
            EngineConsumer::Impatient(consumer) => consumer.commit_noted(standings).await,
        }
    }

    async fn standings(&mut self, group: &str) -> Result<Vec<Standing>, LogError> {
        match self {
            EngineConsumer::Embedded(consumer) => consumer.standings(group).await,
            EngineConsumer::Kafka(consumer) => consumer.standings(group).await,
            EngineConsumer::Impatient(consumer) => consumer.standings(group).await,
        }
    }
}

/// A pipe on either log.
pub enum EnginePipe {
    /// On this machine.
    Embedded(Box<embedded::EmbeddedPipe>),
    /// Across machines.
    Kafka(Box<kafka::KafkaPipe>),
}

impl Pipe for EnginePipe {
    async fn poll(&mut self) -> Result<Option<Delivery>, LogError> {
        match self {
            EnginePipe::Embedded(pipe) => pipe.poll().await,
            EnginePipe::Kafka(pipe) => pipe.poll().await,
        }
    }

    async fn commit(&mut self, commit: Commit) -> Result<(), LogError> {
        match self {
            EnginePipe::Embedded(pipe) => pipe.commit(commit).await,
            EnginePipe::Kafka(pipe) => pipe.commit(commit).await,
        }
    }
}
