//! Runs a city against a broker: first what its devices gathered while nobody listened, then live.

mod device;

mod pace;

use crate::city::City;
use device::Device;
use pace::Pace;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A clock: milliseconds since 1970, UTC. Whoever starts a run brings one; a library reads none.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// How to run a city.
#[derive(Clone, Debug)]
pub struct RunConfig {
    /// Host of the broker.
    pub host: String,
    /// Its MQTT port.
    pub port: u16,
    /// Password of each device by id; a device's user is its id. A device without one connects without both.
    pub passwords: HashMap<String, String>,
    /// How much of the time before the city's `now` the devices deliver first.
    pub backlog: Duration,
    /// Device time at which all fall silent; `None` for never.
    pub until: Option<i64>,
    /// Seconds of device time in a second, once live.
    pub speed: f64,
    /// Most messages of a device that wait for an acknowledgement.
    pub in_flight: u16,
}

impl Default for RunConfig {
    fn default() -> RunConfig {
        RunConfig {
            host: "127.0.0.1".to_string(),
            port: 1883,
            passwords: HashMap::new(),
            backlog: Duration::ZERO,
            until: None,
            speed: 1.0,
            in_flight: 50,
        }
    }
}

/// How far a run is; may be read at any time.
#[derive(Debug, Default)]
pub struct Progress {
    is_counted: AtomicBool,
    total: AtomicU64,
    delivered: AtomicU64,
    live: AtomicU64,
    connected: AtomicU64,
    refused: AtomicU64,
}

/// [`Progress`] at an instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgressReport {
    /// Whether the run has begun: `total` is known.
    pub is_counted: bool,
    /// Messages in the backlog.
    pub total: u64,
    /// Those of them that were acknowledged.
    pub delivered: u64,
    /// Live messages that were acknowledged.
    pub live: u64,
    /// Devices that are connected.
    pub connected: u64,
    /// Times that the broker refused a device.
    pub refused: u64,
}

impl ProgressReport {
    /// Whether the backlog is delivered (at once when there is none).
    pub fn is_live(&self) -> bool {
        self.is_counted && self.delivered == self.total
    }
}

impl Progress {
    /// How far it is now.
    pub fn report(&self) -> ProgressReport {
        ProgressReport {
            is_counted: self.is_counted.load(Ordering::Relaxed),
            total: self.total.load(Ordering::Relaxed),
            delivered: self.delivered.load(Ordering::Relaxed),
            live: self.live.load(Ordering::Relaxed),
            connected: self.connected.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }
}

/// Runs until every device has said everything up to `config.until`, or until `stop`.
///
/// A message counts as delivered at its PUBACK. A device that loses its connection comes back, waiting longer
/// each time up to half a minute, and sends again what was not acknowledged, under the same sequence. A device
/// that the broker refuses keeps trying: it may be registered later.
pub async fn run(
    city: Arc<City>,
    config: RunConfig,
    clock: Clock,
    progress: Arc<Progress>,
    stop: CancellationToken,
) -> ProgressReport {
    let backlog = i64::try_from(config.backlog.as_millis()).unwrap_or(i64::MAX);
    let from = city.now().saturating_sub(backlog).max(city.origin);
    let devices = 0..city.devices().len();
    let total = devices.clone().map(|device| city.schedule(device, from, city.now()).remaining()).sum();
    progress.total.store(total, Ordering::Relaxed);
    progress.is_counted.store(true, Ordering::Relaxed);
    let pace = Arc::new(Pace::new(from));
    let shared = Arc::new(Shared { city, config, clock, progress, stop, pace, doors: Semaphore::new(32) });
    let mut tasks = JoinSet::new();
    for device in devices {
        tasks.spawn(Device::new(shared.clone(), device, from).run());
    }
    let pacing = pace::lead(&shared.pace, shared.city.now(), shared.city.devices().len());
    tokio::select! {
        () = async { tokio::join!(pacing, finish(&mut tasks)); } => {}
        () = shared.stop.cancelled() => finish(&mut tasks).await,
    }
    shared.progress.report()
}

/// What the devices of a run share.
struct Shared {
    city: Arc<City>,
    config: RunConfig,
    clock: Clock,
    progress: Arc<Progress>,
    stop: CancellationToken,
    pace: Arc<Pace>,
    /// Connections being opened at a time: a broker checks passwords slowly on purpose.
    doors: Semaphore,
}

async fn finish(tasks: &mut JoinSet<()>) {
    while let Some(done) = tasks.join_next().await {
        if let Err(panic) = done {
            tracing::error!("a simulated device failed: {panic}");
        }
    }
}
