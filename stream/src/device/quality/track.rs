//! What the tests that depend on order remember of one quantity of a device.

use crate::rule::{Flat, QualityRule};
use minicbor::{Decode, Encode};
use records::{Flag, Quality, Test, Timestamp};

/// The last value, and since when it stays where it is.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub(super) struct Track {
    /// The quantity's number in the registry.
    #[n(0)]
    pub code: u16,
    /// The last value that was no spike, and when it was.
    #[cbor(n(1), with = "crate::cbor")]
    pub at: Timestamp,
    #[n(2)]
    pub value: f64,
    /// Since when all values have been between the two below.
    #[cbor(n(3), with = "crate::cbor")]
    since: Timestamp,
    #[n(4)]
    least: f64,
    #[n(5)]
    most: f64,
}

impl Track {
    pub fn new(code: u16, at: Timestamp, value: f64) -> Track {
        Track { code, at, value, since: at, least: value, most: value }
    }

    /// Whether a value of that time comes behind a silence of the quantity that is a gap.
    pub fn is_after_gap(&self, at: Timestamp, rule: &QualityRule) -> bool {
        rule.gap.is_some_and(|gap| at.since(self.at) > gap)
    }

    /// Judges the value behind the last one, by all but the spike test. A time that does not move on tells nothing of
    /// how fast something changes or how long it stays.
    pub fn judge(
        &self,
        at: Timestamp,
        value: f64,
        is_after_gap: bool,
        rule: &QualityRule,
        mut quality: Quality,
    ) -> Quality {
        let passed = at.since(self.at);
        if is_after_gap {
            quality = quality.noted(Test::Gap);
        }
        if let Some(most) = rule.rate_per_minute
            && !passed.is_zero()
            && (value - self.value).abs() > most * (passed.as_secs_f64() / 60.0)
        {
            quality = quality.failed(Test::Rate, Flag::Suspect);
        }
        // Nobody knows where the value was in the gap.
        let flat = rule.flat.filter(|_| !is_after_gap);
        match flat.and_then(|flat| self.flatness(at, value, &flat)) {
            Some(flag) => quality.failed(Test::FlatLine, flag),
            None => quality,
        }
    }

    fn flatness(&self, at: Timestamp, value: f64, flat: &Flat) -> Option<Flag> {
        if !self.stays(value, flat.within) {
            return None;
        }
        let lasted = at.since(self.since);
        match () {
            () if lasted >= flat.bad => Some(Flag::Bad),
            () if lasted >= flat.suspect => Some(Flag::Suspect),
            () => None,
        }
    }

    fn stays(&self, value: f64, within: f64) -> bool {
        self.most.max(value) - self.least.min(value) <= within
    }

    /// Notes how long the value has been where it is. A silence longer than a gap, after which nobody knows, begins
    /// anew, and so does a value elsewhere.
    pub fn stay(&mut self, at: Timestamp, value: f64, is_after_gap: bool, rule: &QualityRule) {
        let Some(flat) = rule.flat else { return };
        if self.stays(value, flat.within) && !is_after_gap {
            (self.least, self.most) = (self.least.min(value), self.most.max(value));
        } else {
            (self.since, self.least, self.most) = (at, value, value);
        }
    }

    /// The value stands: the next one is compared with it.
    pub fn stand(&mut self, at: Timestamp, value: f64) {
        (self.at, self.value) = (self.at.max(at), value);
    }
}
