//! How fast each device may publish, whatever number of connections it has.

use records::Name;
use rustc_hash::FxHashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The buckets of devices that are connected, and of those that have left theirs less than full.
#[derive(Debug)]
pub(crate) struct Rates {
    buckets: Mutex<FxHashMap<Name, Arc<Bucket>>>,
    /// `None`: there is no bound.
    pace: Option<Pace>,
    begun: Instant,
}

/// A bucket of tokens, one for each message, that fills at an even pace. What is written down is when it will be full,
/// which is all that there is to know (the generic cell rate algorithm, ITU-T I.371).
#[derive(Debug)]
pub(crate) struct Bucket {
    /// Nanoseconds since the rates have begun.
    full_at: AtomicU64,
    pace: Pace,
    begun: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Pace {
    /// Nanoseconds that one token takes.
    token: u64,
    /// Nanoseconds that a whole bucket takes.
    bucket: u64,
}

impl Rates {
    /// So many messages a second, and so many at once; 0 a second is no bound.
    pub(crate) fn new(per_second: u32, burst: u32) -> Rates {
        let pace = (per_second > 0).then(|| {
            let token = 1_000_000_000 / u64::from(per_second);
            Pace { token, bucket: token * u64::from(burst) }
        });
        Rates { buckets: Mutex::default(), pace, begun: Instant::now() }
    }

    /// The device's; `None` when there is no bound.
    pub(crate) fn bucket(&self, device: &Name) -> Option<Arc<Bucket>> {
        let pace = self.pace?;
        let new = || Arc::new(Bucket { full_at: AtomicU64::new(0), pace, begun: self.begun });
        Some(self.lock().entry(device.clone()).or_insert_with(new).clone())
    }

    /// Lets go of what tells nothing: full, and nobody's.
    pub(crate) fn purge(&self) {
        let now = nanos(self.begun.elapsed());
        let is_told = |bucket: &Arc<Bucket>| {
            Arc::strong_count(bucket) > 1 || bucket.full_at.load(Ordering::Relaxed) > now
        };
        self.lock().retain(|_, bucket| is_told(bucket));
    }

    fn lock(&self) -> MutexGuard<'_, FxHashMap<Name, Arc<Bucket>>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bucket {
    /// Takes a token for each of these messages, whether they are there or not. Gives how long it takes until none is
    /// missing; `None` when none is.
    pub(crate) fn take(&self, messages: u32) -> Option<Duration> {
        let now = nanos(self.begun.elapsed());
        let taken = u64::from(messages) * self.pace.token;
        let take = |full_at: u64| Some(full_at.max(now) + taken);
        let before = self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        let full_at = before.unwrap_or_else(|same| same).max(now) + taken;
        let missing = (full_at - now).saturating_sub(self.pace.bucket);
        (missing > 0).then(|| Duration::from_nanos(missing))
    }
}

fn nanos(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_bucket_is_a_devices_and_fills_at_its_pace() {
        let rates = Rates::new(10, 5);
        let (first, again) = (rates.bucket(&"d-1".into()).unwrap(), rates.bucket(&"d-1".into()).unwrap());
        assert_eq!(first.take(4), None);
        assert_eq!(again.take(1), None);
        assert_eq!(again.take(2), Some(Duration::from_millis(200)));
        assert_eq!(rates.bucket(&"d-2".into()).unwrap().take(5), None);
        tokio::time::advance(Duration::from_millis(200)).await;
        assert_eq!(first.take(1), Some(Duration::from_millis(100)));
        // More than a whole one is never saved up.
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(first.take(6), Some(Duration::from_millis(100)));
        assert!(Rates::new(0, 5).bucket(&"d-1".into()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn coming_back_doesnt_fill_it() {
        let rates = Rates::new(10, 5);
        rates.bucket(&"d-1".into()).unwrap().take(5);
        rates.purge();
        assert!(rates.bucket(&"d-1".into()).unwrap().take(1).is_some());
        tokio::time::advance(Duration::from_millis(601)).await;
        rates.purge();
        assert!(rates.lock().is_empty());
    }
}
