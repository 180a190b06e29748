//! A bound on log lines that clients can cause.

use std::sync::atomic::{AtomicU64, Ordering};

/// Lets a few lines pass per tick of the sessions' clock.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    /// The tick in the upper half, how many passed in it in the lower.
    state: AtomicU64,
}

const PER_TICK: u32 = 5;

impl Throttle {
    /// Whether one more may pass in the tick `now`.
    pub(crate) fn allows(&self, now: u32) -> bool {
        let count = |state: u64| {
            let (tick, passed) = ((state >> 32) as u32, state as u32);
            let passed = if tick == now { passed } else { 0 };
            (passed < PER_TICK).then(|| u64::from(now) << 32 | u64::from(passed + 1))
        };
        self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_pass_in_each_tick() {
        let throttle = Throttle::default();
        let passed = |now| (0..100).filter(|_| throttle.allows(now)).count();
        assert_eq!((passed(0), passed(1), passed(1), passed(7)), (5, 5, 0, 5));
    }
}
