//! Keeps the devices of a backlog abreast, so that windows over several of them find all of them there.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Device time of a slice that is delivered together.
pub const SLICE: i64 = 30 * 60_000;
/// How long the others wait for a device that doesn't get on.
const PATIENCE: Duration = Duration::from_secs(2);

/// Up to where the devices may go, and how many have arrived there.
pub struct Pace {
    limit: watch::Sender<i64>,
    arrivals: AtomicU64,
    arrived: Notify,
}

impl Pace {
    /// Everybody waits at `from`.
    pub fn new(from: i64) -> Pace {
        Pace { limit: watch::Sender::new(from), arrivals: AtomicU64::new(0), arrived: Notify::new() }
    }

    /// Up to where the devices may go; changes are seen through it.
    pub fn limit(&self) -> watch::Receiver<i64> {
        self.limit.subscribe()
    }

    /// Says that a device has delivered all up to a limit; once a device and slice.
    pub fn arrive(&self) {
        self.arrivals.fetch_add(1, Ordering::Relaxed);
        self.arrived.notify_one();
    }
}

/// Moves the limit to `end`, slice by slice, and then lets everybody go.
pub async fn lead(pace: &Pace, end: i64, devices: usize) {
    let mut expected = 0;
    loop {
        let limit = pace.limit.borrow().saturating_add(SLICE);
        if limit >= end {
            break;
        }
        pace.limit.send_replace(limit);
        expected += devices as u64;
        let all = async {
            while pace.arrivals.load(Ordering::Relaxed) < expected {
                pace.arrived.notified().await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, all).await;
    }
    pace.limit.send_replace(i64::MAX);
}
