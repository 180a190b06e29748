//! Watches `observations` while faults happen, as another service would: read_committed, in a group of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use records::{Consumer, Offset, Record, Topic};

use super::city::QUIET_PREFIX;
use super::support::site::Site;

/// A record that came: where, when, how long it had been on its way, and whether a quiet device said it.
#[derive(Clone, Copy)]
struct Sight {
    partition: u32,
    at: Instant,
    way: Duration,
    is_quiet: bool,
}

/// A reader in the background.
pub struct Watcher {
    sights: Arc<Mutex<Vec<Sight>>>,
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Watcher {
    /// Begins to watch.
    pub fn start(site: &Arc<Site>) -> Watcher {
        let (sights, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let thread = std::thread::spawn({
            let (site, sights, stop) = (site.clone(), sights.clone(), stop.clone());
            move || {
                let runtime = tokio::runtime::Runtime::new().expect("a runtime");
                runtime.block_on(watch(&site, &sights, &stop));
            }
        });
        Watcher { sights, stop, thread }
    }

    /// Waits until something was seen.
    pub fn wait(&self) {
        while self.sights.lock().expect("no panic while it is held").is_empty() {
            assert!(!self.thread.is_finished(), "nobody watches");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends, and tells what was seen.
    pub fn end(self) -> Sights {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("watching does not fail");
        Sights(std::mem::take(&mut *self.sights.lock().expect("no panic while it is held")))
    }
}

/// What was seen, in its order.
pub struct Sights(Vec<Sight>);

impl Sights {
    /// The longest time without anything new in each partition, after `since`.
    pub fn gaps(&self, since: Instant) -> BTreeMap<u32, Duration> {
        let spoken: BTreeSet<u32> = self.0.iter().map(|sight| sight.partition).collect();
        spoken.into_iter().map(|partition| (partition, self.gap(partition, since))).collect()
    }

    fn gap(&self, partition: u32, since: Instant) -> Duration {
        let ours = self.0.iter().filter(|sight| sight.partition == partition && sight.at >= since);
        let end = self.0.last().map_or(since, |sight| sight.at);
        let times: Vec<Instant> =
            [since].into_iter().chain(ours.map(|sight| sight.at)).chain([end]).collect();
        times.windows(2).map(|pair| pair[1].saturating_duration_since(pair[0])).max().unwrap_or_default()
    }

    /// How long what quiet devices said between two times was on its way, in order of length.
    pub fn ways(&self, from: Instant, to: Instant) -> Vec<Duration> {
        let among = self.0.iter().filter(|sight| sight.is_quiet && sight.at >= from && sight.at < to);
        let mut ways: Vec<_> = among.map(|sight| sight.way).collect();
        ways.sort();
        ways
    }

    /// In how many seconds after `since` what quiet devices say was first on its way for at most `bound`, for a second.
    pub fn swift_after(&self, since: Instant, bound: Duration) -> Option<u64> {
        (0..600).find(|second| {
            let from = since + Duration::from_secs(*second);
            let ways = self.ways(from, from + Duration::from_secs(1));
            ways.len() >= 5 && ways.last().is_some_and(|way| *way <= bound)
        })
    }

    /// When the rest of the fleet was less than `bound` on its way again, for good.
    pub fn drained_after(&self, since: Instant, bound: Duration) -> Option<Duration> {
        let loud: Vec<&Sight> = self.0.iter().filter(|sight| !sight.is_quiet && sight.at >= since).collect();
        let slow = loud.iter().rposition(|sight| sight.way >= bound);
        let first = loud.get(slow.map_or(0, |index| index + 1))?;
        Some(first.at - since)
    }

    /// For a look: the longest way in each second after `since`, of the fleet and of its quiet devices.
    pub fn tell(&self, since: Instant) {
        let mut seconds: BTreeMap<u64, [Duration; 2]> = BTreeMap::new();
        for sight in self.0.iter().filter(|sight| sight.at >= since) {
            let longest =
                &mut seconds.entry((sight.at - since).as_secs()).or_default()[usize::from(sight.is_quiet)];
            *longest = sight.way.max(*longest);
        }
        let tell = |(second, [loud, quiet]): (&u64, &[Duration; 2])| {
            format!("{second}: {:.1}/{:.1}", loud.as_secs_f64(), quiet.as_secs_f64())
        };
        let told: Vec<String> = seconds.iter().map(tell).collect();
        println!("seconds after: longest way of the fleet/of quiet devices: {}", told.join(", "));
    }
}

/// The value below which so many hundredths are.
pub fn percentile(sorted: &[Duration], hundredths: usize) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted.get((sorted.len() * hundredths / 100).min(last)).copied().unwrap_or_default()
}

/// A reader that has met an error is of no more use; another reads on behind what was seen.
async fn watch(site: &Site, sights: &Mutex<Vec<Sight>>, stop: &AtomicBool) {
    let log = site.log("watcher").await;
    let mut consumer = log.consumer("watcher", &[Topic::Observations]);
    let mut next: BTreeMap<u32, Offset> = BTreeMap::new();
    while !stop.load(Ordering::Relaxed) {
        let Ok(fetched) = tokio::time::timeout(Duration::from_millis(200), consumer.poll()).await else {
            continue;
        };
        let Ok(Some(fetched)) = fetched else {
            consumer = log.consumer("watcher", &[Topic::Observations]);
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        };
        let partition = fetched.partition.partition;
        let next = next.entry(partition).or_default();
        let (mut loud, mut seen, begin) = (None, Vec::new(), *next);
        for (offset, key, value) in fetched.records().filter(|(offset, ..)| *offset >= begin) {
            if key.starts_with(QUIET_PREFIX.as_bytes()) {
                seen.extend(sight(partition, value, true));
            } else {
                loud = Some(value);
            }
            *next = offset + 1;
        }
        seen.extend(loud.and_then(|value| sight(partition, value, false)));
        sights.lock().expect("no panic while it is held").extend(seen);
    }
    log.close().await;
}

fn sight(partition: u32, value: &[u8], is_quiet: bool) -> Option<Sight> {
    let Ok(Record::Observation(observation)) = Record::decode(value) else { return None };
    let way = deploy::clock::now().since(observation.ingest_time);
    Some(Sight { partition, at: Instant::now(), way, is_quiet })
}
