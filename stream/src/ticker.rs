//! What the owner of a partition writes to it: ticks while nobody speaks, and the rules that are to hold.

use crate::rule::RulesSet;
use records::{Batch, Producer, Record, Rules, Tick, Timestamp, Topic, TopicPartition};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often the ticker looks whether somebody has spoken.
const EVERY: Duration = Duration::from_secs(1);

/// A clock: the only one near this stage, and what it says is a record before anybody acts on it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Writes a [`Tick`] to each partition of `telemetry` that we own and that had no record for a second, so that
/// windows close in silence; and [`Rules`] to each in which others hold than those that are wanted. Both come back
/// through the pipe like any record.
pub struct Ticker<P> {
    /// Where it is written.
    pub log: P,
    /// What it says.
    pub clock: Clock,
    /// Which rules are to hold, and from when on; the newest wish counts, whoever has it.
    pub wanted: watch::Receiver<RulesSet>,
}

type Append = Pin<Box<dyn Future<Output = bool> + Send>>;

/// A ticker at work.
pub(crate) struct Ticking<P> {
    ticker: Ticker<P>,
    looks: Interval,
    /// Our partitions, and whether they were heard since the last look.
    heard: BTreeMap<u32, bool>,
    /// To which of them the rules were written that are wanted now, and have not come back yet.
    written: BTreeMap<u32, RulesSet>,
    /// An append under way. It is never waited for: a log that is full must not stop the reader that empties it.
    append: Option<Append>,
}

impl<P: Producer> Ticking<P> {
    pub(crate) fn new(ticker: Ticker<P>) -> Ticking<P> {
        let mut looks = interval(EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        looks.reset();
        Ticking { ticker, looks, heard: BTreeMap::new(), written: BTreeMap::new(), append: None }
    }

    pub(crate) fn own(&mut self, partition: u32) {
        self.heard.insert(partition, false);
    }

    pub(crate) fn disown(&mut self, partition: u32) {
        self.heard.remove(&partition);
        self.written.remove(&partition);
    }

    pub(crate) fn hear(&mut self, partition: u32) {
        self.heard.insert(partition, true);
    }

    /// Returns whenever it is time for [`Ticking::speak`]. Cancel-safe.
    pub(crate) async fn look(&mut self) {
        if let Some(append) = &mut self.append {
            let is_durable = append.await;
            self.append = None;
            if !is_durable {
                // It may be there or not. The second of two that are alike changes nothing.
                self.written.clear();
            }
        }
        self.looks.tick().await;
    }

    /// Begins to write what is due. `rules`: those that will hold in a partition when it has read what it was given.
    pub(crate) fn speak<'r>(&mut self, rules: impl Fn(u32) -> Option<&'r RulesSet>) {
        let mut batches = self.rules(rules);
        let silent = self.heard.iter().filter(|(_, is_heard)| !**is_heard).map(|(partition, _)| *partition);
        batches.extend(silent.map(|partition| self.tick(partition)));
        self.heard.values_mut().for_each(|is_heard| *is_heard = false);
        if !batches.is_empty() {
            self.append = Some(Box::pin(append(self.ticker.log.clone(), batches)));
        }
    }

    /// The rules for partitions in which older ones hold that say something else.
    fn rules<'r>(&mut self, rules: impl Fn(u32) -> Option<&'r RulesSet>) -> Vec<(TopicPartition, Batch)> {
        let wanted = self.ticker.wanted.borrow().clone();
        let mut batches = Vec::new();
        for partition in self.heard.keys().copied() {
            let Some(last) = rules(partition) else { continue };
            let is_due = last.text != wanted.text && last.since < wanted.since;
            if !is_due || self.written.get(&partition) == Some(&wanted) {
                continue;
            }
            let record = Rules { at: wanted.since, text: wanted.text.clone(), replaces: last.text.clone() };
            batches.push(one(partition, &Record::Rules(record)));
            self.written.insert(partition, wanted.clone());
        }
        batches
    }

    fn tick(&self, partition: u32) -> (TopicPartition, Batch) {
        one(partition, &Record::Tick(Tick { at: (self.ticker.clock)(), source: 0, sources: 1 }))
    }
}

fn one(partition: u32, record: &Record) -> (TopicPartition, Batch) {
    let mut batch = Batch::new();
    batch.push_with(b"", |to| record.encode(to));
    (TopicPartition { topic: Topic::Telemetry, partition }, batch)
}

/// Whether it is durable.
async fn append<P: Producer>(log: P, batches: Vec<(TopicPartition, Batch)>) -> bool {
    match log.append(batches).await {
        Ok(_) => true,
        Err(error) => {
            tracing::warn!(%error, "no tick could be written; windows close when the log takes records again");
            false
        }
    }
}
