//! The device book: registry entries and last words, in memory for readers and in SQLite for the next start.

use super::live::Live;
use super::quarantine::{self, QuarantineView, Refused};
use super::view::DeviceView;
use crate::alerts::BookError;
use records::{Aggregate, Device, Name, Observation, Severity, Subject, Timestamp};
use rusqlite::{Connection, params};
use rustc_hash::FxHashMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS device (
    id TEXT PRIMARY KEY,
    entry TEXT,
    live TEXT NOT NULL
) WITHOUT ROWID;
";

/// All devices. What was taken in is visible at once; [`DeviceBook::save`] makes it durable.
pub struct DeviceBook {
    devices: RwLock<Devices>,
    database: Mutex<Connection>,
}

#[derive(Default)]
struct Devices {
    by_id: FxHashMap<Name, Entry>,
    /// Goes up with every change of any device.
    version: u64,
    /// Goes up with every registry entry.
    edition: u64,
    /// Each once: [`Entry::is_unsaved`] says who is in here.
    unsaved: Vec<Name>,
}

#[derive(Clone, Default)]
struct Entry {
    device: Option<Device>,
    live: Live,
    version: u64,
    /// That of its registry entry.
    edition: u64,
    is_unsaved: bool,
}

/// Looks at a device, given its worst alert, as it is at an instant.
pub(crate) type View<'a> = &'a dyn Fn(Option<(Severity, u32)>, Timestamp) -> DeviceView;

/// What changed in a batch of records, to be taken in at once.
#[derive(Default)]
pub(super) struct Changes {
    pub devices: Vec<Device>,
    pub observations: Vec<Observation>,
    pub aggregates: Vec<Aggregate>,
    pub refused: Vec<Refused>,
}

impl DeviceBook {
    /// Opens the book at `path`, or starts one.
    ///
    /// # Errors
    /// When the file can't be opened or holds something else.
    pub fn open(path: &Path) -> Result<DeviceBook, BookError> {
        let database = Connection::open(path)?;
        database.busy_timeout(Duration::from_secs(5))?;
        database.pragma_update(None, "journal_mode", "WAL")?;
        database.pragma_update(None, "synchronous", "FULL")?;
        database.execute_batch(TABLES)?;
        database.execute_batch(quarantine::TABLE)?;
        quarantine::add_origin(&database)?;
        let devices = RwLock::new(read_all(&database)?);
        Ok(DeviceBook { devices, database: Mutex::new(database) })
    }

