//! What of sessions outlives the process (MQTT 5, 4.1): where it is kept, and how it is found again.
//!
//! Everything is a note beside the log's records (`records::Note`), so that what belongs to an append is durable with it
//! or not at all. What the notes are called stands in `key.rs`, what they say in `record.rs`.

pub(crate) mod key;
mod record;
mod restore;

pub(crate) use record::SessionRecord;
pub(crate) use restore::restore;

use records::{AppendError, Batch, LogError, Note, Noted, Timestamp, TopicPartition};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// An answer to come.
pub type Promise<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Where the state of sessions is kept. Of one gateway alone.
pub trait SessionStore: Send + Sync + 'static {
    /// Appends to the log that the gateway appends to, and carries out the notes. The contract is that of
    /// [`Producer::append`](records::Producer::append): `Ok` is durable, and after an error the same is right again.
    fn append(
        &self,
        batches: Vec<(TopicPartition, Batch)>,
        notes: Vec<Note>,
    ) -> Promise<Result<(), AppendError>>;

    /// What stands under keys that begin with `prefix`, behind everything that was appended before.
    fn notes(&self, prefix: &[u8]) -> Promise<Result<Noted, LogError>>;

    /// When this store was made: a copy of an older one that took its place says another time.
    fn made(&self) -> Timestamp;

    /// For the operator: where it is.
    fn place(&self) -> String;
}

/// How often the gateway notes that it lives, while sessions are connected that outlive it.
pub(crate) const ALIVE: Duration = Duration::from_secs(10);

/// Numbers of sessions, and how many of those that are connected have one.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    last: AtomicU64,
    connected: AtomicUsize,
}

impl Numbers {
    /// Behind those that were given.
    pub(crate) fn go_on(&self, last: u64) {
        self.last.store(last, Ordering::Relaxed);
    }

    /// One that no session has had in this store.
    pub(crate) fn next(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn connected(&self) {
        self.connected.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn gone(&self) {
        self.connected.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether anybody's end would have to be guessed after a crash.
    pub(crate) fn is_any_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed) > 0
    }
}
