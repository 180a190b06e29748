//! `[store]`: time series on disk.

use std::time::Duration;

use super::section::{Problems, Section};
use super::{DAY, SECOND};

/// `[store]`
#[derive(Clone, Debug, PartialEq)]
pub struct StoreConfig {
    /// Whole days older than this are removed.
    pub retention: Duration,
    /// What the files may take on disk; the oldest days go first. `None`: no bound but the retention.
    pub budget_bytes: Option<u64>,
    /// At the latest after this, rows in memory are sealed to a file.
    pub seal_age: Duration,
}

impl Default for StoreConfig {
    fn default() -> StoreConfig {
        StoreConfig { retention: 400 * DAY, budget_bytes: None, seal_age: 60 * SECOND }
    }
}

/// Reads the section.
pub fn read(mut from: Section<'_>, problems: &mut Problems<'_>) -> StoreConfig {
    let default = StoreConfig::default();
    let store = StoreConfig {
        retention: from.duration("retention", default.retention, DAY..36_500 * DAY, problems),
        budget_bytes: match from.size("budget", 0, 64 << 20..1 << 50, problems) {
            0 => default.budget_bytes,
            bytes => Some(bytes),
        },
        seal_age: from.duration("seal_age", default.seal_age, SECOND..DAY, problems),
    };
    from.end(problems);
    store
}
