//! What goes in: one value of one series, or one closed window of it.

use records::{Name, Quality, Timestamp, Window};

/// One value of one quantity of one subject.
///
/// There is no key: a row written twice is stored twice. The offsets of [`crate::Store::seal`] are what makes a
/// row of the log arrive once.
#[derive(Clone, Debug, PartialEq)]
pub struct RawRow {
    /// Whose value: a device.
    pub subject: Name,
    /// Of what; a name of the quantity registry or any other.
    pub quantity: Name,
    /// When it happened; the time by which it is stored and found.
    pub event_time: Timestamp,
    /// What the device's clock said.
    pub device_time: Option<Timestamp>,
    /// The gateway's clock at arrival.
    pub ingest_time: Timestamp,
    /// In the unit of the quantity. Finite, or the row is refused.
    pub value: f64,
    /// What the tests said of it.
    pub quality: Quality,
}

/// One closed window of one series. Key (subject, quantity, window): the highest revision wins, and of two equal
/// ones the later written.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregateRow {
    /// Whose window. Devices and areas share one space of names: who writes both keeps them apart.
    pub subject: Name,
    /// Of what.
    pub quantity: Name,
    /// `[start, end)` in event time; stored and found by its start.
    pub window: Window,
    /// 0 at the first close, one more for each re-emission.
    pub revision: u32,
    /// Readings in the window that are not missing.
    pub count: u32,
    /// Of these, the usable ones, over which the statistics are.
    pub good: u32,
    /// Sum of the usable values. This and the next three read back as 0 when `good` is 0.
    pub sum: f64,
    /// Mean of the usable values.
    pub mean: f64,
    /// Smallest usable value.
    pub min: f64,
    /// Greatest usable value.
    pub max: f64,
    /// Ingest time of what closed the window.
    pub as_of: Timestamp,
    /// Closed from a backlog, long after its end.
    pub is_backfill: bool,
}

/// What [`crate::Store::write`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "a store over its bound wants the caller to stop reading and to seal"]
pub struct Written {
    /// Rows now in memory, visible to queries.
    pub accepted: usize,
    /// Rows that can't be stored: a value that is not finite, an empty window, or a time outside the years 1 to
    /// 9999, which no calendar on the reading side understands.
    pub refused: usize,
    /// Memory holds more than [`crate::Options::memory_bytes`]: read no more until a seal has succeeded.
    pub is_over_bound: bool,
}
