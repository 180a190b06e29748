//! The devices behind a broker: what the registry says of them, and which of them the log knows.

use super::Met;
use super::newcomers::{Admission, Newcomers};
use crate::{Directory, Entry, Registry, RegistryError};
use records::{Crs, Device, Name, Timestamp};
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;

/// The registry as of the last look, and who was met since the start.
pub(super) struct Devices {
    registry: Arc<Registry>,
    entries: FxHashMap<Name, Entry>,
    revision: u64,
    met: FxHashSet<Name>,
    newcomers: Newcomers,
}

/// Whether a device is heard.
pub(super) enum Standing {
    /// It is. At the first meeting, with what the log is to know of it.
    Welcome(Option<Device>),
    /// The registry has disabled it.
    Disabled,
    /// Nobody knows it, and the source has brought too many of these. `is_first`: of this minute.
    TooMany { is_first: bool },
}

impl Devices {
    /// Reads the whole registry. `new_per_minute`: most devices that nobody has registered.
    pub(super) async fn load(registry: Arc<Registry>, new_per_minute: u32) -> Result<Devices, RegistryError> {
        let mut devices = Devices {
            registry,
            entries: FxHashMap::default(),
            revision: 0,
            met: FxHashSet::default(),
            newcomers: Newcomers::new(new_per_minute),
        };
        devices.take_changes().await?;
        Ok(devices)
    }

    /// Takes over what has changed. A registry that can't be read is the gateway's to tell; what is known still holds.
    pub(super) async fn refresh(&mut self) {
        if let Err(error) = self.take_changes().await {
            tracing::debug!(%error, "the registry can't be read");
        }
    }

    async fn take_changes(&mut self) -> Result<(), RegistryError> {
        let (registry, since) = (self.registry.clone(), self.revision);
        let changed = tokio::task::spawn_blocking(move || registry.changed_since(since)).await;
        for entry in changed.unwrap_or_else(|_| Ok(Vec::new()))? {
            self.revision = self.revision.max(entry.revision);
            self.entries.insert(entry.device.id.clone(), entry);
        }
        Ok(())
    }

    /// The system in which a device states positions.
    pub(super) fn crs_of(&self, id: &str) -> Crs {
        self.entries.get(id).map_or(Crs::Wgs84, |entry| entry.crs)
    }

    /// A message of this device has come. The registry's word goes before a mapping's.
    pub(super) async fn meet(&mut self, device: &Met, now: Timestamp) -> Standing {
        let is_new = !self.met.contains(&device.id);
        if is_new && !self.entries.contains_key(&device.id) {
            self.refresh().await;
        }
        let entry = self.entries.get(&device.id).map(|entry| &entry.device);
        if entry.is_some_and(|entry| !entry.is_enabled) {
            return Standing::Disabled;
        }
        if !is_new {
            return Standing::Welcome(None);
        }
        if entry.is_none()
            && let Admission::Refused { is_first } = self.newcomers.admit(now)
        {
            return Standing::TooMany { is_first };
        }
        self.met.insert(device.id.clone());
        Standing::Welcome(entry.cloned().or_else(|| device.entry(now)))
    }
}
