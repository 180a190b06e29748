//! The device job's times.

use super::clock::ClockConfig;
use records::Family;
use std::time::Duration;

/// How the device job judges time. Part of the job's fingerprint: state made under another configuration is refused.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceConfig {
    /// How clocks are judged.
    pub clock: ClockConfig,
    /// Times that may differ by family.
    pub times: FamilyTimes,
    /// A window that closes this long after its end tells of the past.
    pub backfill_after: Duration,
    /// How far ingest times within a partition may be out of order: gateways stamp before they append.
    pub slack: Duration,
    /// Most quantities of one device in one window; readings of further ones pass, and are not windowed.
    pub max_quantities: usize,
    /// What became of a device's messages is told this often, and at the end of each hour.
    pub ledger_every: Duration,
    /// A device that has said nothing for this long is idle, and its state is let go.
    pub idle_after: Duration,
}

impl Default for DeviceConfig {
    fn default() -> Self {
        DeviceConfig {
            clock: ClockConfig::default(),
            times: FamilyTimes::default(),
            backfill_after: Duration::from_secs(600),
            slack: Duration::from_secs(1),
            max_quantities: 256,
            ledger_every: Duration::from_secs(900),
            idle_after: Duration::from_secs(30 * 86_400),
        }
    }
}

/// How windows of a device close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// How far the progress of a device trails its newest event time.
    pub out_of_orderness: Duration,
    /// How long after a window's end and the device's last word, ingest time, a window closes by itself.
    pub patience: Duration,
    /// How long, in progress of the device, a closed window still takes readings.
    pub allowed_lateness: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Times {
            out_of_orderness: Duration::from_secs(10),
            patience: Duration::from_secs(30),
            allowed_lateness: Duration::from_secs(300),
        }
    }
}

/// [`Times`] of every family.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FamilyTimes([Times; Family::ALL.len()]);

impl FamilyTimes {
    /// The times of a family.
    pub fn of(&self, family: Family) -> &Times {
        &self.0[family as usize]
    }

    /// The times of a family, to be changed.
    pub fn of_mut(&mut self, family: Family) -> &mut Times {
        &mut self.0[family as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_has_a_place() {
        let times = FamilyTimes::default();
        Family::ALL.iter().for_each(|family| assert_eq!(times.of(*family), &Times::default()));
    }
}
