//! The backfill lane's reader: it stays behind the live lane, and is slow on purpose where there is something to write.

use super::ledger::Ledger;
use super::left_out::open_gaps;
use super::{BACKFILL_GROUP, LIVE_GROUP};
use crate::Metrics;
use records::{Consumer, Fetched, LogError, Offset, Standing, TopicPartition};
use std::collections::BTreeMap;
use tokio::time::{Duration, Instant, sleep, sleep_until};

/// How often is asked whether the live lane has come further.
const PAUSE: Duration = Duration::from_millis(200);
/// The same, and how much is left, while there is nothing to do.
const IDLE: Duration = Duration::from_secs(1);

/// Hands out what `inner`, whose group is [`BACKFILL_GROUP`], reads once the live lane has passed it, in whichever
/// process, and so many records out of gaps a second.
pub struct Trailing<C> {
    inner: C,
    ledger: Ledger,
    metrics: Metrics,
    rate: u32,
    /// How far the live lane's group had come when it was last asked.
    live: BTreeMap<TopicPartition, Offset>,
    /// Read, and not handed out yet; held here so that a dropped call loses nothing.
    held: Option<Fetched>,
    /// When the next records may go.
    ready_at: Option<Instant>,
}

impl<C: Consumer> Trailing<C> {
    /// Behind the live lane, at most `rate` records out of gaps a second, for the backfill lane of `ledger`.
    pub fn new(inner: C, ledger: Ledger, rate: u32, metrics: Metrics) -> Trailing<C> {
        let (rate, live) = (rate.max(1), BTreeMap::new());
        Trailing { inner, ledger, metrics, rate, live, held: None, ready_at: None }
    }

    /// What comes next. While nothing does, others may be filling gaps that were counted here.
    async fn hold_next(&mut self) -> Result<bool, LogError> {
        while self.held.is_none() {
            let has_gaps = self.ledger.pages().to_fill.records() > 0;
            tokio::select! {
                fetched = self.inner.poll() => match fetched? {
                    Some(fetched) => self.held = Some(fetched),
                    None => return Ok(false),
                },
                () = sleep(IDLE), if has_gaps => self.see().await?,
            }
        }
        Ok(true)
    }

    async fn see(&mut self) -> Result<(), LogError> {
        let live = self.inner.standings(LIVE_GROUP).await?;
        let backfill = self.inner.standings(BACKFILL_GROUP).await?;
        let to_fill = open_gaps(&live, &backfill)?;
        self.metrics.influx_gaps(to_fill.records());
        self.ledger.pages().to_fill = to_fill;
        self.live = live.into_iter().map(|standing| (standing.partition, standing.next)).collect();
        Ok(())
    }

    /// Waits until the live lane has come to `next`, and knows what it left out below.
    async fn wait_for_live(&mut self, partition: TopicPartition, next: Offset) -> Result<(), LogError> {
        while self.live.get(&partition).is_none_or(|live| *live < next) {
            if self.live.contains_key(&partition) {
                sleep(PAUSE).await;
            }
            self.see().await?;
            self.live.entry(partition).or_default();
        }
        Ok(())
    }

    /// Waits until the records handed out before have had their time.
    async fn wait_for_rate(&mut self) {
        if let Some(at) = self.ready_at {
            sleep_until(at).await;
        }
    }
}

impl<C: Consumer> Consumer for Trailing<C> {
    async fn poll(&mut self) -> Result<Option<Fetched>, LogError> {
        if !self.hold_next().await? {
            return Ok(None);
        }
        let Some(fetched) = &self.held else { return Ok(None) };
        let (partition, first, next) = (fetched.partition, fetched.first, fetched.next());
        self.wait_for_live(partition, next).await?;
        self.wait_for_rate().await;
        let wanted = self.ledger.pages().to_fill.within(partition, first..next);
        if wanted > 0 {
            let pause = Duration::from_secs_f64(wanted as f64 / f64::from(self.rate));
            self.ready_at = Some(Instant::now() + pause);
        }
        Ok(self.held.take())
    }

    async fn commit_noted(&mut self, standings: &[Standing]) -> Result<(), LogError> {
        self.inner.commit_noted(standings).await
    }

    async fn standings(&mut self, group: &str) -> Result<Vec<Standing>, LogError> {
        self.inner.standings(group).await
    }
}
