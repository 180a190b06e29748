//! Ticks for partitions in which nobody speaks.

use records::{Batch, Producer, Record, Tick, Timestamp, Topic, TopicPartition};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often the ticker looks whether somebody has spoken.
const EVERY: Duration = Duration::from_secs(1);

/// A clock: the only one near this stage, and what it says is a record before anybody acts on it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Writes a [`Tick`] to each partition of `telemetry` that we own and that had no record for a second, so that
/// windows close in silence. The tick comes back through the pipe like any record.
pub struct Ticker<P> {
    /// Where it is written.
    pub log: P,
    /// What it says.
    pub clock: Clock,
}

type Append = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A ticker at work.
pub(crate) struct Ticking<P> {
    ticker: Ticker<P>,
    looks: Interval,
    /// Our partitions, and whether they were heard since the last look.
    heard: BTreeMap<u32, bool>,
    /// An append under way. It is never waited for: a log that is full must not stop the reader that empties it.
    append: Option<Append>,
}

impl<P: Producer> Ticking<P> {
    pub(crate) fn new(ticker: Ticker<P>) -> Ticking<P> {
        let mut looks = interval(EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        looks.reset();
        Ticking { ticker, looks, heard: BTreeMap::new(), append: None }
    }

    pub(crate) fn own(&mut self, partition: u32) {
        self.heard.insert(partition, false);
    }

    pub(crate) fn disown(&mut self, partition: u32) {
        self.heard.remove(&partition);
    }

    pub(crate) fn hear(&mut self, partition: u32) {
        self.heard.insert(partition, true);
    }

    /// Ticks whenever that is due; never returns. Cancel-safe.
    pub(crate) async fn tick(&mut self) {
        loop {
            if let Some(append) = &mut self.append {
                append.await;
                self.append = None;
            }
            self.looks.tick().await;
            let silent =
                self.heard.iter().filter(|(_, is_heard)| !**is_heard).map(|(partition, _)| *partition);
            let batches: Vec<_> = silent.map(|partition| self.batch(partition)).collect();
            self.heard.values_mut().for_each(|is_heard| *is_heard = false);
            if !batches.is_empty() {
                self.append = Some(Box::pin(append(self.ticker.log.clone(), batches)));
            }
        }
    }

    fn batch(&self, partition: u32) -> (TopicPartition, Batch) {
        let tick = Record::Tick(Tick { at: (self.ticker.clock)(), source: 0, sources: 1 });
        let mut batch = Batch::new();
        batch.push_with(b"", |to| tick.encode(to));
        (TopicPartition { topic: Topic::Telemetry, partition }, batch)
    }
}

async fn append<P: Producer>(log: P, batches: Vec<(TopicPartition, Batch)>) {
    if let Err(error) = log.append(batches).await {
        tracing::warn!(%error, "no tick could be written; windows close when the log takes records again");
    }
}
