//! What waits for the writer, bounded by its bytes.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, TryAcquireError};

use crate::Options;
use crate::error::Fault;
use crate::request::Request;

/// At most this much goes into one transaction, so that nobody waits for a huge one.
const TRANSACTION_BYTES: usize = 4 << 20;
/// What a request costs beside its bytes.
const REQUEST_BYTES: usize = 64;

/// Between callers and the writer thread.
#[derive(Debug)]
pub(crate) struct Queue {
    room: Semaphore,
    capacity: usize,
    gather: Duration,
    gather_bytes: usize,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug)]
struct State {
    waiting: Vec<Waiting>,
    bytes: usize,
    oldest: Instant,
    wake_at: Crowd,
    readers: usize,
    phase: Phase,
}

/// So much that the writer wakes up for it.
#[derive(Clone, Copy, Debug)]
struct Crowd {
    bytes: usize,
    requests: usize,
}

/// The writer is awake.
const NOBODY: Crowd = Crowd { bytes: usize::MAX, requests: usize::MAX };
/// The writer has nothing to do.
const ANYBODY: Crowd = Crowd { bytes: 0, requests: 0 };

/// The last transaction, from which the writer learns how long waiting for more is worth it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Served {
    pub requests: usize,
    pub took: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Phase {
    Open,
    /// No appends any more.
    Closing,
    /// What was queued is done; readers may still commit.
    Drained,
    /// Nobody answers.
    Ended,
}

/// A request with its size, and the room it takes until it is answered.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub request: Request,
    pub bytes: usize,
    permits: usize,
}

/// What the writer is to do next.
#[derive(Debug)]
pub(crate) enum Task {
    Serve(Vec<Waiting>),
    /// Nothing came for a while.
    Tidy,
    /// Everything that was queued when the log was closed is done. Said once.
    Drained,
    /// And nobody is left who could ask for more.
    End,
}

impl Queue {
    pub fn new(options: &Options) -> Queue {
        let capacity = options.max_pending_bytes.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        let state = State {
            waiting: Vec::new(),
            bytes: 0,
            oldest: Instant::now(),
            wake_at: NOBODY,
            readers: 0,
            phase: Phase::Open,
        };
        Queue {
            room: Semaphore::new(capacity),
            capacity,
            gather: options.gather,
            gather_bytes: options.gather_bytes,
            state: Mutex::new(state),
            wake: Condvar::new(),
        }
    }

    /// Queues an append when there is room for it, in the order of the calls.
    pub async fn append(&self, request: Request) -> Result<(), Fault> {
        let bytes = size(&request);
        let permits = bytes.min(self.capacity);
        let wanted = u32::try_from(permits).unwrap_or(u32::MAX);
        // The plain way first: it has no budget to run out of and so never yields while there is room.
        let permit = match self.room.try_acquire_many(wanted) {
            Ok(permit) => permit,
            Err(TryAcquireError::NoPermits) => {
                self.room.acquire_many(wanted).await.map_err(|_| Fault::Closed)?
            }
            Err(TryAcquireError::Closed) => return Err(Fault::Closed),
        };
        permit.forget();
        self.push(Waiting { request, bytes, permits }, Phase::Open)
    }

    /// Queues what readers ask for. Each has one request at a time, so it takes no room.
    pub fn ask(&self, request: Request) -> Result<(), Fault> {
        let bytes = size(&request);
        self.push(Waiting { request, bytes, permits: 0 }, Phase::Drained)
    }

