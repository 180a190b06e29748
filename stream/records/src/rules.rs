//! Which rules hold from when on, as a record, so that a replay changes them at the same place.

use crate::Timestamp;

/// "From ingest time `at` on these rules hold." One stands on every partition of `telemetry`; each partition of the
/// device job passes it on to every partition of `aggregates`, with the place that it has there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// From when on, ingest time.
    pub at: Timestamp,
    /// The rules file.
    pub text: String,
    /// The rules file that held before: for whoever has nothing older.
    pub replaces: String,
}
