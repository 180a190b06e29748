//! Topic `alerts` to a URL.

use super::WebhookOptions;
use super::call::Caller;
use crate::sink::decoded;
use crate::{Clock, Sink, SinkError, Written};
use records::{Fetched, Offset, Record, Severity, Topic, TopicPartition};
use std::collections::BTreeMap;
use tokio::time::Instant;

/// Sends as it reads: what was written was taken, and only the commit is left.
pub struct WebhookSink {
    caller: Caller,
    clock: Clock,
    min_severity: Severity,
    /// Below this everything was taken; a batch that is tried again goes on from here.
    taken: BTreeMap<TopicPartition, Offset>,
    due: Option<Instant>,
}

impl WebhookSink {
    /// What to read.
    pub const TOPICS: &'static [Topic] = &[Topic::Alerts];

    /// A sink to the URL of `options`, signing with `secret`.
    ///
    /// # Errors
    /// In words, when URL or secret can't be used.
    pub fn new(options: &WebhookOptions, secret: &str, clock: Clock) -> Result<WebhookSink, String> {
        let caller = Caller::new(options, secret)?;
        let (taken, due) = (BTreeMap::new(), None);
        Ok(WebhookSink { caller, clock, min_severity: options.min_severity, taken, due })
    }
}

impl Sink for WebhookSink {
    fn name(&self) -> &'static str {
        "webhook"
    }

    async fn write(&mut self, fetched: &Fetched) -> Result<Written, SinkError> {
        let mut written = Written::default();
        let from = self.taken.get(&fetched.partition).copied().unwrap_or(0);
        for (offset, record) in decoded(fetched, from, &mut written) {
            if let Record::Alert(alert) = record
                && alert.severity >= self.min_severity
            {
                self.caller.call(&alert, (self.clock)()).await?;
                written.saw(alert.as_of);
                written.rows += 1;
            }
            self.taken.insert(fetched.partition, offset + 1);
        }
        self.due = Some(Instant::now());
        Ok(written)
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        self.due = None;
        Ok(())
    }

    fn flush_due(&self) -> Option<Instant> {
        self.due
    }
}
