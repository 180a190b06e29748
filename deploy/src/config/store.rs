//! `[store]`: time series on disk.

use std::time::Duration;

use super::section::{Problems, Section};
use super::{DAY, SECOND};

/// `[store]`
#[derive(Clone, Debug, PartialEq)]
pub struct StoreConfig {
    /// Whole days of values and windows older than this are removed.
    pub retention: Duration,
    /// The same of the roll-ups by minute, hour and day.
    pub minutes_retention: Duration,
    /// See above.
    pub hours_retention: Duration,
    /// See above.
    pub days_retention: Duration,
    /// What the files may take on disk; the oldest days go first. `None`: no bound but the retentions.
    pub budget_bytes: Option<u64>,
    /// At the latest after this, rows in memory are sealed to a file.
    pub seal_age: Duration,
}

impl Default for StoreConfig {
    fn default() -> StoreConfig {
        StoreConfig {
            retention: 400 * DAY,
            minutes_retention: 400 * DAY,
            hours_retention: 3_650 * DAY,
            days_retention: LONGEST,
            budget_bytes: None,
            seal_age: 60 * SECOND,
        }
    }
}

/// A century.
const LONGEST: Duration = Duration::from_secs(36_500 * 24 * 3600);

/// Reads the section.
pub fn read(mut from: Section<'_>, problems: &mut Problems<'_>) -> StoreConfig {
    let default = StoreConfig::default();
    let mut retention = |key, usual| from.duration(key, usual, DAY..LONGEST + SECOND, problems);
    let store = StoreConfig {
        retention: retention("retention", default.retention),
        minutes_retention: retention("minutes_retention", default.minutes_retention),
        hours_retention: retention("hours_retention", default.hours_retention),
        days_retention: retention("days_retention", default.days_retention),
        budget_bytes: match from.size("budget", 0, 64 << 20..1 << 50, problems) {
            0 => default.budget_bytes,
            bytes => Some(bytes),
        },
        seal_age: from.duration("seal_age", default.seal_age, SECOND..DAY, problems),
    };
    from.end(problems);
    store
}
