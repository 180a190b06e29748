//! Buffers that all sessions of a thread share, so that an idle one needs none.

use super::ledger::Work;
use std::cell::RefCell;

/// What one read takes at most.
const READ: usize = 32 << 10;
/// Works kept for reuse, and the largest that is.
const KEPT_WORKS: usize = 64;
const KEPT_BYTES: usize = 256 << 10;

thread_local! {
    static READ_BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    #[expect(clippy::vec_box, reason = "a session holds a pointer, and the same box comes and goes")]
    static WORKS: RefCell<Vec<Box<Work>>> = const { RefCell::new(Vec::new()) };
}

/// Lends the thread's read buffer. Not to be called from within itself.
pub(super) fn with_read_buffer<T>(use_it: impl FnOnce(&mut [u8]) -> T) -> T {
    READ_BUFFER.with_borrow_mut(|buffer| {
        buffer.resize(READ, 0);
        use_it(buffer)
    })
}

/// An empty work, used or new.
pub(super) fn work() -> Box<Work> {
    WORKS.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Gives a work back.
pub(super) fn give_back(mut work: Box<Work>) {
    if work.bytes() <= KEPT_BYTES {
        work.clear();
        WORKS.with_borrow_mut(|works| {
            if works.len() < KEPT_WORKS {
                works.push(work);
            }
        });
    }
}