    fn push(&self, waiting: Waiting, latest: Phase) -> Result<(), Fault> {
        let mut state = self.state();
        if state.phase > latest {
            return Err(Fault::Closed);
        }
        if state.waiting.is_empty() {
            state.oldest = Instant::now();
        }
        state.bytes += waiting.bytes;
        state.waiting.push(waiting);
        let is_awaited = state.is_crowd(state.wake_at);
        if is_awaited {
            state.wake_at = NOBODY;
        }
        drop(state);
        if is_awaited {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// For the writer: the next thing to do after the last one. Waits at most `idle` for a request.
    pub fn next(&self, idle: Duration, last: Served) -> Task {
        let mut state = self.state();
        let free = Instant::now();
        let until = free + idle;
        // Who was answered just now is likely to come again, and who came meanwhile is here.
        let all = Crowd { bytes: self.gather_bytes, requests: state.waiting.len() + last.requests };
        let patience = (last.took / 4).min(self.gather);
        while state.waiting.is_empty() {
            match state.phase {
                Phase::Closing => {
                    state.phase = Phase::Drained;
                    return Task::Drained;
                }
                Phase::Drained if state.readers == 0 => {
                    state.phase = Phase::Ended;
                    return Task::End;
                }
                Phase::Open | Phase::Drained | Phase::Ended => {}
            }
            let Some(left) = until.checked_duration_since(Instant::now()) else { return Task::Tidy };
            state = self.sleep(state, ANYBODY, left);
        }
        let left = || patience.saturating_sub(free.elapsed());
        Task::Serve(self.gathered(state, all, left))
    }

    /// Waits a moment for more, because a commit costs the same for few and for many: up to `gather` while there
    /// are few bytes, and else for a part of what a commit takes while not `all` are back whom it kept waiting.
    fn gathered(
        &self,
        mut state: MutexGuard<'_, State>,
        all: Crowd,
        patience: impl Fn() -> Duration,
    ) -> Vec<Waiting> {
        while state.phase == Phase::Open && !state.is_crowd(all) {
            let (enough, left) = if state.bytes < self.gather_bytes {
                (Crowd { requests: 0, ..all }, self.gather.saturating_sub(state.oldest.elapsed()))
            } else {
                (all, patience())
            };
            if left.is_zero() {
                break;
            }
            state = self.sleep(state, enough, left);
        }
        state.take()
    }

    fn sleep<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        wake_at: Crowd,
        at_most: Duration,
    ) -> MutexGuard<'a, State> {
        state.wake_at = wake_at;
        let (mut state, _) = self.wake.wait_timeout(state, at_most).unwrap_or_else(PoisonError::into_inner);
        state.wake_at = NOBODY;
        state
    }

    /// For the writer: all requests that are waiting, when none of them can be served.
    pub fn take_all(&self) -> Vec<Waiting> {
        let mut state = self.state();
        state.bytes = 0;
        std::mem::take(&mut state.waiting)
    }

    /// Gives back the room of answered requests.
    pub fn release(&self, permits: usize) {
        self.room.add_permits(permits);
    }

    /// From now on appends are refused.
    pub fn close(&self) {
        let mut state = self.state();
        if state.phase == Phase::Open {
            state.phase = Phase::Closing;
        }
        drop(state);
        self.room.close();
        self.wake.notify_one();
    }

    /// Refuses everything, and says nothing to those who wait: their replies are dropped.
    pub fn end(&self) {
        self.state().phase = Phase::Ended;
        self.room.close();
        drop(self.take_all());
    }

    pub fn has_readers(&self) -> bool {
        self.state().readers > 0
    }

    pub fn reader_came(&self) {
        self.state().readers += 1;
    }

    pub fn reader_went(&self) {
        self.state().readers -= 1;
        self.wake.notify_one();
    }

    pub fn bytes(&self) -> usize {
        self.state().bytes
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_crowd(&self, crowd: Crowd) -> bool {
        self.bytes >= crowd.bytes && self.waiting.len() >= crowd.requests
    }

    fn take(&mut self) -> Vec<Waiting> {
        if self.bytes <= TRANSACTION_BYTES {
            self.bytes = 0;
            return std::mem::take(&mut self.waiting);
        }
        let mut bytes = 0;
        let fits = self.waiting.iter().take_while(|waiting| {
            bytes += waiting.bytes;
            bytes <= TRANSACTION_BYTES
        });
        let count = fits.count().max(1);
        let rest = self.waiting.split_off(count);
        let taken = std::mem::replace(&mut self.waiting, rest);
        self.bytes -= taken.iter().map(|waiting| waiting.bytes).sum::<usize>();
        taken
    }
}

impl Waiting {
    /// The room that the requests took.
    pub fn permits(all: &[Waiting]) -> usize {
        all.iter().map(|waiting| waiting.permits).sum()
    }
}

fn size(request: &Request) -> usize {
    let batches = request.batches().iter().map(|(_, batch)| REQUEST_BYTES + batch.as_bytes().len());
    let notes = request.notes().iter().map(|note| REQUEST_BYTES + note.len());
    REQUEST_BYTES
        + batches.sum::<usize>()
        + notes.sum::<usize>()
        + request.snapshots().iter().map(|(_, s)| s.bytes.len()).sum::<usize>()
}