    /// How many devices there are.
    pub fn len(&self) -> usize {
        self.read(|devices| devices.by_id.len())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One device as it is at `now`.
    pub fn view(&self, id: &str, worst: Option<(Severity, u32)>, now: Timestamp) -> Option<DeviceView> {
        self.read(|devices| {
            let (id, entry) = devices.by_id.get_key_value(id)?;
            Some(entry.view(id, worst, now))
        })
    }

    /// All devices as they are at `now`, by area, rank and id. `worst` tells of active alerts.
    pub fn views(&self, worst: &FxHashMap<Name, (Severity, u32)>, now: Timestamp) -> Vec<DeviceView> {
        let mut views: Vec<DeviceView> = self.read(|devices| {
            devices.by_id.iter().map(|(id, entry)| entry.view(id, worst.get(id).copied(), now)).collect()
        });
        views.sort_unstable_by(|a, b| (&a.area, a.rank, &a.id).cmp(&(&b.area, b.rank, &b.id)));
        views
    }

    /// The registered devices of an area, by rank.
    pub fn in_area(&self, area: &str) -> Vec<Name> {
        let mut members: Vec<(u32, Name)> = self.read(|devices| {
            let entries = devices.by_id.values().filter_map(|entry| entry.device.as_ref());
            let members = entries.filter(|device| device.area == area);
            members.map(|device| (device.rank, device.id.clone())).collect()
        });
        members.sort_unstable();
        members.into_iter().map(|(_, id)| id).collect()
    }

    /// The registry entries that came after `edition`, from 0, which moves on.
    pub fn entries_since(&self, edition: &mut u64) -> Vec<Device> {
        self.read(|devices| {
            let since = std::mem::replace(edition, devices.edition);
            if since == devices.edition {
                return Vec::new();
            }
            let entries = devices.by_id.values().filter(|entry| entry.edition > since);
            entries.filter_map(|entry| entry.device.clone()).collect()
        })
    }

    /// Shows `see` every device: its id, a version that differs after every change, its last words, and a way to
    /// look at all of it.
    pub(crate) fn scan(&self, mut see: impl FnMut(&Name, u64, &Live, View<'_>)) {
        self.read(|devices| {
            for (id, entry) in &devices.by_id {
                see(id, entry.version, &entry.live, &|worst, now| entry.view(id, worst, now));
            }
        });
    }

    /// Refused payloads, the newest first; of one device or of all. Blocks.
    ///
    /// # Errors
    /// When the book can't be read.
    pub fn quarantined(&self, device: Option<&str>, limit: u32) -> Result<Vec<QuarantineView>, BookError> {
        Ok(quarantine::find(&self.database(), device, limit)?)
    }

    /// Makes durable what was taken in. Blocks.
    ///
    /// # Errors
    /// Nothing was saved; a later call tries again.
    pub fn save(&self) -> Result<(), BookError> {
        let unsaved = self.take_unsaved();
        let result = self.write_rows(&unsaved);
        if result.is_err() {
            self.write(|devices| unsaved.iter().for_each(|(id, _)| devices.mark_unsaved(id)));
        }
        result
    }

    pub(super) fn take_in(&self, changes: &Changes) {
        self.write(|devices| {
            for device in &changes.devices {
                devices.register(device);
            }
            for observation in &changes.observations {
                devices.touch(&observation.device).live.observe(observation);
            }
            for aggregate in &changes.aggregates {
                devices.derive(aggregate);
            }
        });
    }

    pub(super) fn refuse(&self, refused: &[Refused]) -> Result<(), BookError> {
        let mut database = self.database();
        let transaction = database.transaction()?;
        quarantine::enter(&transaction, refused)?;
        Ok(transaction.commit()?)
    }

    fn take_unsaved(&self) -> Vec<(Name, Entry)> {
        self.write(|devices| {
            let Devices { by_id, unsaved, .. } = devices;
            let take = |id: Name| {
                let entry = by_id.get_mut(&id)?;
                entry.is_unsaved = false;
                Some((id, entry.clone()))
            };
            std::mem::take(unsaved).into_iter().filter_map(take).collect()
        })
    }

    fn write_rows(&self, rows: &[(Name, Entry)]) -> Result<(), BookError> {
        let mut database = self.database();
        let transaction = database.transaction()?;
        let mut insert =
            transaction.prepare("INSERT OR REPLACE INTO device (id, entry, live) VALUES (?1, ?2, ?3)")?;
        for (id, Entry { device, live, .. }) in rows {
            let entry = device.as_ref().map(serde_json::to_string).transpose()?;
            insert.execute(params![id.as_str(), entry, serde_json::to_string(live)?])?;
        }
        drop(insert);
        Ok(transaction.commit()?)
    }

    fn read<T>(&self, ask: impl FnOnce(&Devices) -> T) -> T {
        ask(&self.devices.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Devices) -> T) -> T {
        change(&mut self.devices.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn database(&self) -> MutexGuard<'_, Connection> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Devices {
    /// The entry of `id`, about to change.
    fn touch(&mut self, id: &Name) -> &mut Entry {
        self.version += 1;
        if !self.by_id.contains_key(id) {
            self.by_id.insert(id.clone(), Entry::default());
        }
        let entry = self.by_id.get_mut(id).expect("it was put there when it was missing");
        entry.version = self.version;
        if !std::mem::replace(&mut entry.is_unsaved, true) {
            self.unsaved.push(id.clone());
        }
        entry
    }

    fn mark_unsaved(&mut self, id: &Name) {
        if let Some(entry) = self.by_id.get_mut(id)
            && !std::mem::replace(&mut entry.is_unsaved, true)
        {
            self.unsaved.push(id.clone());
        }
    }

    fn register(&mut self, device: &Device) {
        let known = self.by_id.get(&device.id).and_then(|entry| entry.device.as_ref());
        if known.is_none_or(|known| known.updated_at < device.updated_at) {
            self.edition += 1;
            let edition = self.edition;
            let entry = self.touch(&device.id);
            (entry.device, entry.edition) = (Some(device.clone()), edition);
        }
    }

    fn derive(&mut self, aggregate: &Aggregate) {
        if let Subject::Device(id) = &aggregate.subject
            && self.by_id.contains_key(id)
            && Live::is_derived(aggregate)
        {
            self.touch(id).live.derive(aggregate);
        }
    }
}

impl Entry {
    fn view(&self, id: &Name, worst: Option<(Severity, u32)>, now: Timestamp) -> DeviceView {
        DeviceView::of(id, self.device.as_ref(), &self.live, worst, now)
    }
}

fn read_all(database: &Connection) -> Result<Devices, BookError> {
    let mut devices = Devices { edition: 1, ..Devices::default() };
    let mut select = database.prepare("SELECT id, entry, live FROM device")?;
    let rows = select.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?, row.get::<_, String>(2)?))
    })?;
    for row in rows {
        let (id, entry, live) = row?;
        let device = entry.as_deref().map(serde_json::from_str).transpose()?;
        let entry = Entry { device, live: serde_json::from_str(&live)?, edition: 1, ..Entry::default() };
        devices.by_id.insert(id.into(), entry);
    }
    Ok(devices)
}
