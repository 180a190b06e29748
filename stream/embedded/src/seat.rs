//! The place of one reader: how it is woken, and how it learns that somebody else has taken over.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// A reader's name on the log. A group and a job of the same name are two readers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReaderName {
    /// A consumer group.
    Group(String),
    /// A job, which reads through a pipe.
    Job(String),
}

impl ReaderName {
    /// As the tables have it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            ReaderName::Group(_) => "group",
            ReaderName::Job(_) => "job",
        }
    }

    pub(crate) fn name(&self) -> &str {
        let (ReaderName::Group(name) | ReaderName::Job(name)) = self;
        name
    }

    /// The reverse of `kind` and `name`; `None` for a kind that this version does not know.
    pub(crate) fn from_table(kind: &str, name: String) -> Option<ReaderName> {
        match kind {
            "group" => Some(ReaderName::Group(name)),
            "job" => Some(ReaderName::Job(name)),
            _ => None,
        }
    }
}

impl fmt::Display for ReaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.name())
    }
}

/// Shared by a reader, the partitions that wake it, and its requests.
#[derive(Debug)]
pub(crate) struct Seat {
    pub name: ReaderName,
    /// The numbers of its partitions.
    pub partitions: Vec<usize>,
    is_fenced: AtomicBool,
    wake: Notify,
}

impl Seat {
    pub fn new(name: ReaderName, partitions: Vec<usize>) -> Seat {
        Seat { name, partitions, is_fenced: AtomicBool::new(false), wake: Notify::new() }
    }

    pub fn is_fenced(&self) -> bool {
        self.is_fenced.load(Ordering::Acquire)
    }

    pub fn fence(&self) {
        self.is_fenced.store(true, Ordering::Release);
        self.wake();
    }

    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Completes at the next wake, or at once when there was one since the last call.
    pub async fn woken(&self) {
        self.wake.notified().await;
    }
}
