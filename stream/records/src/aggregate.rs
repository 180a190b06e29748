//! A closed window of one series.

use crate::{Name, Quantity, Timestamp, Window};

/// Whose series it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// One device.
    Device(Name),
    /// An area, road, line or network.
    Area(Name),
}

impl Subject {
    /// The device's or the area's name.
    pub fn name(&self) -> &Name {
        match self {
            Subject::Device(name) | Subject::Area(name) => name,
        }
    }
}

/// One row per closed window. Key (subject, quantity, window); the highest revision wins, so writing twice is
/// harmless.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// Whose series.
    pub subject: Subject,
    /// What it rolls up into; the record's key on the log.
    pub area: Name,
    /// Of what. A derived quantity (an index) has `mean == min == max`.
    pub quantity: Quantity,
    /// `[start, end)` in event time.
    pub window: Window,
    /// 0 at the first close; one more for each re-emission because of late readings.
    pub revision: u32,
    /// Readings in the window that are not missing.
    pub count: u32,
    /// Of these, how many were usable; the statistics are over these alone.
    pub good: u32,
    /// Exactly rounded sum of the usable values; 0 when there is none.
    pub sum: f64,
    /// `sum / good`; 0 when there is none.
    pub mean: f64,
    /// Smallest usable value; 0 when there is none.
    pub min: f64,
    /// Greatest usable value; 0 when there is none.
    pub max: f64,
    /// Ingest time of what closed the window: the order in which the area job reads, whatever the partitioning.
    pub as_of: Timestamp,
    /// Closed long after its end because its readings came late as a backlog.
    pub is_backfill: bool,
}
