//! Appending until it is durable, and telling the operator once when it isn't.

use crate::Metrics;
use records::{AppendError, Batch, Producer, TopicPartition};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Who is waiting for the log to take what it has refused. One outage lasts from the first to the last of them.
#[derive(Debug)]
pub(crate) struct Outage {
    waiting: AtomicUsize,
    metrics: Arc<Metrics>,
}

/// One append that the log has refused at least once. Dropping it without [`Waiting::end`] gives it up.
#[derive(Debug)]
pub(crate) struct Waiting {
    outage: Arc<Outage>,
    is_through: bool,
}

/// The log is closed, or takes nothing until somebody has changed it: nothing will be accepted any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed;

impl Closed {
    /// That end of a log, told to the operator when it is news.
    pub(crate) fn told(error: &AppendError) -> Closed {
        if let AppendError::Refused(why) = error {
            tracing::error!(%why, "the log refuses what it is offered, and will not take it later: ending");
        }
        Closed
    }
}

impl Outage {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Arc<Outage> {
        Arc::new(Outage { waiting: AtomicUsize::new(0), metrics })
    }

    /// An append was refused for the first time.
    pub(crate) fn begin(self: &Arc<Outage>, error: &AppendError) -> Waiting {
        if self.waiting.fetch_add(1, Ordering::Relaxed) == 0 {
            let cause = error.source().map(ToString::to_string);
            tracing::warn!(%error, cause, "the log takes nothing: not reading from devices until it does");
        }
        self.metrics.waiting_appends.inc();
        Waiting { outage: self.clone(), is_through: false }
    }
}

impl Waiting {
    /// The append went through, whether or not it had to wait.
    pub(crate) fn end(waiting: Option<Waiting>) {
        if let Some(mut waiting) = waiting {
            waiting.is_through = true;
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.outage.metrics.waiting_appends.dec();
        if self.outage.waiting.fetch_sub(1, Ordering::Relaxed) == 1 && self.is_through {
            tracing::info!("the log takes records again");
        }
    }
}

/// How long to wait before the next attempt: 50 ms, doubled each time up to 1.6 s.
pub(crate) fn backoff(attempt: u32) -> Duration {
    Duration::from_millis(50 << attempt.min(5))
}

/// Appends, and tries again for as long as it takes.
pub(crate) async fn append_until_durable<P: Producer>(
    log: &P,
    batches: &[(TopicPartition, Batch)],
    outage: &Arc<Outage>,
) -> Result<(), Closed> {
    until_durable(|| log.append(batches.to_vec()), outage).await
}

/// Offers something to the log, and again for as long as it takes.
pub(crate) async fn until_durable<F, T>(offer: impl Fn() -> F, outage: &Arc<Outage>) -> Result<(), Closed>
where
    F: Future<Output = Result<T, AppendError>>,
{
    let mut waiting = None;
    for attempt in 0.. {
        match offer().await {
            Ok(_) => {
                Waiting::end(waiting);
                return Ok(());
            }
            Err(error @ (AppendError::Closed | AppendError::Refused(_))) => return Err(Closed::told(&error)),
            Err(error) => {
                waiting.get_or_insert_with(|| outage.begin(&error));
                outage.metrics.append_retries.inc();
            }
        }
        tokio::time::sleep(backoff(attempt)).await;
    }
    Ok(())
}
