//! What callers, readers and the writer thread share.

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use records::Timestamp;
use tokio::sync::watch;

use crate::layout::Layout;
use crate::partition::Partition;
use crate::queue::Queue;
use crate::roster::Roster;
use crate::{Clock, Metrics, Options};

/// The log without its writer.
pub(crate) struct Shared {
    pub path: PathBuf,
    pub made: Timestamp,
    pub options: Options,
    pub layout: Layout,
    pub partitions: Vec<Partition>,
    pub roster: Roster,
    pub queue: Queue,
    /// Of the budget, when the writer last looked; 0 without one.
    pub used_bytes: AtomicU64,
    pub stage: watch::Sender<Stage>,
    pub metrics: Metrics,
    pub clock: Clock,
}

/// How far closing has come, for those who wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(crate) enum Stage {
    Open,
    /// What was queued is committed: readers end when they have read it.
    Drained,
    /// The file is closed and free for another process.
    Ended,
}

impl Shared {
    /// Tells everyone how far closing has come.
    pub fn reach(&self, stage: Stage) {
        self.stage.send_replace(stage);
    }

    pub fn is_drained(&self) -> bool {
        *self.stage.borrow() >= Stage::Drained
    }
}

/// Closes the log when the last one lets go who could use it.
pub(crate) struct Handle {
    pub shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Handle {
    pub fn new(shared: Arc<Shared>, writer: JoinHandle<()>) -> Handle {
        Handle { shared, writer: Mutex::new(Some(writer)) }
    }
}

impl Drop for Handle {
    /// Waits for the writer, so that the folder is free afterwards: some milliseconds when `close` was not awaited.
    fn drop(&mut self) {
        self.shared.queue.close();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer.filter(|writer| writer.thread().id() != std::thread::current().id()) {
            // A panic of the writer has been reported by its thread; there is nothing to add.
            let _ = writer.join();
        }
    }
}
