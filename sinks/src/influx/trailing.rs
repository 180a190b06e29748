//! A reader that stays behind the live lane, and is slow on purpose where there is something to write.

use super::ledger::Ledger;
use records::{Consumer, Fetched, LogError, Offset, TopicPartition};
use tokio::time::{Duration, Instant, sleep_until};

/// Hands out what `inner` reads once the live lane has passed it, and so many records out of gaps a second.
pub struct Trailing<C> {
    inner: C,
    ledger: Ledger,
    rate: u32,
    /// Read, and not handed out yet; held here so that a dropped call loses nothing.
    held: Option<Fetched>,
    /// When the next records may go.
    ready_at: Option<Instant>,
}

impl<C: Consumer> Trailing<C> {
    /// Behind the live lane of `ledger`, at most `rate` records out of gaps a second.
    pub fn new(inner: C, ledger: Ledger, rate: u32) -> Trailing<C> {
        Trailing { inner, ledger, rate: rate.max(1), held: None, ready_at: None }
    }

    /// Waits until the records handed out before have had their time.
    async fn wait_for_rate(&mut self) {
        if let Some(at) = self.ready_at {
            sleep_until(at).await;
        }
    }
}

/// Waits until the live lane has come to `next`.
async fn wait_for_live(ledger: &Ledger, partition: TopicPartition, next: Offset) {
    let mut live = ledger.follow_live();
    let has_passed = live.wait_for(|live| live.get(&partition).is_some_and(|at| *at >= next)).await;
    has_passed.map(drop).expect("the ledger holds the sender");
}

impl<C: Consumer> Consumer for Trailing<C> {
    async fn poll(&mut self) -> Result<Option<Fetched>, LogError> {
        if self.held.is_none() {
            self.held = self.inner.poll().await?;
        }
        let Some(fetched) = &self.held else { return Ok(None) };
        let (partition, first, next) = (fetched.partition, fetched.first, fetched.next());
        wait_for_live(&self.ledger, partition, next).await;
        self.wait_for_rate().await;
        let wanted = self.ledger.pages().gaps.within(partition, first..next);
        if wanted > 0 {
            let pause = Duration::from_secs_f64(wanted as f64 / f64::from(self.rate));
            self.ready_at = Some(Instant::now() + pause);
        }
        Ok(self.held.take())
    }

    async fn commit(&mut self, offsets: &[(TopicPartition, Offset)]) -> Result<(), LogError> {
        self.inner.commit(offsets).await
    }
}
