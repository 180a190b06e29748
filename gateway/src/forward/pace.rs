//! How fast: the backlog's rates, and what the uplink carries.

use super::Options;
use super::budget::Budget;
use super::lanes::Room;
use super::load::Freight;
use std::time::Duration;
use tokio::time::Instant;

/// Shares of an append, so that neither lane can fill it alone.
const LIVE_QUARTERS: usize = 3;

/// Decides how much may go now.
#[derive(Debug)]
pub(super) struct Pace {
    records: Budget,
    bytes: Budget,
    uplink: Option<f64>,
    /// Until then the uplink is busy with what was sent.
    free_at: Instant,
    /// Of one append.
    append_bytes: usize,
}

impl Pace {
    pub fn new(options: &Options, now: Instant) -> Pace {
        let uplink = options.uplink_bits_per_second.map(|bits| (bits as f64 / 8.0).max(1.0));
        // With a thin uplink no append takes longer than a second.
        let a_second = uplink.map_or(usize::MAX, |bytes| bytes as usize);
        Pace {
            records: Budget::new(options.backlog_records_per_second.into(), now),
            bytes: Budget::new(options.backlog_bytes_per_second.into(), now),
            uplink,
            free_at: now,
            append_bytes: options.append_bytes.min(a_second),
        }
    }

    /// Bytes of live records in one append.
    pub fn live_bytes(&self) -> usize {
        self.append_bytes / 4 * LIVE_QUARTERS
    }

    /// Up to what an append may be filled with backlog that holds so much of it already.
    pub fn backlog(&mut self, now: Instant, held: Freight) -> Room {
        let cap = (self.append_bytes - self.live_bytes()).max(1);
        Room {
            records: held.records + self.records.level(now) as usize,
            bytes: cap.min(held.bytes + self.bytes.level(now) as usize),
        }
    }

    /// So much of the backlog was taken.
    pub fn took(&mut self, records: usize, bytes: usize) {
        self.records.spend(records);
        self.bytes.spend(bytes);
    }

    /// So much came to the backlog, which shrinks at its rates only if that is allowed on top of them.
    pub fn grew(&mut self, records: usize, bytes: usize) {
        self.records.grant(records);
        self.bytes.grant(bytes);
    }

    /// When the backlog may go on.
    pub fn backlog_ready_at(&self) -> Instant {
        self.records.ready_at().max(self.bytes.ready_at())
    }

    /// So much is on its way to the target.
    pub fn sent(&mut self, bytes: usize, now: Instant) {
        if let Some(per_second) = self.uplink {
            let takes = Duration::try_from_secs_f64(bytes as f64 / per_second).unwrap_or(Duration::MAX / 4);
            self.free_at = self.free_at.max(now) + takes;
        }
    }

    /// When the next append may begin.
    pub fn free_at(&self) -> Instant {
        self.free_at
    }
}
