//! What the area job knows beside its state.

use crate::outputs::Partitions;
use crate::rule::Ruleset;
use std::time::Duration;

/// How the area job judges time.
#[derive(Clone, Debug, PartialEq)]
pub struct AreaConfig {
    /// What is noticed this long after it happened tells of the past.
    pub backfill_after: Duration,
}

impl Default for AreaConfig {
    fn default() -> Self {
        AreaConfig { backfill_after: Duration::from_secs(600) }
    }
}

/// Configuration and rules.
pub struct Context {
    /// How time is judged.
    pub config: AreaConfig,
    /// The rules.
    pub rules: Ruleset,
    /// How many partitions the topics have.
    pub partitions: Partitions,
}
