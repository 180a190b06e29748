//! How fast a mirror goes, and in which portions.

use std::time::Duration;

/// How fast, in which portions.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// What may be sent, in bits per second of records before any compression; `None`: no bound.
    pub uplink_bits_per_second: Option<u64>,
    /// At most so many bytes of records become visible at once (one record at least).
    pub commit_bytes: usize,
    /// The longest time between two commits while there is something to copy; an alert is committed at once.
    pub commit_interval: Duration,
    /// And while nothing that is read is copied.
    pub position_interval: Duration,
    /// How long the last commit may take after the stop signal.
    pub drain_timeout: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            uplink_bits_per_second: None,
            commit_bytes: 1 << 20,
            commit_interval: Duration::from_millis(200),
            position_interval: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(5),
        }
    }
}
