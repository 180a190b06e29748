//! Workers that read different partitions of history stay close together in time.

use std::time::Duration;

use records::Timestamp;
use tokio::sync::watch;

/// How far one may be ahead of the slowest, ingest time: so much of the fast one's rows waits in memory for the slow
/// one's.
const AHEAD: Duration = Duration::from_secs(600);

/// How far each worker has come.
pub struct Pace(watch::Sender<Vec<Timestamp>>);

impl Pace {
    /// Nobody has begun.
    pub fn new(workers: usize) -> Pace {
        Pace(watch::Sender::new(vec![Timestamp::MIN; workers]))
    }

    /// The worker has come to `time`; waits while the slowest is far behind. Cancel-safe.
    pub async fn come_to(&self, worker: usize, time: Timestamp) {
        self.0.send_if_modified(|times| std::mem::replace(&mut times[worker], time) != time);
        let is_near = |times: &Vec<Timestamp>| times.iter().all(|other| time <= *other + AHEAD);
        // It fails when the sender is gone, and we hold the sender.
        let _ = self.0.subscribe().wait_for(is_near).await;
    }

    /// The worker is done: nobody waits for it.
    pub fn leave(&self, worker: usize) {
        self.0.send_modify(|times| times[worker] = Timestamp::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn is_ready(future: impl Future<Output = ()>) -> bool {
        matches!(pin!(future).poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(()))
    }

    #[test]
    fn the_fast_wait_for_the_slow() {
        let pace = Pace::new(2);
        assert!(!is_ready(pace.come_to(0, Timestamp(0))), "the other has not begun");
        assert!(is_ready(pace.come_to(1, Timestamp(1000))));
        assert!(is_ready(pace.come_to(0, Timestamp(601_000))));
        assert!(!is_ready(pace.come_to(0, Timestamp(601_001))));
        pace.leave(1);
        assert!(is_ready(pace.come_to(0, Timestamp(9_000_000))));
    }
}
