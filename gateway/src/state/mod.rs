//! What of sessions outlives the process (MQTT 5, 4.1): where it is kept, and how it is found again.
//!
//! Everything is a note beside the log's records (`records::Note`), so that what belongs to an append is durable with it
//! or not at all. What the notes are called stands in `key.rs`, what they say in `record.rs`.

pub(crate) mod key;
mod record;
mod restore;
mod take_up;

pub(crate) use record::SessionRecord;
pub(crate) use take_up::take_up;

use restore::{RestoredSession, restore};

use crate::fanout::Publication;
use crate::packet::Options;
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

/// What is to be noted of a message that is to be retained, or that takes back what is.
pub(crate) fn retain(publication: &Publication) -> Note {
    let key = key::retained(publication.topic());
    match publication.payload().is_empty() {
        true => Note::Remove { key },
        false => Note::Put { key, value: publication.noted() },
    }
}

/// The reverse, unless another one has taken its place.
pub(crate) fn release(publication: &Publication) -> Note {
    Note::RemoveSame { key: key::retained(publication.topic()), value: publication.noted() }
}

/// What is to be noted of a message with its append, so that it reaches those who are owed it.
pub(crate) fn sent_on(publication: &Publication) -> Option<Note> {
    let key = key::on_its_way(publication.number()?);
    Some(Note::Put { key, value: publication.noted_on_its_way() })
}

/// It is where it should be, or lost on its way, and whoever was owed it is told.
pub(crate) fn arrived(publication: &Publication) -> Option<Note> {
    Some(Note::Remove { key: key::on_its_way(publication.number()?) })
}

/// What is to be noted of a subscription.
pub(crate) fn subscribed(session: u64, filter: &str, options: Options, identifier: Option<u32>) -> Note {
    let value = [&[options.byte()][..], &identifier.unwrap_or(0).to_be_bytes()].concat();
    Note::Put { key: key::subscription(session, filter), value }
}

/// The reverse: options and identifier. `None` when these bytes are no subscription.
fn subscription_of(value: &[u8]) -> Option<(Options, Option<u32>)> {
    let (options, identifier) = value.split_first()?;
    let identifier = u32::from_be_bytes(identifier.try_into().ok()?);
    Some((Options::of_byte(*options)?, (identifier > 0).then_some(identifier)))
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
