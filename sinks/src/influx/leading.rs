//! The live lane's reader: it commits what was left out together with how far it came.

use super::ledger::Ledger;
use super::{BACKFILL_GROUP, LIVE_GROUP};
use records::{Consumer, Fetched, LogError, Offset, Standing, TopicPartition};
use tokio::time::{Duration, Instant};

/// Records are decided on by what both groups said no longer ago than this.
const FRESH: Duration = Duration::from_millis(200);

/// Reads `inner`, whose group is [`LIVE_GROUP`], and keeps its gaps as notes beside the offsets: so they are with
/// whoever has the partition next, and with the backfill lane wherever it runs.
pub struct Leading<C> {
    inner: C,
    ledger: Ledger,
    seen: Option<Instant>,
    /// Read, and not handed out yet; held here so that a dropped call loses nothing.
    held: Option<Fetched>,
}

impl<C: Consumer> Leading<C> {
    /// In front of the live lane of `ledger`.
    pub fn new(inner: C, ledger: Ledger) -> Leading<C> {
        Leading { inner, ledger, seen: None, held: None }
    }

    async fn see(&mut self) -> Result<(), LogError> {
        let live = self.inner.standings(LIVE_GROUP).await?;
        let backfill = self.inner.standings(BACKFILL_GROUP).await?;
        self.ledger.pages().left_out.see(&live, &backfill)?;
        self.seen = Some(Instant::now());
        Ok(())
    }
}

impl<C: Consumer> Consumer for Leading<C> {
    async fn poll(&mut self) -> Result<Option<Fetched>, LogError> {
        if self.held.is_none() {
            self.held = self.inner.poll().await?;
        }
        if self.held.is_some() && self.seen.is_none_or(|seen| seen.elapsed() > FRESH) {
            self.see().await?;
        }
        Ok(self.held.take())
    }

    async fn commit(&mut self, offsets: &[(TopicPartition, Offset)]) -> Result<(), LogError> {
        self.see().await?;
        let standings: Vec<Standing> = {
            let pages = self.ledger.pages();
            let standing = |(at, next): &(TopicPartition, Offset)| pages.left_out.standing(*at, *next);
            offsets.iter().filter_map(standing).collect()
        };
        self.inner.commit_noted(&standings).await
    }

    async fn commit_noted(&mut self, standings: &[Standing]) -> Result<(), LogError> {
        self.inner.commit_noted(standings).await
    }

    async fn standings(&mut self, group: &str) -> Result<Vec<Standing>, LogError> {
        self.inner.standings(group).await
    }
}
