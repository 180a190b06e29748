//! Topics `ledger` and `quarantine` into the ledger.

use super::book::{Changes, LedgerBook, SetAside};
use crate::alerts::sink_error;
use crate::blocking::blocking;
use crate::sink::{decoded, origin};
use crate::{Sink, SinkError, Written};
use records::{Fetched, Record, Topic};
use std::sync::Arc;
use tokio::time::{Duration, Instant};

/// Positions on the log may trail those of the book by this much: the book knows what it has entered.
const COMMIT_AGE: Duration = Duration::from_secs(1);

/// Enters what comes; each batch is durable when `write` returns, and entered once, however often it is read.
pub struct LedgerSink {
    book: Arc<LedgerBook>,
    due: Option<Instant>,
}

impl LedgerSink {
    /// What to read.
    pub const TOPICS: &'static [Topic] = &[Topic::Ledger, Topic::Quarantine];

    /// A sink into `book`.
    pub fn new(book: Arc<LedgerBook>) -> LedgerSink {
        LedgerSink { book, due: None }
    }
}

impl Sink for LedgerSink {
    fn name(&self) -> &'static str {
        "ledger"
    }

    async fn write(&mut self, fetched: &Fetched) -> Result<Written, SinkError> {
        let (at, to) = (fetched.partition, fetched.next());
        let book = Arc::clone(&self.book);
        let from = blocking(move || book.next(at)).await.map_err(sink_error)?;
        let mut written = Written::default();
        let mut changes = Changes::default();
        let mut entries = fetched.entries();
        for (offset, record) in decoded(fetched, from, &mut written) {
            match record {
                Record::Account(account) => changes.accounts.push(account),
                Record::Quarantined(refused) => {
                    written.saw(refused.ingest_time);
                    changes.quarantined.push(SetAside::new(refused, origin(&mut entries, offset)));
                }
                _ => continue,
            }
            written.rows += 1;
        }
        if to > from {
            let book = Arc::clone(&self.book);
            blocking(move || book.enter(at, to, &changes)).await.map_err(sink_error)?;
        }
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
