//! The pipe: exactly once, its partitions shared with the other workers of its job.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use records::{Commit, Delivery, LogError, Offset, Pipe, Topic, TopicPartition};
use tokio::task::JoinHandle;

use crate::consumer::committed;
use crate::error::{Refused, log_error, unavailable};
use crate::poller::watermarks;
use crate::reading::Reading;
use crate::rebalances::{Beginning, Handover, Item, Rebalances, Start};
use crate::settings;
use crate::shared::Shared;
use crate::snapshots::Snapshots;
use crate::transactions::{Mark, Transactions, Work};

/// How much longer than a transaction may be open a commit may take. It asks step by step, each with a time of its own,
/// but librdkafka has been seen not to come back from one, for minutes, after the loss of a coordinator.
const GRACE: Duration = Duration::from_secs(10);

/// Reads a topic and writes others exactly once, sharing the partitions with the other workers of its job.
///
/// It joins at its first poll. A partition that goes to another worker is [`Delivery::Revoked`] first, and goes when
/// the pipe is polled again: a commit in between is the last one of it. After an error it is of no more use.
pub struct KafkaPipe {
    shared: Arc<Shared>,
    job: String,
    topic: Topic,
    stage: Stage,
    /// What is committed of each partition that is ours.
    marks: BTreeMap<TopicPartition, Mark>,
    /// Partitions that go at the next poll.
    leaving: Vec<(TopicPartition, Handover)>,
}

enum Stage {
    New,
    Starting(JoinHandle<Result<Transactions, LogError>>),
    Running { transactions: Arc<Transactions>, reading: Reading },
    Ended { is_fenced: bool },
}

impl KafkaPipe {
    pub(crate) fn new(shared: Arc<Shared>, job: &str, topic: Topic) -> KafkaPipe {
        let (marks, leaving) = (BTreeMap::new(), Vec::new());
        KafkaPipe { shared, job: job.to_owned(), topic, stage: Stage::New, marks, leaving }
    }

    /// Fences the worker before, and joins. In this order: what that one had not finished is undone before anybody
    /// asks what is committed.
    async fn running(&mut self) -> Result<(&Arc<Transactions>, &mut Reading), LogError> {
        loop {
            match &mut self.stage {
                Stage::New => self.stage = Stage::Starting(self.start()),
                Stage::Starting(starting) => {
                    let started = starting.await.expect("beginning does not panic");
                    self.stage = Stage::Ended { is_fenced: false };
                    let (transactions, reading) = (Arc::new(started?), self.join()?);
                    self.stage = Stage::Running { transactions, reading };
                }
                Stage::Ended { is_fenced: true } => return Err(LogError::Fenced),
                Stage::Ended { is_fenced: false } => {
                    return Err(unavailable(Refused("this pipe has ended with an error".to_owned())));
                }
                Stage::Running { .. } => break,
            }
        }
        match &mut self.stage {
            Stage::Running { transactions, reading } => Ok((transactions, reading)),
            _ => unreachable!("the loop ends when it runs"),
        }
    }

    fn start(&self) -> JoinHandle<Result<Transactions, LogError>> {
        let (shared, job) = (Arc::clone(&self.shared), self.job.clone());
        tokio::task::spawn_blocking(move || {
            let options = &shared.options;
            let id = shared.names.transactions(&job, &options.instance);
            let config = settings::transactions(options, &id);
            let begun = Transactions::begin(
                &config,
                Arc::clone(&shared.names),
                &job,
                options.topics.snapshots.partitions,
                options.transaction_timeout,
                options.security.tokens.clone(),
            );
            begun.map_err(log_error)
        })
    }

    fn join(&self) -> Result<Reading, LogError> {
        let Shared { options, names, .. } = &*self.shared;
        let group = names.job(&self.job);
        let snapshots = Snapshots {
            config: settings::bystander(options, &group),
            names: Arc::clone(names),
            tokens: options.security.tokens.clone(),
            partitions: options.topics.snapshots.partitions,
        };
        let beginning = Box::new(FromSnapshot { job: self.job.clone(), snapshots });
        Reading::begin(&self.shared, &settings::reader(options, &group), &[self.topic], beginning)
    }

    /// What this commit makes of `marks`.
    fn work(&self, commit: Commit) -> Result<Work, LogError> {
        let mut marks = BTreeMap::new();
        for (partition, next) in &commit.offsets {
            let place = TopicPartition { topic: self.topic, partition: *partition };
            let mark = self.mark(place)?;
            marks.insert(place, Mark { next: *next, ..mark });
        }
        for (partition, _) in &commit.snapshots {
            let place = TopicPartition { topic: self.topic, partition: *partition };
            let mark = self.mark(place)?;
            marks.entry(place).or_insert(mark);
        }
        if marks.is_empty() {
            // Outputs alone: the offsets go with them as they are, so that the group says whether we may.
            marks.clone_from(&self.marks);
        }
        Ok(Work { outputs: commit.outputs, snapshots: commit.snapshots, marks })
    }

