//! The loop that every sink runs in: poll, write, flush when due, commit what was flushed.

use crate::backoff::Backoff;
use crate::notices::{Kind, Notice};
use crate::{Clock, Metrics, Notices, Sink, SinkError, Written};
use records::{Batch, Consumer, Fetched, Offset, TopicPartition};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::{Duration, Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// What surrounds a sink.
#[derive(Clone)]
pub struct Ambient {
    /// Where facts are counted.
    pub metrics: Metrics,
    /// Where operators read what keeps a sink from working.
    pub notices: Notices,
    /// For the lag in seconds and the times of notices; nothing else depends on it.
    pub clock: Clock,
    /// For the jitter of retries.
    pub seed: u64,
    /// How often a sink that waits for a person looks whether they came.
    pub look_again: Duration,
}

/// Reads `consumer` into `sink` until `stop` or until no more will come, then flushes once more.
///
/// Offsets are committed only after [`Sink::flush`] returned `Ok`. While the sink is unavailable or barred the loop
/// waits and tries again, and reads nothing; [`Notices`] say so.
///
/// # Errors
/// [`SinkError::Log`] when the log fails; [`SinkError::Rejected`] when a flush was refused for good.
pub async fn run<C: Consumer, S: Sink>(
    consumer: C,
    sink: S,
    ambient: Ambient,
    stop: CancellationToken,
) -> Result<(), SinkError> {
    let backoff = Backoff::new(ambient.seed);
    let mut courier =
        Courier { consumer, sink, ambient, stop, backoff, flushed: BTreeMap::new(), waiting: 0 };
    let result = courier.run().await;
    courier.sink.end().await;
    result
}

struct Courier<C, S> {
    consumer: C,
    sink: S,
    ambient: Ambient,
    stop: CancellationToken,
    backoff: Backoff,
    /// What the next successful flush lets us commit.
    flushed: BTreeMap<TopicPartition, Offset>,
    /// Records written and not committed.
    waiting: u64,
}

enum Step<'a> {
    Write(&'a Fetched),
    Flush,
}

enum Outcome {
    Done(Written),
    Stopped,
}

impl<C: Consumer, S: Sink> Courier<C, S> {
    async fn run(&mut self) -> Result<(), SinkError> {
        self.deliver_all().await?;
        self.flush().await
    }

    async fn deliver_all(&mut self) -> Result<(), SinkError> {
        let stop = self.stop.clone();
        loop {
            let fetched = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = due(self.sink.flush_due()) => {
                    self.flush().await?;
                    continue;
                }
                fetched = self.consumer.poll() => fetched?,
            };
            match fetched {
                Some(fetched) => self.deliver(fetched).await?,
                None => return Ok(()),
            }
        }
    }

    async fn deliver(&mut self, fetched: Fetched) -> Result<(), SinkError> {
        let (partition, next, count) = (fetched.partition, fetched.next(), fetched.batch.len() as u64);
        let mut pieces = vec![fetched];
        while let Some(piece) = pieces.pop() {
            match self.persist(Step::Write(&piece)).await {
                Ok(Outcome::Done(written)) => self.count(&piece, written),
                Ok(Outcome::Stopped) => return Ok(()),
                Err(SinkError::Rejected(reason)) => match halves(&piece) {
                    Some((left, right)) => pieces.extend([right, left]),
                    None => self.leave_out(&piece, &reason),
                },
                Err(error) => return Err(error),
            }
        }
        self.flushed.insert(partition, next);
        self.waiting += count;
        self.metrics().uncommitted(self.waiting);
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        if let Outcome::Stopped = self.persist(Step::Flush).await? {
            return Ok(());
        }
        if self.flushed.is_empty() {
            return Ok(());
        }
        let offsets: Vec<_> = self.flushed.iter().map(|(partition, next)| (*partition, *next)).collect();
        self.consumer.commit(&offsets).await?;
        self.flushed.clear();
        self.waiting = 0;
        self.metrics().flushed();
        Ok(())
    }

    /// Does `step`, again and again while the sink is unavailable, until `stop`.
    async fn persist(&mut self, step: Step<'_>) -> Result<Outcome, SinkError> {
        loop {
            let result = match step {
                Step::Write(fetched) => self.sink.write(fetched).await,
                Step::Flush => self.sink.flush().await.map(|()| Written::default()),
            };
            let wait = match result {
                Err(SinkError::Unavailable(error)) => {
                    self.note_outage(error.as_ref());
                    self.backoff.next()
                }
                Err(SinkError::Barred(reason)) => {
                    self.note_barred(&reason);
                    self.ambient.look_again
                }
                other => {
                    self.note_recovery();
                    return other.map(Outcome::Done);
                }
            };
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(Outcome::Stopped),
                () = sleep(wait) => {}
            }
        }
    }

    fn note_outage(&self, error: &(dyn std::error::Error + 'static)) {
        let text = format!("waits until it is available again, and nothing is lost: {error}");
        if self.tell(Kind::Waiting, text) {
            tracing::warn!(sink = self.sink.name(), error, "unavailable; reading waits, nothing is lost");
        }
        self.metrics().retried();
    }

    fn note_barred(&self, reason: &str) {
        let text = format!("waits until a person has put it right, and nothing is lost: {reason}");
        if self.tell(Kind::Barred, text) {
            tracing::warn!(
                sink = self.sink.name(),
                reason,
                "a person has to put it right; reading waits, nothing is lost"
            );
        }
        self.metrics().barred(true);
        self.metrics().retried();
    }

    fn note_recovery(&mut self) {
        let (name, tries) = (self.sink.name(), self.backoff.tries());
        if self.ambient.notices.withdraw(name) {
            self.metrics().barred(false);
            tracing::info!(sink = name, tries, "available again");
        }
        self.backoff.reset();
    }

    /// Whether it is news.
    fn tell(&self, kind: Kind, text: String) -> bool {
        let since = Some((self.ambient.clock)());
        self.ambient.notices.tell(Notice { source: self.sink.name(), kind, since, text })
    }

    fn count(&self, fetched: &Fetched, written: Written) {
        let lag = written.newest.map(|newest| (self.ambient.clock)().since(newest));
        self.metrics().wrote(fetched.batch.len() as u64, &written, lag);
    }

    fn leave_out(&self, fetched: &Fetched, reason: &str) {
        let (partition, offset) = (fetched.partition, fetched.first);
        tracing::error!(sink = self.sink.name(), %partition, offset, reason, "a record was rejected and left out");
        self.metrics().rejected();
    }

    fn metrics(&self) -> crate::metrics::SinkMetrics<'_> {
        self.ambient.metrics.of(self.sink.name())
    }
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// The first and the second half of a batch; `None` for a single record.
fn halves(fetched: &Fetched) -> Option<(Fetched, Fetched)> {
    let middle = fetched.batch.len() / 2;
    if middle == 0 {
        return None;
    }
    let (mut left, mut right) = (Batch::new(), Batch::new());
    for (index, entry) in fetched.batch.entries().enumerate() {
        let half = if index < middle { &mut left } else { &mut right };
        half.push_entry(entry);
    }
    let piece =
        |first, lost, batch| Fetched { partition: fetched.partition, first, lost, batch: Arc::new(batch) };
    Some((piece(fetched.first, fetched.lost, left), piece(fetched.first + middle as Offset, 0, right)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::{Entry, Origin, Topic};

    #[test]
    fn halves_keep_offsets_and_origins() {
        let mut batch = Batch::new();
        for offset in 0..5_u64 {
            let origin = (offset % 2 == 0).then_some(Origin { gateway: "edge-7", spool: 3, offset });
            batch.push_entry(Entry { key: b"air-1", value: &[offset as u8], origin, mirrored: None });
        }
        let partition = TopicPartition { topic: Topic::Observations, partition: 0 };
        let whole = Fetched { partition, first: 40, lost: 7, batch: Arc::new(batch) };
        let (left, right) = halves(&whole).expect("five records have halves");
        assert_eq!([(left.first, left.lost), (right.first, right.lost)], [(40, 7), (42, 0)]);
        let entries: Vec<_> = left.batch.entries().chain(right.batch.entries()).collect();
        assert_eq!(entries, whole.batch.entries().collect::<Vec<_>>());
    }
}
