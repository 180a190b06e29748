//! What the area job knows beside its state.

use crate::outputs::Partitions;
use crate::rule::{Ruleset, Succession};
use std::sync::Arc;
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

/// Rules that follow others.
pub struct Change<'c> {
    /// What held.
    pub before: &'c Context,
    /// What holds from now on.
    pub after: &'c Context,
    /// What goes on.
    pub to: Succession,
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

impl Context {
    /// The same by other rules, which were valid when they were heard.
    pub fn with(self: &Arc<Context>, text: &str) -> Arc<Context> {
        if *text == *self.rules.text {
            return self.clone();
        }
        let rules = Ruleset::parse(text).expect("what is no ruleset is never heard");
        Arc::new(Context { config: self.config.clone(), rules, partitions: self.partitions })
    }

    /// What changes when `after` holds instead.
    pub fn change<'c>(&'c self, after: &'c Context) -> Change<'c> {
        Change { before: self, after, to: Succession::new(&self.rules, &after.rules) }
    }
}
