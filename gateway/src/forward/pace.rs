//! How fast: the backlog's rates, and what the uplink carries.

use super::Options;
use super::budget::Budget;
use super::lanes::Room;
use super::load::Freight;
use super::uplink::Uplink;
use tokio::time::Instant;

/// Shares of an append, so that neither lane can fill it alone.
const LIVE_QUARTERS: usize = 3;

/// Decides how much may go now.
#[derive(Debug)]
pub(super) struct Pace {
    records: Budget,
    bytes: Budget,
    uplink: Uplink,
}

impl Pace {
    pub fn new(options: &Options, now: Instant) -> Pace {
        Pace {
            records: Budget::new(options.backlog_records_per_second.into(), now),
            bytes: Budget::new(options.backlog_bytes_per_second.into(), now),
            uplink: Uplink::new(options.uplink_bits_per_second, options.append_bytes),
        }
    }

    /// Bytes of live records in one append.
    pub fn live_bytes(&self) -> usize {
        self.uplink.append_bytes() / 4 * LIVE_QUARTERS
    }

    /// Up to what an append may be filled with backlog that holds so much of it already.
    pub fn backlog(&mut self, now: Instant, held: Freight) -> Room {
        let cap = (self.uplink.append_bytes() - self.live_bytes()).max(1);
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
        self.uplink.sent(bytes, now);
    }

    /// When the next append may begin.
    pub fn free_at(&self) -> Option<Instant> {
        self.uplink.free_at()
    }
}
