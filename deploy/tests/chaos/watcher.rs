//! Watches `observations` while faults happen, as another service would: read_committed, in a group of its own.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use records::{Consumer, Record, Topic};

use super::support::site::Site;

/// Where and when something came, and how long the newest of it had been on its way.
type Sight = (u32, Instant, Duration);

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

    /// Ends, and tells the longest time without anything new in a partition after `since`.
    pub fn longest_gap(self, since: Instant) -> Duration {
        let sights = self.end();
        let spoken: BTreeSet<u32> = sights.iter().map(|(partition, ..)| *partition).collect();
        let after: Vec<Sight> = sights.into_iter().filter(|(_, at, _)| *at >= since).collect();
        let gap = spoken.into_iter().map(|partition| longest_gap(&after, partition, since)).max();
        gap.expect("something was seen")
    }

    /// Ends, and tells how long after `since` everything new was less than `bound` on its way from then on.
    pub fn swift_after(self, since: Instant, bound: Duration) -> Option<Duration> {
        let sights = self.end();
        let slow = sights.iter().rposition(|(_, _, way)| *way >= bound);
        let first = sights.get(slow.map_or(0, |index| index + 1))?;
        Some(first.1 - since)
    }

    fn end(self) -> Vec<Sight> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("watching does not fail");
        std::mem::take(&mut *self.sights.lock().expect("no panic while it is held"))
    }
}

/// From `since` to the end of watching.
fn longest_gap(sights: &[Sight], partition: u32, since: Instant) -> Duration {
    let ours = sights.iter().filter(|(number, ..)| *number == partition).map(|(_, at, _)| *at);
    let times: Vec<Instant> = [since].into_iter().chain(ours).chain([Instant::now()]).collect();
    times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}

async fn watch(site: &Site, sights: &Mutex<Vec<Sight>>, stop: &AtomicBool) {
    let log = site.log("watcher").await;
    let mut consumer = log.consumer("watcher", &[Topic::Observations]);
    while !stop.load(Ordering::Relaxed) {
        let Ok(fetched) = tokio::time::timeout(Duration::from_millis(200), consumer.poll()).await else {
            continue;
        };
        let Ok(Some(fetched)) = fetched else { continue };
        let last = fetched.records().last().and_then(|(_, _, value)| Record::decode(value).ok());
        let Some(Record::Observation(observation)) = last else { continue };
        let way = deploy::clock::now().since(observation.ingest_time);
        sights.lock().expect("no panic while it is held").push((
            fetched.partition.partition,
            Instant::now(),
            way,
        ));
    }
    log.close().await;
}
