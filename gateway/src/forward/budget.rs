//! So much a second.

use std::time::Duration;
use tokio::time::Instant;

/// An allowance that grows with time up to a tenth of a second's worth, and is overdrawn rather than split.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    per_second: f64,
    level: f64,
    at: Instant,
}

impl Budget {
    /// `per_second`: at least 1.
    pub fn new(per_second: f64, now: Instant) -> Budget {
        let per_second = per_second.max(1.0);
        Budget { per_second, level: per_second / 10.0, at: now }
    }

    /// What may be spent now; nothing when it is overdrawn.
    pub fn level(&mut self, now: Instant) -> f64 {
        let grown = now.duration_since(self.at).as_secs_f64() * self.per_second;
        self.level = (self.level + grown).min(self.level.max(self.per_second / 10.0));
        self.at = now;
        self.level.max(0.0)
    }

    /// Allows more, up to a second's worth.
    pub fn grant(&mut self, amount: usize) {
        self.level = (self.level + amount as f64).min(self.level.max(self.per_second));
    }

    pub fn spend(&mut self, amount: usize) {
        self.level -= amount as f64;
    }

    /// When it is worth looking again.
    pub fn ready_at(&self) -> Instant {
        // A hundredth of a second's worth, so that nobody wakes up for each unit.
        let missing = ((self.per_second / 100.0).max(1.0) - self.level).max(0.0) / self.per_second;
        self.at + Duration::try_from_secs_f64(missing).unwrap_or(Duration::MAX / 4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_with_time_and_is_bounded() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut budget = Budget::new(1000.0, start);
        assert_eq!(budget.level(start), 100.0);
        budget.spend(150);
        assert_eq!(budget.level(start), 0.0);
        assert_eq!(budget.ready_at(), after(60));
        assert_eq!(budget.level(after(60)).round(), 10.0);
        assert_eq!(budget.level(after(60_000)), 100.0);
        budget.grant(5000);
        assert_eq!(budget.level(after(61_000)), 1000.0);
    }
}
