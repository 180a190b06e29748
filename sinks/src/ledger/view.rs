//! A row of the ledger, for people and programs.

use records::{AccountItem, Name, Reason, Timestamp};
use rusqlite::Row;
use serde::Serialize;
use std::collections::BTreeMap;

/// How many counts a row has.
pub(super) const COLUMNS: usize = AccountItem::ALL.len() + Reason::ALL.len();

/// Their names, in order.
pub(super) fn columns() -> impl Iterator<Item = &'static str> {
    let items = AccountItem::ALL.into_iter().map(|(_, name)| name);
    items.chain(Reason::ALL.into_iter().map(Reason::name))
}

/// Which hours.
#[derive(Clone, Debug)]
pub struct LedgerQuery {
    /// Of one device, or of all.
    pub device: Option<Name>,
    /// Hours that begin at this or later.
    pub from: Timestamp,
    /// And before this.
    pub to: Timestamp,
    /// At most so many rows; the sum is of all.
    pub limit: u32,
}

/// What became of a device's messages in an hour; or a sum of such.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LedgerView {
    /// Whose; empty in a sum.
    pub device: Name,
    /// Start of the hour, ingest time, ms; of the query in a sum.
    pub hour: i64,
    /// What the stream stage counted, by name.
    #[serde(flatten)]
    pub counts: BTreeMap<&'static str, i64>,
    /// Messages that the gateway set aside, by reason.
    pub quarantined: BTreeMap<&'static str, i64>,
    /// Whether every message that was received is resent, duplicate, late or accepted.
    pub is_balanced: bool,
}

impl LedgerView {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<LedgerView> {
        let mut counts = BTreeMap::new();
        let mut quarantined = BTreeMap::new();
        for (place, (_, name)) in (2..).zip(AccountItem::ALL) {
            counts.insert(name, row.get(place)?);
        }
        for (place, reason) in (2 + AccountItem::ALL.len()..).zip(Reason::ALL) {
            quarantined.insert(reason.name(), row.get(place)?);
        }
        let of = |name: &str| counts.get(name).copied().unwrap_or(0);
        let gone = of("resent") + of("duplicate") + of("late_routed") + of("accepted");
        let is_balanced = of("received") == gone;
        let device: String = row.get(1)?;
        Ok(LedgerView { device: device.into(), hour: row.get(0)?, counts, quarantined, is_balanced })
    }
}
