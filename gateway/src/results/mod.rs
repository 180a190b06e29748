//! What came of the devices' words, for those who subscribe to it: alerts, aggregates, observations after clean-up.
//!
//! A reader of the log on the subscribing side, which keeps no session and no device waiting.

mod active;
mod topic;
mod words;

use crate::fanout::{Fanout, NOBODY, Publication, Said};
use crate::packet::QoS;
use crate::{Clock, Metrics};
use active::Active;
use records::{Consumer, Fetched, LogError, Offset, Record, Topic, TopicPartition};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What the reader must read.
pub const TOPICS: &[Topic] = &[Topic::Alerts, Topic::Aggregates, Topic::Observations];

/// What it works with.
pub struct Results {
    /// The gateway's.
    pub fanout: Arc<Fanout>,
    /// What time it is.
    pub clock: Clock,
    /// The gateway's too.
    pub metrics: Arc<Metrics>,
    /// Up to where everybody has been told: at first, where the log ends when the gateway starts. What of it counts
    /// are the alerts that are still active: they are retained.
    pub told: BTreeMap<TopicPartition, Offset>,
}

/// Publishes what is appended to [`TOPICS`] until `stop`. Its group is nobody else's.
///
/// The position of alerts is committed no further than the oldest that is still active, so that the next process
/// retains them again.
///
/// # Errors
/// The log can't be read, or another reader has taken the group. Called again, it goes on.
pub async fn run(
    mut consumer: impl Consumer,
    results: &mut Results,
    stop: &CancellationToken,
) -> Result<(), LogError> {
    let mut active = Active::default();
    while let Some(polled) = stop.run_until_cancelled(consumer.poll()).await {
        let Some(fetched) = polled? else { break };
        results.take(&fetched, &mut active);
        let oldest = (fetched.partition.topic == Topic::Alerts).then(|| active.oldest(fetched.partition));
        let next = oldest.flatten().unwrap_or(fetched.next());
        consumer.commit(&[(fetched.partition, next)]).await?;
    }
    Ok(())
}

impl Results {
    fn take(&mut self, fetched: &Fetched, active: &mut Active) {
        let told = self.told.get(&fetched.partition).copied().unwrap_or(0);
        let mut publications = Vec::new();
        for (offset, key, value) in fetched.records() {
            let is_news = offset >= told;
            if offset == told {
                publications.extend(self.still_retained(active));
            }
            match fetched.partition.topic {
                Topic::Alerts => {
                    let at = (fetched.partition, offset);
                    self.take_alert(value, at, is_news, active, &mut publications);
                }
                topic if is_news => publications.extend(self.said(topic, key, value)),
                _ => {}
            }
        }
        if fetched.next() >= told {
            publications.extend(self.still_retained(active));
            self.told.insert(fetched.partition, fetched.next());
        }
        self.metrics.results.inc_by(publications.len() as u64);
        self.fanout.publish(publications);
    }

    fn take_alert(
        &self,
        value: &[u8],
        at: (TopicPartition, Offset),
        is_news: bool,
        active: &mut Active,
        publications: &mut Vec<Publication>,
    ) {
        let Some(Record::Alert(alert)) = decode(Topic::Alerts, value) else { return };
        for words in active.take(&alert, at) {
            if is_news {
                publications.extend(self.publication(&words.topic, &words.payload, words.is_retained));
            } else if words.is_retained {
                active.history.insert(words.topic, words.payload);
            }
        }
    }

    /// What has come of the history, as far as it isn't retained already.
    fn still_retained(&self, active: &mut Active) -> Vec<Publication> {
        let history = std::mem::take(&mut active.history);
        let changed = history.iter().filter(|(topic, payload)| !self.fanout.retains(topic, payload));
        changed.filter_map(|(topic, payload)| self.publication(topic, payload, true)).collect()
    }

    /// An aggregate or an observation, when somebody wants it.
    fn said(&self, topic: Topic, key: &[u8], value: &[u8]) -> Option<Publication> {
        // Most records are observations, which nobody wants: their key says so.
        if topic == Topic::Observations && !self.fanout.is_wanted(&topic::of_observation(key)?) {
            return None;
        }
        let record = decode(topic, value)?;
        let name = topic::of(&record)?;
        let payload = self.fanout.is_wanted(&name).then(|| words::of(&record))??;
        self.publication(&name, &payload, false)
    }

    fn publication(&self, topic: &str, payload: &[u8], is_retained: bool) -> Option<Publication> {
        let qos = QoS::AtLeastOnce;
        let said = Said { topic, payload, properties: &[], qos, is_retained, origin: NOBODY };
        self.fanout.publication(&said, (self.clock)())
    }
}

/// Whoever stores what can't be read says so; here nobody is owed it.
fn decode(topic: Topic, value: &[u8]) -> Option<Record> {
    Record::decode(value)
        .inspect_err(|error| tracing::debug!(%topic, %error, "a record that can't be read"))
        .ok()
}
