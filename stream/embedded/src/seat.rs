//! The place of one reader: how it is woken, and how it learns that somebody else has taken over.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Shared by a reader, the partitions that wake it, and its requests.
#[derive(Debug)]
pub(crate) struct Seat {
    /// The consumer group or the job.
    pub name: String,
    /// The numbers of its partitions.
    pub partitions: Vec<usize>,
    is_fenced: AtomicBool,
    wake: Notify,
}

impl Seat {
    pub fn new(name: &str, partitions: Vec<usize>) -> Seat {
        Seat { name: name.to_owned(), partitions, is_fenced: AtomicBool::new(false), wake: Notify::new() }
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
