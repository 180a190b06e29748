//! What a device said last, and how often it speaks.

use records::time::as_millis;
use records::{Aggregate, Body, Flag, Name, Observation, Position, Quality, Quantity, Status, Timestamp};
use serde::{Deserialize, Serialize};

/// A device that says more quantities than this keeps the first ones: bounded, whatever it sends.
const MOST_QUANTITIES: usize = 128;
/// Intervals seen before they count as usual.
const ENOUGH_INTERVALS: u32 = 3;
/// Weight of the newest interval in the average.
const WEIGHT: f64 = 0.1;

/// The last words of a device. The newest event time wins, so writing an observation twice is harmless, but for
/// [`Live::observations`], which may count it twice after a crash.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Live {
    /// The newest event time.
    #[serde(with = "as_millis")]
    pub event_time: Timestamp,
    /// The newest ingest time.
    #[serde(with = "as_millis")]
    pub ingest_time: Timestamp,
    /// Where it said it was, when it says so itself.
    pub position: Option<Position>,
    /// Observations since the book was started.
    pub observations: u64,
    /// Average event time from one observation to the next, ms.
    interval_ms: Option<f64>,
    /// How many intervals went into it.
    intervals: u32,
    /// What it says about itself, as the last status said.
    pub firmware: Option<Name>,
    /// The newest value of each quantity, by name.
    pub latest: Vec<Latest>,
}

/// The newest value of a quantity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latest {
    /// The quantity's name.
    pub quantity: Name,
    /// Its value.
    pub value: f64,
    /// QARTOD flag.
    pub flag: Flag,
    /// Bit set of the tests that did not pass.
    pub tests: u16,
    /// When it was so; for a derived quantity the end of its window.
    #[serde(with = "as_millis")]
    pub event_time: Timestamp,
    /// When we learnt of it.
    #[serde(with = "as_millis")]
    pub ingest_time: Timestamp,
    /// The length of the window, for a quantity that Sluice derived.
    pub window_ms: Option<i64>,
}

impl Live {
    /// Takes in an observation.
    pub fn observe(&mut self, observation: &Observation) {
        self.note_interval(observation.event_time);
        self.observations += 1;
        if observation.event_time >= self.event_time {
            self.position = observation.position.or(self.position);
        }
        self.event_time = self.event_time.max(observation.event_time);
        self.ingest_time = self.ingest_time.max(observation.ingest_time);
        let times = (observation.event_time, observation.ingest_time);
        match &observation.body {
            Body::Readings(readings) => {
                for reading in readings {
                    self.keep(reading.quantity.name(), reading.value, reading.quality, times, None);
                }
            }
            Body::TagReads(reads) => {
                let count = reads.iter().map(|read| f64::from(read.count)).sum();
                self.keep(TAG_READS, count, Quality::GOOD, times, None);
            }
            Body::Passages(passages) => {
                let speeds = || passages.iter().filter_map(|passage| passage.speed.map(f64::from));
                let count = speeds().count();
                if count > 0 {
                    let mean = speeds().sum::<f64>() / count as f64;
                    self.keep(SPEED, mean, Quality::default(), times, None);
                }
            }
            Body::Status(status) => {
                self.note_status(status);
                if let Some(volts) = status.battery_v {
                    self.keep(BATTERY, f64::from(volts), Quality::default(), times, None);
                }
            }
        }
    }

    /// Whether [`Live::derive`] has use for it: only what Sluice itself computes (an index, a sum) is news.
    pub fn is_derived(aggregate: &Aggregate) -> bool {
        let info = aggregate.quantity.info();
        info.is_some_and(|info| info.families.is_empty()) && aggregate.good > 0
    }

    /// Takes in a window of a derived quantity.
    pub fn derive(&mut self, aggregate: &Aggregate) {
        let window_ms = aggregate.window.end.millis().saturating_sub(aggregate.window.start.millis());
        let times = (aggregate.window.end, aggregate.as_of);
        self.keep(aggregate.quantity.name(), aggregate.mean, Quality::GOOD, times, Some(window_ms));
    }

    /// Whether it ever said anything.
    pub fn has_spoken(&self) -> bool {
        self.observations > 0
    }

    /// The usual event time from one observation to the next, once it is known.
    pub fn usual_interval_ms(&self) -> Option<f64> {
        self.interval_ms.filter(|_| self.intervals >= ENOUGH_INTERVALS)
    }

    /// Event time, so that a backlog that arrives at full speed does not look like haste. One long silence counts
    /// as four usual intervals at most.
    fn note_interval(&mut self, event_time: Timestamp) {
        let interval = event_time.millis().saturating_sub(self.event_time.millis()) as f64;
        if !self.has_spoken() || interval <= 0.0 {
            return;
        }
        self.interval_ms = Some(match self.interval_ms {
            Some(usual) => usual + WEIGHT * (interval.min(4.0 * usual) - usual),
            None => interval,
        });
        self.intervals = self.intervals.saturating_add(1);
    }

    fn note_status(&mut self, status: &Status) {
        if status.firmware.is_some() {
            self.firmware.clone_from(&status.firmware);
        }
    }

    fn keep(
        &mut self,
        quantity: &str,
        value: f64,
        quality: Quality,
        (event_time, ingest_time): (Timestamp, Timestamp),
        window_ms: Option<i64>,
    ) {
        let Quality { flag, tests } = quality;
        match self.latest.binary_search_by(|known| known.quantity.as_str().cmp(quantity)) {
            Ok(index) => {
                let known = &mut self.latest[index];
                if known.event_time <= event_time {
                    let quantity = std::mem::take(&mut known.quantity);
                    *known = Latest { quantity, value, flag, tests, event_time, ingest_time, window_ms };
                }
            }
            Err(index) if self.latest.len() < MOST_QUANTITIES => {
                let quantity = quantity.into();
                let latest = Latest { quantity, value, flag, tests, event_time, ingest_time, window_ms };
                self.latest.insert(index, latest);
            }
            Err(_) => {}
        }
    }
}

const TAG_READS: &str = "tag_reads";
const SPEED: &str = "speed";
const BATTERY: &str = "battery";

impl Latest {
    /// The quantity, as the registry knows it.
    pub fn quantity(&self) -> Quantity {
        Quantity::from_name(&self.quantity)
    }
}
