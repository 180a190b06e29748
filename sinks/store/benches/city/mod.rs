//! The simulated city, and what a run costs.

use records::{Flag, Name, Quality, Timestamp};
use std::time::Duration;
use store::{RawRow, Store};

/// What each device reports.
pub const QUANTITIES: [&str; 6] = ["humidity", "no2", "o3", "pm10", "pm2_5", "temperature"];
/// The first instant.
pub const START: i64 = 1_792_454_400_000;
/// In milliseconds.
pub const DAY: i64 = 86_400_000;

/// A small generator, so that every run sees the same city (Marsaglia's xorshift64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound) as i64
    }
}

/// Devices that report six quantities once an interval: values wander in tenths, clocks and networks jitter, one
/// reading in two hundred is suspect.
pub struct City {
    chance: Chance,
    devices: Vec<(Name, [i64; 6])>,
    pub now: i64,
    interval: i64,
}

impl City {
    pub fn new(devices: usize, interval: i64) -> City {
        let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
        let device = |i| (Name::from(format!("station-{i:05}")), [0; 6].map(|_| 150 + chance.below(300)));
        City { devices: (0..devices).map(device).collect(), chance, now: START, interval }
    }

    /// What all devices say in one interval, in the order of arrival.
    pub fn round(&mut self, out: &mut Vec<RawRow>) {
        for (device, levels) in &mut self.devices {
            let at = self.now + self.chance.below(200);
            let ingest_time = Timestamp(at + 40 + self.chance.below(160));
            for (quantity, level) in QUANTITIES.into_iter().zip(levels) {
                *level = (*level + self.chance.below(7) - 3).clamp(0, 2_000);
                let is_odd = self.chance.below(200) == 0;
                let quality = if is_odd { Quality { flag: Flag::Suspect, tests: 4 } } else { Quality::GOOD };
                out.push(RawRow {
                    subject: device.clone(),
                    quantity: Name::new_static(quantity),
                    event_time: Timestamp(at),
                    device_time: Some(Timestamp(at)),
                    ingest_time,
                    value: *level as f64 / 10.0,
                    quality,
                });
            }
        }
        self.now += self.interval;
    }
}

/// Time that this thread was on a processor, which a busy machine does not distort; zero where it is not told.
pub fn on_processor() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(told.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0))
}

/// Bytes of a file, or of all files in a folder.
pub fn size(path: &std::path::Path) -> u64 {
    let found = std::fs::metadata(path).expect("there");
    if !found.is_dir() {
        return found.len();
    }
    std::fs::read_dir(path).expect("read").map(|entry| size(&entry.expect("read").path())).sum()
}

/// 35 days of it, sealed and merged as a running store does it. Gives how many rows that are.
pub fn fill(store: &Store, city: &mut City) -> usize {
    let (mut rows, mut written) = (Vec::new(), 0);
    while city.now < START + 35 * DAY {
        rows.clear();
        city.round(&mut rows);
        written += rows.len();
        let _ = store.write(&rows, &[]);
        if store.is_seal_due(Timestamp(0)) {
            store.seal(&[]).expect("seals");
            store.compact().expect("merges");
        }
    }
    store.seal(&[]).expect("seals");
    store.maintain(Timestamp(START + 99 * DAY)).expect("merges");
    written
}
