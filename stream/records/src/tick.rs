//! The passing of time, as a record.

use crate::Timestamp;

/// "Ingest time has reached `at`": what closes windows when nobody speaks.
///
/// On `telemetry` the owner of a partition appends one when a second passes without a record
/// (`source` 0 of `sources` 1). On `aggregates` each partition of the device job says how far it has come, so
/// that the area job can wait for all of them: every record of that source with `as_of <= at` stands before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// The instant reached, ingest time.
    pub at: Timestamp,
    /// Which upstream partition says so.
    pub source: u32,
    /// How many upstream partitions there are.
    pub sources: u32,
}
