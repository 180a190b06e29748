//! What may be chosen about forwarding.

use std::time::Duration;

/// How fast, in which portions. The defaults suit a gateway beside a broker that takes 60,000 records a second.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Backlog goes at most at this rate, so that it leaves room for live records.
    pub backlog_records_per_second: u32,
    /// The same in bytes of records.
    pub backlog_bytes_per_second: u32,
    /// What both lanes together may send, in bits per second of records before any compression; `None`: no bound.
    pub uplink_bits_per_second: Option<u64>,
    /// At most this many bytes of records in one append (one record at least).
    pub append_bytes: usize,
    /// How often positions are committed on the spool: what was forwarded since is forwarded again after a crash.
    pub commit_interval: Duration,
    /// How long the last append may take after the stop signal.
    pub drain_timeout: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            backlog_records_per_second: 20_000,
            backlog_bytes_per_second: 8 << 20,
            uplink_bits_per_second: None,
            append_bytes: 1 << 20,
            commit_interval: Duration::from_secs(1),
            drain_timeout: Duration::from_secs(5),
        }
    }
}
