//! A tag that passed a reader: many reads, one sighting.

use crate::{Name, Timestamp};

/// Reads of one tag at one reader, merged. Travels on `aggregates`, keyed by the reader's area (its line).
#[derive(Clone, Debug, PartialEq)]
pub struct Sighting {
    /// The reader's area.
    pub area: Name,
    /// The reader.
    pub device: Name,
    /// EPC in upper-case hex.
    pub epc: Name,
    /// First read, event time.
    pub first_seen: Timestamp,
    /// Last read, event time.
    pub last_seen: Timestamp,
    /// Reads in all.
    pub count: u32,
    /// Ingest time of what ended it; see [`crate::Aggregate::as_of`].
    pub as_of: Timestamp,
}
