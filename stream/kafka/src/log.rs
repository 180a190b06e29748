//! The log as its users hold it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use records::{AppendError, Batch, Offset, Producer, Topic, TopicPartition};

use crate::admin::Admin;
use crate::consumer::{From, WhereCommitted};
use crate::error::{Refused, append_unavailable};
use crate::names::Names;
use crate::producer::Appender;
use crate::shared::Shared;
use crate::{ConnectError, KafkaConsumer, KafkaPipe, Metrics, Options, settings};

/// The log on a Kafka cluster. Cheap to clone; the clones are the same log.
#[derive(Clone)]
pub struct Log {
    shared: Arc<Shared>,
}

impl Log {
    /// Meets the cluster, and holds its topics against the plan.
    ///
    /// # Errors
    /// See [`ConnectError`]; a topic that breaks a promise of the plan is one.
    pub async fn connect(options: Options, metrics: Metrics) -> Result<Log, ConnectError> {
        let violations = Admin::connect(&options)?.check().await?;
        if !violations.is_empty() {
            return Err(ConnectError::Topics(violations));
        }
        let names = Arc::new(Names::new(&options.prefix));
        let appender = Appender::new(
            settings::producer(&options),
            Arc::clone(&names),
            metrics.clone(),
            options.security.tokens.clone(),
            options.max_pending_bytes,
        );
        let appender = appender.map_err(ConnectError::Settings)?;
        let (renamed, is_closed) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        Ok(Log { shared: Arc::new(Shared { options, names, metrics, appender, renamed, is_closed }) })
    }

    /// A reader of `topics`, from where `group` last committed, or from the oldest record. Processes of one group
    /// share the partitions.
    ///
    /// A living reader of the same group in a process of the same name is fenced.
    pub fn consumer(&self, group: &str, topics: &[Topic]) -> KafkaConsumer {
        KafkaConsumer::new(
            Arc::clone(&self.shared),
            group,
            topics,
            Box::new(WhereCommitted { is_from_end: false }),
        )
    }

    /// The same; where the group has committed nothing it begins behind what is there when it gets the partition, and
    /// stands there from then on.
    pub fn consumer_from_end(&self, group: &str, topics: &[Topic]) -> KafkaConsumer {
        let beginning = Box::new(WhereCommitted { is_from_end: true });
        KafkaConsumer::new(Arc::clone(&self.shared), group, topics, beginning)
    }

    /// A reader as [`Log::consumer`], from these offsets on, whatever the group has committed; without one, from the oldest record.
    pub fn consumer_from(
        &self,
        group: &str,
        topics: &[Topic],
        from: BTreeMap<TopicPartition, Offset>,
    ) -> KafkaConsumer {
        KafkaConsumer::new(Arc::clone(&self.shared), group, topics, Box::new(From(from)))
    }

    /// A place of that name on this cluster, which one process has: a newer one that takes it fences the older. It
    /// reads a quiet topic, because a group that reads nothing has no members.
    pub fn seat(&self, name: &str) -> KafkaConsumer {
        self.consumer(&format!("seat.{name}"), &[Topic::Audit]).called(name)
    }

    /// The input of `job`: the partitions of `topic` that the job's workers share among them.
    ///
    /// A living pipe of the same job in a process of the same name is fenced.
    pub fn pipe(&self, job: &str, topic: Topic) -> KafkaPipe {
        KafkaPipe::new(Arc::clone(&self.shared), job, topic)
    }

    /// The offset behind the newest record of every partition.
    ///
    /// # Errors
    /// [`ConnectError::Unavailable`].
    pub async fn ends(&self) -> Result<BTreeMap<TopicPartition, Offset>, ConnectError> {
        Admin::connect(&self.shared.options)?.ends().await
    }

    /// From this call on, awaited or not, appends are refused, and readers end when they have read what is there;
    /// they may still commit.
    ///
    /// The future completes when everything that was handed over has been answered for.
    pub fn close(&self) -> impl Future<Output = ()> + Send + use<> {
        let shared = Arc::clone(&self.shared);
        shared.is_closed.store(true, Ordering::Release);
        async move { shared.appender.drained().await }
    }

    fn check(&self, batches: &[(TopicPartition, Batch)]) -> Result<(), AppendError> {
        if self.shared.is_closed.load(Ordering::Acquire) {
            return Err(AppendError::Closed);
        }
        for (at, _) in batches {
            let partitions = self.partitions(at.topic);
            if at.partition >= partitions {
                let why = format!("there is no {at}: {} has {partitions} partitions", at.topic);
                return Err(append_unavailable(Refused(why)));
            }
        }
        Ok(())
    }
}

impl Producer for Log {
    fn partitions(&self, topic: Topic) -> u32 {
        self.shared.options.topics[topic].partitions
    }

    async fn append(&self, batches: Vec<(TopicPartition, Batch)>) -> Result<Vec<Offset>, AppendError> {
        self.check(&batches)?;
        if batches.is_empty() {
            return Ok(Vec::new());
        }
        let answer = self.shared.appender.send(&batches).await?;
        let answer = answer.await.unwrap_or(Err(AppendError::Closed));
        self.shared.appender.note_pending();
        let metrics = &self.shared.metrics;
        match &answer {
            Ok(_) => batches.iter().for_each(|(at, batch)| {
                metrics.appended_records.of(at.topic).inc_by(batch.len() as u64);
                metrics.appended_bytes.of(at.topic).inc_by(batch.as_bytes().len() as u64);
            }),
            Err(_) => metrics.refused_appends.inc(),
        }
        answer
    }
}
