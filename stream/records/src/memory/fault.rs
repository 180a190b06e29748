//! Failures to order.

use crate::LogError;
use std::collections::VecDeque;

/// The failures that wait for their call, first in first out.
pub(super) struct Faults<E>(VecDeque<Fault<E>>);

pub(super) struct Fault<E> {
    error: E,
    /// Whether the call takes effect before it fails.
    is_done: bool,
}

impl<E> Default for Faults<E> {
    fn default() -> Faults<E> {
        Faults(VecDeque::new())
    }
}

impl<E> Faults<E> {
    pub(super) fn fail(&mut self, count: usize, error: impl Fn() -> E) {
        self.0.extend((0..count).map(|_| Fault { error: error(), is_done: false }));
    }

    pub(super) fn doubt(&mut self, count: usize, error: impl Fn() -> E) {
        self.0.extend((0..count).map(|_| Fault { error: error(), is_done: true }));
    }

    pub(super) fn next(&mut self) -> Option<Fault<E>> {
        self.0.pop_front()
    }
}

/// Makes the call, unless a fault says otherwise.
pub(super) fn run<T, E>(fault: Option<Fault<E>>, call: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    match fault {
        None => call(),
        Some(Fault { error, is_done: false }) => Err(error),
        Some(Fault { error, is_done: true }) => call().and(Err(error)),
    }
}

pub(super) fn unavailable() -> LogError {
    LogError::Unavailable("injected".into())
}
