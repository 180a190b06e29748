//! Why the stream stage stopped.

use crate::snapshot::StateError;
use records::LogError;

/// Why [`crate::run`] returned early. Nothing that was committed is lost; everything else is read again.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The log can't be read or written. Start again, from the last commit.
    #[error("the {job} job stopped")]
    Log {
        /// Which job.
        job: &'static str,
        /// Why.
        #[source]
        source: LogError,
    },
    /// A snapshot can't be used, and has been given up. Start again at once with a new pipe: the state will be built
    /// from the oldest record on the log, in silence as far as outputs are out.
    #[error("the {job} job gave up its state of partition {partition} and must be started again")]
    Reset {
        /// Which job.
        job: &'static str,
        /// Which input partition.
        partition: u32,
        /// Why.
        #[source]
        source: StateError,
    },
}
