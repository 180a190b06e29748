//! A reader on Kafka that waits while the brokers are away.
//!
//! What a sink has taken and not made durable stands in its memory; were it built anew at each outage, it would take
//! these records twice. So the reader is built anew, and the sink passes over what it has.

use std::time::{Duration, Instant};

use kafka::{KafkaConsumer, Log};
use records::{Consumer, Fetched, LogError, Standing, Topic};
use tracing::{info, warn};

use crate::fences::Fences;
use crate::supervise::Chain;

/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// How a reader of a group is made.
type Begin = fn(&Log, &str, &[Topic]) -> KafkaConsumer;

/// A consumer for which an unavailable log is a matter of time.
pub struct PatientConsumer {
    log: Log,
    group: String,
    topics: Vec<Topic>,
    begin: Begin,
    consumer: KafkaConsumer,
    is_away: bool,
    fences: Fences,
}

impl PatientConsumer {
    /// A reader of `topics` in `group`, made by `begin`, again after each outage.
    pub fn new(log: &Log, group: &str, topics: &[Topic], begin: Begin) -> PatientConsumer {
        PatientConsumer {
            begin,
            log: log.clone(),
            group: group.to_owned(),
            topics: topics.to_vec(),
            consumer: begin(log, group, topics),
            is_away: false,
            fences: Fences::default(),
        }
    }

    fn is_passing(&mut self, error: &LogError) -> bool {
        match error {
            LogError::Unavailable(_) => true,
            LogError::Fenced => self.fences.may_join_again(Instant::now()),
            LogError::Damaged { .. } | LogError::Refused(_) => false,
        }
    }

    /// Tells an outage once.
    async fn wait_out(&mut self, error: LogError) {
        if !std::mem::replace(&mut self.is_away, true) {
            warn!(group = self.group, "{}; nothing is lost, trying again every second", Chain(&error));
        }
        tokio::time::sleep(PAUSE).await;
    }

    fn note_return(&mut self) {
        if std::mem::take(&mut self.is_away) {
            info!(group = self.group, "the log can be read again");
        }
    }
}

impl Consumer for PatientConsumer {
    async fn poll(&mut self) -> Result<Option<Fetched>, LogError> {
        loop {
            match self.consumer.poll().await {
                Err(error) if self.is_passing(&error) => {
                    self.consumer = (self.begin)(&self.log, &self.group, &self.topics);
                    self.wait_out(error).await;
                }
                polled => {
                    self.note_return();
                    return polled;
                }
            }
        }
    }

    async fn commit_noted(&mut self, standings: &[Standing]) -> Result<(), LogError> {
        loop {
            match self.consumer.commit_noted(standings).await {
                // It is no member any more: what it has read comes again, and is passed over.
                Err(error @ LogError::Fenced) if self.is_passing(&error) => {
                    self.consumer = (self.begin)(&self.log, &self.group, &self.topics);
                    self.wait_out(error).await;
                    return Ok(());
                }
                Err(error @ LogError::Unavailable(_)) => self.wait_out(error).await,
                committed => {
                    self.note_return();
                    return committed;
                }
            }
        }
    }

    async fn standings(&mut self, group: &str) -> Result<Vec<Standing>, LogError> {
        loop {
            match self.consumer.standings(group).await {
                Err(error @ LogError::Unavailable(_)) => self.wait_out(error).await,
                told => {
                    self.note_return();
                    return told;
                }
            }
        }
    }
}
