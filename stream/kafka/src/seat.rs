//! What a reader and the thread that polls for it share.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use records::TopicPartition;
use tokio::sync::watch;

/// What a reader and the thread that polls for it share.
pub(crate) struct Seat {
    is_left: AtomicBool,
    is_fenced: AtomicBool,
    /// `None` until the group has told for the first time.
    assigned: watch::Sender<Option<BTreeSet<TopicPartition>>>,
}

impl Seat {
    pub fn new() -> Seat {
        Seat {
            is_left: AtomicBool::new(false),
            is_fenced: AtomicBool::new(false),
            assigned: watch::Sender::new(None),
        }
    }

    /// The reader is gone; the thread ends.
    pub fn leave(&self) {
        self.is_left.store(true, Ordering::Release);
    }

    pub fn is_left(&self) -> bool {
        self.is_left.load(Ordering::Acquire)
    }

    /// Partitions went without a last commit; nothing may be committed any more.
    pub fn fence(&self) {
        self.is_fenced.store(true, Ordering::SeqCst);
    }

    pub fn is_fenced(&self) -> bool {
        self.is_fenced.load(Ordering::SeqCst)
    }

    pub fn assign(&self, places: &[TopicPartition]) {
        self.assigned.send_modify(|assigned| assigned.get_or_insert_default().extend(places));
    }

    pub fn revoke(&self, places: &[TopicPartition]) {
        self.assigned.send_modify(|assigned| {
            assigned.get_or_insert_default().retain(|place| !places.contains(place));
        });
    }

    pub fn is_assigned(&self) -> bool {
        self.assigned.borrow().is_some()
    }

    /// What is ours, once the group has told.
    pub async fn ours(&self) -> BTreeSet<TopicPartition> {
        let mut told = self.assigned.subscribe();
        // It fails when the sender is gone, and we are the sender.
        let ours = told.wait_for(Option::is_some).await;
        ours.ok().and_then(|ours| ours.clone()).unwrap_or_default()
    }
}
