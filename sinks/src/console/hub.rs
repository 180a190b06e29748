//! What changed among the devices, worked out once for all who watch.

use super::ConsoleState;
use crate::devices::{DeviceState, DeviceView};
use crate::{AlertBook, Clock, DeviceBook};
use records::{Name, Severity};
use rustc_hash::FxHashMap;
use serde_json::json;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::time::{MissedTickBehavior, interval};

/// Changes are gathered for so long.
const COALESCE: Duration = Duration::from_millis(500);
/// How many gatherings a client may fall behind before it is sent away.
const BACKLOG: usize = 16;

/// One gathering of changed devices, as JSON.
pub type Gathered = Arc<str>;

/// Works while somebody watches.
pub struct Hub {
    watched: Arc<Watched>,
    sender: Channel,
}

struct Watched {
    alerts: Arc<AlertBook>,
    devices: Arc<DeviceBook>,
    clock: Clock,
}

/// What a client has seen of a device.
#[derive(PartialEq, Clone, Copy)]
struct Seen {
    version: u64,
    state: DeviceState,
    worst: Option<(Severity, u32)>,
}

impl Hub {
    pub fn new(console: &ConsoleState) -> Hub {
        let watched = Watched {
            alerts: Arc::clone(&console.alerts),
            devices: Arc::clone(&console.devices),
            clock: Arc::clone(&console.clock),
        };
        Hub { watched: Arc::new(watched), sender: Arc::default() }
    }

    /// Changes from now on. Who asks for all devices *behind* this call misses nothing.
    pub fn subscribe(&self) -> broadcast::Receiver<Gathered> {
        let mut sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = sender.as_ref() {
            return sender.subscribe();
        }
        let (fresh, receiver) = broadcast::channel(BACKLOG);
        *sender = Some(fresh);
        // What is seen now the client will ask for itself; later is too late for the first glance.
        let mut seen = FxHashMap::default();
        self.watched.changed(&mut seen);
        tokio::spawn(gather(Arc::clone(&self.watched), Arc::clone(&self.sender), seen));
        receiver
    }
}

type Channel = Arc<Mutex<Option<broadcast::Sender<Gathered>>>>;

async fn gather(watched: Arc<Watched>, sender: Channel, mut seen: FxHashMap<Name, Seen>) {
    let mut ticks = interval(COALESCE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let changed = watched.changed(&mut seen);
        let mut sender = sender.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(channel) = sender.as_ref().filter(|channel| channel.receiver_count() > 0) else {
            *sender = None;
            return;
        };
        if !changed.is_empty() {
            let now = (watched.clock)().millis();
            // A client that left between the count and now is no failure.
            let _ = channel.send(json!({ "now": now, "devices": changed }).to_string().into());
        }
    }
}

impl Watched {
    /// The devices that are not as they were seen last; notes that they are seen now.
    fn changed(&self, seen: &mut FxHashMap<Name, Seen>) -> Vec<DeviceView> {
        let now = (self.clock)();
        let worst = self.alerts.worst_by_device();
        let mut changed = Vec::new();
        self.devices.scan(|id, version, live, view| {
            let worst = worst.get(id).copied();
            let state = DeviceState::of(live, worst.map(|(severity, _)| severity), now);
            let current = Seen { version, state, worst };
            if seen.get(id) != Some(&current) {
                seen.insert(id.clone(), current);
                changed.push(view(worst, now));
            }
        });
        changed
    }
}
