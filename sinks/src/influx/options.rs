//! How points are written, and where.

use records::Topic;
use std::time::Duration;

/// How the sink behaves. Everything but where to write has a default.
#[derive(Clone, Debug, PartialEq)]
pub struct InfluxOptions {
    /// `http://host:8086`, with a path in front of `/api/v2/write` where a proxy wants one.
    pub url: String,
    /// Organisation.
    pub org: String,
    /// Bucket.
    pub bucket: String,
    /// Whether raw values are written beside the windows.
    pub raw: bool,
    /// Tags beside those that a series can't do without.
    pub tags: Tags,
    /// Lines of a request, at most.
    pub batch_lines: usize,
    /// Bytes of a request before compression, at most, unless one line alone is longer.
    pub batch_bytes: usize,
    /// A line waits no longer than this for others.
    pub batch_age: Duration,
    /// How long a request may take. What came of it then is unknown, and it is sent again.
    pub timeout: Duration,
    /// Series that may come about. Points of further ones are left out.
    pub max_series: usize,
    /// Records that are older than this when they are read are left to the backfill lane.
    pub backfill_after: Duration,
    /// Records a second that the backfill lane writes, at most.
    pub backfill_rate: u32,
}

/// Tags beside `device` (of a device's series), `area` (of an area's series) and `window` (of windows).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tags {
    /// A device's series carry the area that it rolls up into.
    pub area: bool,
    /// The quantity is a tag, with fields `mean`, `min`, …; otherwise fields are `pm2_5_mean`, `pm2_5_min`, ….
    pub quantity: bool,
}

impl InfluxOptions {
    /// What to read.
    pub fn topics(&self) -> &'static [Topic] {
        if self.raw { &[Topic::Observations, Topic::Aggregates] } else { &[Topic::Aggregates] }
    }
}

impl Default for InfluxOptions {
    fn default() -> InfluxOptions {
        InfluxOptions {
            url: String::new(),
            org: String::new(),
            bucket: String::new(),
            raw: false,
            tags: Tags { area: true, quantity: true },
            batch_lines: 5_000,
            batch_bytes: 1 << 20,
            batch_age: Duration::from_secs(1),
            timeout: Duration::from_secs(30),
            max_series: 100_000,
            backfill_after: Duration::from_secs(120),
            backfill_rate: 5_000,
        }
    }
}
