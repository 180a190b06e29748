//! Topic `alerts` into the alert book.

use super::book::{AlertBook, BookError};
use crate::blocking::blocking;
use crate::sink::decoded;
use crate::{Metrics, Sink, SinkError, Written};
use records::{Alert, Fetched, Record, Topic};
use std::sync::Arc;
use tokio::time::{Duration, Instant};

/// Positions may trail what the book holds by this much: reading it again is harmless.
const COMMIT_AGE: Duration = Duration::from_secs(1);

/// Enters transitions as they come; each batch is durable, and on the feed, when `write` returns.
pub struct AlertSink {
    book: Arc<AlertBook>,
    metrics: Metrics,
    due: Option<Instant>,
}

impl AlertSink {
    /// What to read.
    pub const TOPICS: &'static [Topic] = &[Topic::Alerts];

    /// A sink into `book`.
    pub fn new(book: Arc<AlertBook>, metrics: Metrics) -> AlertSink {
        let sink = AlertSink { book, metrics, due: None };
        sink.show_active();
        sink
    }

    fn show_active(&self) {
        for (use_case, severity, count) in self.book.counts().iter() {
            self.metrics.active(&label(use_case), &label(severity), *count);
        }
    }
}

impl Sink for AlertSink {
    fn name(&self) -> &'static str {
        "alerts"
    }

    async fn write(&mut self, fetched: &Fetched) -> Result<Written, SinkError> {
        let mut written = Written::default();
        let alerts: Vec<Alert> = decoded(fetched, 0, &mut written)
            .into_iter()
            .filter_map(|(_, record)| match record {
                Record::Alert(alert) => Some(*alert),
                _ => None,
            })
            .collect();
        for alert in &alerts {
            written.saw(alert.as_of);
        }
        let book = Arc::clone(&self.book);
        let new = blocking(move || book.enter(&alerts)).await.map_err(sink_error)?;
        written.rows = new as u64;
        self.metrics.transitions(written.rows);
        self.show_active();
        self.due.get_or_insert_with(|| Instant::now() + COMMIT_AGE);
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

/// The name by which `value` goes in JSON.
fn label<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}

pub(crate) fn sink_error(error: BookError) -> SinkError {
    match error {
        BookError::Storage(error) => SinkError::unavailable(error),
        BookError::Damaged(error) => SinkError::Rejected(error.to_string()),
    }
}
