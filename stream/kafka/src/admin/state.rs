//! A topic as it is.

use std::collections::BTreeMap;
use std::fmt;

/// A topic as it is on the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicState {
    /// Its name, with the deployment's prefix.
    pub name: String,
    /// How many partitions.
    pub partitions: u32,
    /// Replicas of the partition that has the fewest.
    pub replication: u32,
    /// Replicas in sync of the partition that has the fewest: what one more loss would leave is one less.
    pub in_sync: u32,
    /// All its settings, in Kafka's words.
    pub config: BTreeMap<String, String>,
}

impl TopicState {
    /// A setting; empty when the broker does not tell it.
    pub fn setting(&self, name: &str) -> &str {
        self.config.get(name).map_or("", String::as_str)
    }

    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.setting(name).parse().ok()
    }
}

impl fmt::Display for TopicState {
    /// One line, as `sluice topic describe` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TopicState { name, partitions, replication, in_sync, .. } = self;
        write!(f, "{name}: {partitions} partitions, {replication} replicas, {in_sync} in sync")?;
        for setting in ["min.insync.replicas", "cleanup.policy", "retention.ms", "retention.bytes"] {
            write!(f, ", {setting}={}", self.setting(setting))?;
        }
        Ok(())
    }
}
