//! How often the loop commits.

use std::time::Duration;

/// How often the loop commits. What a job computes does not depend on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Outputs wait at most this long for others to be committed with. A transition of an alert doesn't wait.
    pub commit_interval: Duration,
    /// Commit after this many records at the latest.
    pub commit_records: usize,
    /// Commit after this many bytes of outputs at the latest.
    pub commit_bytes: usize,
    /// A snapshot of each partition this often, if something came.
    pub snapshot_interval: Duration,
    /// A snapshot after this many records at the latest, so that a silent replay stays short.
    pub snapshot_records: u64,
    /// Alerts of rules in the shadow are written among the others: for a replay, whose outputs are nobody's.
    pub tells_shadows: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            commit_interval: Duration::from_millis(100),
            commit_records: 20_000,
            commit_bytes: 4 << 20,
            snapshot_interval: Duration::from_secs(30),
            snapshot_records: 1_000_000,
            tells_shadows: false,
        }
    }
}
