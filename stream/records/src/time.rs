//! Time on the log: milliseconds since 1970-01-01T00:00:00Z, without leap seconds.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// An instant, in milliseconds since the Unix epoch (UTC).
///
/// Which clock it came from is said by the field that holds it: *device time* (what the device said),
/// *event time* (after the clock model), *ingest time* (the gateway's clock at arrival).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Before every instant that occurs.
    pub const MIN: Timestamp = Timestamp(i64::MIN);
    /// After every instant that occurs.
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// Milliseconds since the Unix epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The time from `earlier` to `self`; zero when `earlier` is later.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }

    /// The start of the tumbling window of length `size` that holds this instant, counted from the epoch.
    ///
    /// A `size` under one millisecond counts as one millisecond.
    pub fn floor(self, size: Duration) -> Timestamp {
        let size = millis(size).max(1);
        Timestamp(self.0.div_euclid(size).saturating_mul(size))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;
    fn add(self, by: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(millis(by)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Timestamp;
    fn sub(self, by: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(millis(by)))
    }
}

impl fmt::Display for Timestamp {
    /// Plain milliseconds; calendars are for the edges.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A half-open span of event time, `[start, end)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    /// First instant inside.
    pub start: Timestamp,
    /// First instant after.
    pub end: Timestamp,
}

impl Window {
    /// The tumbling window of length `size` that holds `at`.
    pub fn tumbling(at: Timestamp, size: Duration) -> Window {
        let start = at.floor(size);
        Window { start, end: start + size }
    }

    /// Whether `at` is inside.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}

/// `serde` adapter: a [`Timestamp`] as a number of milliseconds.
pub mod as_millis {
    use super::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes the milliseconds.
    pub fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(at.0)
    }

    /// Reads the milliseconds.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(from).map(Timestamp)
    }
}
