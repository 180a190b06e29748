//! What waits for one subscriber.

use super::Letter;
use crate::packet::QoS;
use crate::state::key;
use records::Note;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

/// A bounded queue between the fan-out, which must never wait, and a session, which is as slow as its client.
///
/// It never skips silently: at QoS 0 what finds no room is dropped and counted, and above that the mailbox is over,
/// and the session with it, because it has lost what it was owed.
#[derive(Debug)]
pub(crate) struct Mailbox {
    /// Not 0, and no other mailbox of this process has it.
    pub id: u64,
    /// Under which it is noted, when the session outlives its connection: then its letters do too.
    pub session: Option<u64>,
    last_letter: AtomicU64,
    budget: Budget,
    state: Mutex<State>,
}

/// What may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    pub messages: usize,
    pub bytes: usize,
}

impl Budget {
    /// Whether one more message of `len` bytes may wait beside so many messages with so many bytes.
    pub(super) fn has_room(&self, messages: usize, bytes: usize, len: usize) -> bool {
        messages < self.messages && bytes + len <= self.bytes
    }
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Letter>,
    bytes: usize,
    is_connected: bool,
    is_over: bool,
    dropped: u64,
    waker: Option<Waker>,
    /// The session can't send now: a letter need not wake it.
    is_blocked: bool,
}

/// What became of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Posted {
    Waits,
    Dropped,
    /// There was no room, and the subscriber is told that there was none.
    Overflowed,
    /// That was so already.
    Over,
}

/// More was to wait than may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overflow;

impl Mailbox {
    pub(crate) fn new(id: u64, session: Option<u64>, budget: Budget) -> Mailbox {
        let state = State { is_connected: true, ..State::default() };
        Mailbox { id, session, last_letter: AtomicU64::new(0), budget, state: Mutex::new(state) }
    }

    /// What is to be noted of a letter before it is posted, so that it outlives the process.
    pub(crate) fn keep(&self, letter: &mut Letter) -> Option<Note> {
        let session = self.session.filter(|_| letter.qos > QoS::AtMostOnce && !self.lock().is_over)?;
        letter.number = self.last_letter.fetch_add(1, Ordering::Relaxed) + 1;
        Some(Note::Put { key: key::letter(session, letter.number), value: letter.noted(0) })
    }

    /// Puts in what an earlier process has noted: it was within the budget of that one. `last`: the last number that it
    /// has given.
    pub(crate) fn fill(&self, letters: Vec<Letter>, last: u64) {
        self.last_letter.store(last, Ordering::Relaxed);
        let mut state = self.lock();
        state.bytes = letters.iter().map(|letter| letter.publication.len()).sum();
        state.queue = letters.into();
    }

    pub(crate) fn post(&self, letter: Letter) -> Posted {
        let mut state = self.lock();
        let len = letter.publication.len();
        let has_room = self.budget.has_room(state.queue.len(), state.bytes, len);
        if state.is_over {
            Posted::Over
        } else if letter.qos == QoS::AtMostOnce && !(has_room && state.is_connected) {
            state.dropped += 1;
            Posted::Dropped
        } else if has_room {
            state.bytes += len;
            state.queue.push_back(letter);
            if !state.is_blocked {
                wake(state);
            }
            Posted::Waits
        } else {
            end(state)
        }
    }

    /// A letter of that QoS was lost before it came here.
    pub(crate) fn miss(&self, qos: QoS) -> Posted {
        let mut state = self.lock();
        if state.is_over {
            return Posted::Over;
        }
        if qos == QoS::AtMostOnce {
            state.dropped += 1;
            return Posted::Dropped;
        }
        end(state)
    }

    /// The next letter; when there is none, the task is woken by the next one.
    pub(crate) fn poll_next(&self, cx: &Context<'_>) -> Result<Option<Letter>, Overflow> {
        let mut state = self.lock();
        if state.is_over {
            return Err(Overflow);
        }
        let letter = state.queue.pop_front();
        match &letter {
            Some(letter) => state.bytes -= letter.publication.len(),
            None => {
                state.queue.shrink_to(16);
                state.waker = Some(cx.waker().clone());
                state.is_blocked = false;
            }
        }
        Ok(letter)
    }

    /// Whether anybody reads. `false` when the mailbox is over.
    pub(crate) fn set_connected(&self, is_connected: bool) -> bool {
        let mut state = self.lock();
        state.is_connected = is_connected;
        if !is_connected {
            state.waker = None;
            state.queue.shrink_to_fit();
        }
        !state.is_over
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.lock().is_connected
    }

    /// For a session that can't send now: it is woken only when the mailbox is over.
    pub(crate) fn poll_over(&self, cx: &Context<'_>) -> Result<(), Overflow> {
        let mut state = self.lock();
        state.waker = Some(cx.waker().clone());
        state.is_blocked = true;
        if state.is_over { Err(Overflow) } else { Ok(()) }
    }

    /// Letters of QoS 0 that found no room.
    pub(crate) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn end(mut state: MutexGuard<'_, State>) -> Posted {
    state.is_over = true;
    (state.queue, state.bytes) = (VecDeque::new(), 0);
    wake(state);
    Posted::Overflowed
}

/// After the lock is released: the task may run at once.
fn wake(mut state: MutexGuard<'_, State>) {
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::super::{NOBODY, Publication, Said};
    use super::*;
    use records::Timestamp;

    fn letter(qos: QoS) -> Letter {
        let said =
            Said { topic: "t", payload: &[], properties: &[], qos, is_retained: false, origin: NOBODY };
        let publication = Publication::new(&said, 0, Timestamp(0));
        Letter {
            publication,
            qos,
            is_retained: false,
            identifiers: Box::default(),
            number: 0,
            is_again: false,
        }
    }

    #[test]
    fn a_full_one_drops_qos_0_and_ends_with_more() {
        let mailbox = Mailbox::new(1, None, Budget { messages: 2, bytes: 100 });
        let post = |qos| mailbox.post(letter(qos));
        let next = || mailbox.poll_next(&Context::from_waker(Waker::noop()));
        assert_eq!(post(QoS::AtMostOnce), Posted::Waits);
        assert_eq!(post(QoS::AtLeastOnce), Posted::Waits);
        assert_eq!((post(QoS::AtMostOnce), mailbox.dropped()), (Posted::Dropped, 1));
        assert!(next().unwrap().is_some());
        assert_eq!(post(QoS::ExactlyOnce), Posted::Waits);
        assert_eq!((post(QoS::AtLeastOnce), post(QoS::AtMostOnce)), (Posted::Overflowed, Posted::Over));
        assert!(next().is_err() && !mailbox.set_connected(true));
    }

    #[test]
    fn bytes_count_too_and_qos_0_waits_for_nobody_who_is_away() {
        let mailbox = Mailbox::new(
            1,
            None,
            Budget { messages: 9, bytes: 2 * letter(QoS::AtMostOnce).publication.len() },
        );
        assert!(mailbox.set_connected(false));
        assert_eq!(mailbox.post(letter(QoS::AtMostOnce)), Posted::Dropped);
        assert_eq!(mailbox.post(letter(QoS::AtLeastOnce)), Posted::Waits);
        assert_eq!(mailbox.post(letter(QoS::AtLeastOnce)), Posted::Waits);
        assert_eq!(mailbox.post(letter(QoS::AtLeastOnce)), Posted::Overflowed);
    }
}
