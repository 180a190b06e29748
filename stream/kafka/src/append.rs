//! An append on its way: one answer when the last of its records is durable.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use records::{AppendError, Offset};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::error::{Refused, append_unavailable};

/// What the caller of `append` waits for.
pub(crate) type Answer = oneshot::Receiver<Result<Vec<Offset>, AppendError>>;

/// All batches of one append.
pub(crate) struct Append {
    state: Mutex<State>,
}

struct State {
    /// The first offset of each batch, as far as they are known.
    firsts: Vec<Offset>,
    batches_left: usize,
    failure: Option<AppendError>,
    reply: Option<oneshot::Sender<Result<Vec<Offset>, AppendError>>>,
    /// Our part of the budget; the next append may go when the brokers have answered for this one.
    _room: OwnedSemaphorePermit,
}

/// One batch of an append, shared by its records: it goes through librdkafka with each of them.
pub(crate) struct Sent {
    append: Arc<Append>,
    number: usize,
    /// The smallest offset told so far. (Records of other processes may stand between ours.)
    first: AtomicI64,
    left: AtomicUsize,
}

impl Append {
    /// An append of so many batches with records, which holds `room` until it is over.
    pub fn new(batches: usize, room: OwnedSemaphorePermit) -> (Arc<Append>, Answer) {
        let (reply, answer) = oneshot::channel();
        let firsts = vec![0; batches];
        let state = State { firsts, batches_left: batches, failure: None, reply: Some(reply), _room: room };
        (Arc::new(Append { state: Mutex::new(state) }), answer)
    }

    /// Batch `number`, of `len` records.
    pub fn batch(self: &Arc<Append>, number: usize, len: usize) -> Arc<Sent> {
        // Nothing will be told of a batch of nothing, and its offset says nothing.
        let first = AtomicI64::new(if len == 0 { 0 } else { i64::MAX });
        let sent = Arc::new(Sent { append: Arc::clone(self), number, first, left: AtomicUsize::new(len) });
        sent.note(0);
        sent
    }

    fn end_batch(&self, number: usize, first: Option<Offset>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match first {
            Some(first) => state.firsts[number] = first,
            None => state.fail(|| append_unavailable(Refused("acknowledged without an offset".to_owned()))),
        }
        state.batches_left -= 1;
        if state.batches_left > 0 {
            return;
        }
        let answer = match state.failure.take() {
            Some(failure) => Err(failure),
            None => Ok(std::mem::take(&mut state.firsts)),
        };
        if let Some(reply) = state.reply.take() {
            // A caller who no longer waits takes nothing back.
            let _ = reply.send(answer);
        }
    }
}

impl State {
    /// The first failure is the one that is told.
    fn fail(&mut self, failure: impl FnOnce() -> AppendError) {
        if self.failure.is_none() {
            self.failure = Some(failure());
        }
    }
}

impl Sent {
    /// The brokers have one more of the records, at `offset`.
    pub fn delivered(&self, offset: i64) {
        self.first.fetch_min(offset, Ordering::Relaxed);
        self.note(1);
    }

    /// `records` of them will not be delivered, or nobody knows.
    pub fn failed(&self, records: usize, failure: impl FnOnce() -> AppendError) {
        let mut state = self.append.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.fail(failure);
        drop(state);
        self.note(records);
    }

    fn note(&self, records: usize) {
        // Each record is noted once; who takes the last one sees what all others have told.
        if self.left.fetch_sub(records, Ordering::AcqRel) == records {
            // A broker that takes a record for one it has may not tell where: less than 0.
            self.append.end_batch(self.number, Offset::try_from(self.first.load(Ordering::Relaxed)).ok());
        }
    }
}
