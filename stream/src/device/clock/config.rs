//! How clocks are judged.

use records::Family;
use std::time::Duration;

/// What is done about a clock that is wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Its word counts wherever it can be true; elsewhere the ingest time does, and the value is suspect.
    Trust,
    /// Its word is corrected by what is known of the clock; suspect only until that is known.
    #[default]
    Correct,
    /// The ingest time counts, and the value is suspect.
    Ingest,
}

impl Policy {
    /// Every policy.
    pub const ALL: [Policy; 3] = [Policy::Trust, Policy::Correct, Policy::Ingest];

    /// Its name in configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Policy::Trust => "trust",
            Policy::Correct => "correct",
            Policy::Ingest => "ingest",
        }
    }
}

/// How clocks are judged.
#[derive(Clone, Debug, PartialEq)]
pub struct ClockConfig {
    /// How far a device's clock may be ahead of the gateway's and still be believed.
    pub allowance: Duration,
    /// How far it may steadily be behind and still be believed; the least delay counts as being behind.
    pub tolerance: Duration,
    /// An offset must have held for this long, ingest time, and for five messages, before values are corrected by it
    /// and are good again; and before a device counts as slow at all (half an hour if it is by less than ten minutes).
    pub settle: Duration,
    /// What is done about a clock that is wrong, by family.
    policies: [Policy; Family::ALL.len()],
}

impl Default for ClockConfig {
    fn default() -> Self {
        ClockConfig {
            allowance: Duration::from_secs(60),
            tolerance: Duration::from_secs(60),
            settle: Duration::from_secs(120),
            policies: [Policy::default(); Family::ALL.len()],
        }
    }
}

impl ClockConfig {
    /// What is done about wrong clocks of a family.
    pub fn policy(&self, family: Family) -> Policy {
        self.policies[family as usize]
    }

    /// The same, to be changed.
    pub fn policy_mut(&mut self, family: Family) -> &mut Policy {
        &mut self.policies[family as usize]
    }

    /// Whether a clock that is ahead by `offset` ms may be believed.
    pub(super) fn is_right(&self, offset: i64) -> bool {
        (-millis(self.tolerance)..=self.allowance_ms()).contains(&offset)
    }

    /// The same for a clock that was wrong, which must come nearer before it is right again.
    pub(super) fn is_right_again(&self, offset: i64) -> bool {
        self.is_right(offset.saturating_mul(2))
    }

    /// Whether two offsets may be of one clock that did not step.
    pub(super) fn is_near(&self, offset: i64, other: i64) -> bool {
        offset.saturating_sub(other).saturating_abs() <= millis(self.tolerance.min(self.allowance))
    }

    pub(super) fn allowance_ms(&self) -> i64 {
        millis(self.allowance)
    }

    pub(super) fn settle_ms(&self) -> i64 {
        millis(self.settle)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
