//! How a device is, for the map.

use super::Live;
use records::{Severity, Timestamp};
use serde::Serialize;
use std::time::Duration;

/// Silence that is too long while nobody knows what is usual.
const SILENCE: Duration = Duration::from_secs(300);
/// Silence that is never too long: delays on the way are no news.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many usual intervals of silence are too long.
const INTERVALS: f64 = 3.0;

/// How a device is. An active alert outweighs silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceState {
    /// It speaks, and nothing is wrong.
    Ok,
    /// Silent for longer than three of its usual intervals; for five minutes when these are not known yet.
    Late,
    /// It has an active alert.
    Alert,
    /// It has never said anything.
    Never,
}

impl DeviceState {
    /// How the device is at `now` (the clock that also stamps ingest times).
    pub fn of(live: &Live, worst: Option<Severity>, now: Timestamp) -> DeviceState {
        match (worst, live.has_spoken()) {
            (Some(_), _) => DeviceState::Alert,
            (None, false) => DeviceState::Never,
            (None, true) if is_late(live, now) => DeviceState::Late,
            (None, true) => DeviceState::Ok,
        }
    }
}

/// Whether a device that has spoken is silent for too long.
pub fn is_late(live: &Live, now: Timestamp) -> bool {
    let allowed = match live.usual_interval_ms() {
        Some(usual) => Duration::from_millis((INTERVALS * usual) as u64).max(PATIENCE),
        None => SILENCE,
    };
    live.has_spoken() && now.since(live.ingest_time) > allowed
}
