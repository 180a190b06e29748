//! How long to wait before the next try.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);

/// Doubling waits with jitter, so that sinks that failed together don't come back together.
#[derive(Debug)]
pub struct Backoff {
    tries: u32,
    random: u64,
}

impl Backoff {
    /// Waits drawn from `seed`.
    pub fn new(seed: u64) -> Backoff {
        Backoff { tries: 0, random: seed }
    }

    /// The wait before the next try: between half and all of 0.1 s, 0.2 s, 0.4 s, … 30 s.
    pub fn next(&mut self) -> Duration {
        let full = FIRST.saturating_mul(1 << self.tries.min(16)).min(LONGEST);
        self.tries += 1;
        full.mul_f64(0.5 + self.fraction() / 2.0)
    }

    /// It worked: the next outage starts with short waits again.
    pub fn reset(&mut self) {
        self.tries = 0;
    }

    /// How often it was tried since the last success.
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// In `[0, 1)`, by SplitMix64.
    fn fraction(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit_and_start_again() {
        let mut backoff = Backoff::new(7);
        let waits: Vec<Duration> = (0..12).map(|_| backoff.next()).collect();
        for (index, wait) in waits.iter().enumerate() {
            let full = FIRST.saturating_mul(1 << index).min(LONGEST);
            assert!(*wait >= full / 2 && *wait <= full, "{index}: {wait:?}");
        }
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }

    #[test]
    fn seeds_differ_and_repeat() {
        let waits = |seed| {
            let mut backoff = Backoff::new(seed);
            (0..5).map(|_| backoff.next()).collect::<Vec<_>>()
        };
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
    }
}
