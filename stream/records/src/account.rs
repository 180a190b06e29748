//! What became of a device's messages: one row of the ledger.

use crate::{Name, Timestamp};

/// A device's hour, as the stream stage has counted it. Told several times while the hour goes on: the greatest
/// `received` is the newest, and a row replaces an older one of the same device and hour.
///
/// Every message that was received is exactly one of resent, duplicate, late and accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Whose.
    pub device: Name,
    /// Start of the hour, ingest time.
    pub hour: Timestamp,
    /// How often.
    pub counts: AccountCounts,
}

/// The counts of an [`Account`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountCounts([u32; AccountItem::ALL.len()]);

/// What is counted. The number is the key on the log, less what stands before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum AccountItem {
    /// Messages on the log.
    Received = 0,
    /// Messages that a forwarder brought again.
    Resent = 1,
    /// Messages that had been seen before.
    Duplicate = 2,
    /// Messages too late for their window, passed on marked.
    LateRouted = 3,
    /// Messages passed on in time.
    Accepted = 4,
    /// Of the accepted, those that changed a window that had been told.
    LateRevised = 5,
    /// Runs of missing numbers that opened.
    GapOpened = 6,
    /// Runs of missing numbers that closed.
    GapClosed = 7,
    /// Readings passed on.
    Readings = 8,
    /// Of these, suspect.
    Suspect = 9,
    /// Of these, bad.
    Bad = 10,
}

impl AccountItem {
    /// Every entry, with its name in tables and API.
    pub const ALL: [(AccountItem, &'static str); 11] = [
        (AccountItem::Received, "received"),
        (AccountItem::Resent, "resent"),
        (AccountItem::Duplicate, "duplicate"),
        (AccountItem::LateRouted, "late_routed"),
        (AccountItem::Accepted, "accepted"),
        (AccountItem::LateRevised, "late_revised"),
        (AccountItem::GapOpened, "gaps_opened"),
        (AccountItem::GapClosed, "gaps_closed"),
        (AccountItem::Readings, "readings"),
        (AccountItem::Suspect, "suspect"),
        (AccountItem::Bad, "bad"),
    ];
}

impl AccountCounts {
    /// Notes something.
    pub fn add(&mut self, item: AccountItem, times: usize) {
        let times = u32::try_from(times).unwrap_or(u32::MAX);
        self.0[item as usize] = self.0[item as usize].saturating_add(times);
    }

    /// How often it was.
    pub fn of(&self, item: AccountItem) -> u32 {
        self.0[item as usize]
    }

    /// Whether every message that was received went one way.
    pub fn is_balanced(&self) -> bool {
        let ways =
            [AccountItem::Resent, AccountItem::Duplicate, AccountItem::LateRouted, AccountItem::Accepted];
        let gone: u64 = ways.into_iter().map(|way| u64::from(self.of(way))).sum();
        gone == u64::from(self.of(AccountItem::Received))
    }
}