    fn mark(&self, place: TopicPartition) -> Result<Mark, LogError> {
        let mark = self.marks.get(&place).copied();
        mark.ok_or_else(|| unavailable(Refused(format!("job {} does not read {place}", self.job))))
    }

    fn end(&mut self, error: LogError) -> LogError {
        self.stage = Stage::Ended { is_fenced: matches!(error, LogError::Fenced) };
        error
    }

    fn deliver(&mut self, item: Item) -> Option<Delivery> {
        let place = |partition| TopicPartition { topic: self.topic, partition };
        match item {
            Item::Assigned { partition, start: Start { snapshot, committed, .. } } => {
                let mark = Mark { next: committed, snapshot: snapshot.as_ref().map(|(at, _)| *at) };
                self.marks.insert(place(partition), mark);
                let snapshot = snapshot.map(|(_, snapshot)| snapshot);
                Some(Delivery::Assigned { partition, snapshot, committed })
            }
            Item::Revoked { partition, handover } => {
                self.leaving.push((place(partition), handover));
                Some(Delivery::Revoked { partition })
            }
            Item::Records(fetched) => Some(Delivery::Records(fetched)),
            Item::End => None,
        }
    }

    /// Partitions that were to go may go now.
    fn let_go(&mut self) {
        for (place, handover) in self.leaving.drain(..) {
            self.marks.remove(&place);
            drop(handover);
        }
    }
}

impl Pipe for KafkaPipe {
    async fn poll(&mut self) -> Result<Option<Delivery>, LogError> {
        self.let_go();
        let (_, reading) = self.running().await?;
        let item = match reading.next().await {
            Ok(item) => item,
            Err(error) => return Err(self.end(error)),
        };
        Ok(item.and_then(|item| self.deliver(item)))
    }

    async fn commit(&mut self, commit: Commit) -> Result<(), LogError> {
        self.running().await?;
        let mut work = self.work(commit)?;
        if work.outputs.is_empty() && work.marks.is_empty() {
            return Ok(());
        }
        let (transactions, reading) = self.running().await?;
        let (transactions, consumer) = (Arc::clone(transactions), Arc::clone(&reading.consumer));
        let timer = self.shared.metrics.transaction_seconds.start_timer();
        let committing = move || transactions.commit(&mut work, &consumer).map(|()| work.marks);
        let commit = tokio::task::spawn_blocking(committing);
        let done = tokio::time::timeout(self.shared.options.transaction_timeout + GRACE, commit).await;
        // A pipe that comes after fences this one before it asks what is committed, so whatever becomes of it is told.
        let done = done.map_or_else(
            |_| {
                Err(unavailable(Refused(
                    "a commit was given up: its transaction can't be open any more".to_owned(),
                )))
            },
            |committed| committed.expect("a commit does not panic"),
        );
        match done {
            Ok(marks) => {
                timer.observe_duration();
                self.shared.metrics.transactions.inc();
                self.marks.extend(marks);
                Ok(())
            }
            Err(error) => {
                timer.stop_and_discard();
                self.shared.metrics.failed_transactions.inc();
                Err(self.end(error))
            }
        }
    }
}

/// A job begins with its newest state, and without one at the oldest record.
struct FromSnapshot {
    job: String,
    snapshots: Snapshots,
}

impl Beginning for FromSnapshot {
    fn begin(
        &self,
        consumer: &BaseConsumer<Rebalances>,
        places: &[TopicPartition],
    ) -> Result<Vec<Start>, LogError> {
        let committed = committed(consumer, &consumer.context().names, places).map_err(log_error)?;
        let noted: Vec<_> =
            places.iter().zip(&committed).map(|(at, (_, note))| (at.partition, Mark::noted(note))).collect();
        let newest = self.snapshots.newest(&self.job, &noted).map_err(log_error)?;
        let mut starts = Vec::with_capacity(places.len());
        for ((place, (committed, _)), newest) in places.iter().zip(committed).zip(newest) {
            starts.push(self.start(consumer, *place, committed, newest)?);
        }
        Ok(starts)
    }

    fn is_told(&self) -> bool {
        true
    }
}

impl FromSnapshot {
    fn start(
        &self,
        consumer: &BaseConsumer<Rebalances>,
        place: TopicPartition,
        committed: Option<Offset>,
        newest: Option<(Offset, records::Snapshot)>,
    ) -> Result<Start, LogError> {
        match (committed, newest) {
            (None, Some((_, snapshot))) => {
                let detail = format!(
                    "job {} has a state up to here, and Kafka has forgotten what it committed \
                     (offsets.retention.minutes): set the group's offset by hand, or remove the state",
                    self.job
                );
                Err(LogError::Damaged { partition: place, offset: snapshot.offset, detail })
            }
            (Some(committed), Some((at, snapshot))) => {
                Ok(Start { next: Some(snapshot.offset), snapshot: Some((at, snapshot)), committed })
            }
            (committed, None) => {
                // What is missing beyond the commit is lost on us, and found missing where it is read.
                let committed = committed.unwrap_or(0);
                let (oldest, _) = watermarks(consumer, place).map_err(log_error)?;
                Ok(Start { next: Some(oldest.min(committed)), snapshot: None, committed })
            }
        }
    }
}
