//! The devices that may connect: a SQLite file that a running gateway and a command line share.

mod directory;
mod entry;
mod password;
mod schema;
mod subscriber;
mod subscriptions;
mod token;

pub use directory::Directory;
pub use entry::{Entry, NewDevice};
pub use password::{Credential, Password};
pub use subscriber::NewSubscriber;
pub(crate) use token::{Bearer, check as check_token};

use crate::{RegistryError, Role};
use records::{Device, Timestamp};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The registry file. Every call blocks for as long as SQLite takes: from async code use the blocking pool.
///
/// Several processes may have the file open; each sees the others' changes with its next call.
/// There is no way to remove an entry: what a device once said stays in the log and the series, and refers to it.
/// A device that is gone is disabled.
#[derive(Debug)]
pub struct Registry {
    connection: Mutex<Connection>,
}

impl Registry {
    /// Opens the file, and creates it when there is none.
    pub fn open(path: &Path) -> Result<Registry, RegistryError> {
        let connection = schema::open(path)?;
        Ok(Registry { connection: Mutex::new(connection) })
    }

    /// Adds an enabled device with a random password, which is told this once and kept only as a hash.
    pub fn add(&self, device: NewDevice, now: Timestamp) -> Result<Password, RegistryError> {
        let password = Password::random()?;
        self.insert(device, Credential::of_random(&password)?, now)?;
        Ok(password)
    }

    /// Adds an enabled device with a password that somebody chose: at least [`Password::MIN_CHOSEN`] characters.
    pub fn add_with_password(
        &self,
        device: NewDevice,
        password: &str,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        self.insert(device, Credential::of_chosen(password)?, now)
    }

    /// Adds these devices, all or none, for the price of one transaction; one that is registered already keeps its
    /// entry and gets a new password. The passwords stand in the order of the devices.
    pub fn provision(&self, devices: &[NewDevice], now: Timestamp) -> Result<Vec<Password>, RegistryError> {
        let (passwords, credentials) = passwords_for(devices)?;
        self.write(|transaction| {
            for (device, credential) in devices.iter().zip(&credentials) {
                let revision = next_revision(transaction)?;
                if entry::insert(transaction, device, credential, now, revision)? == 0 {
                    entry::set_credential(transaction, &device.id, credential, revision)?;
                }
            }
            Ok(())
        })?;
        Ok(passwords)
    }

    /// Every device, by id.
    pub fn list(&self) -> Result<Vec<Device>, RegistryError> {
        let connection = self.lock();
        let mut select = connection.prepare(entry::SELECT_DEVICES)?;
        let devices = select.query_map([], |row| entry::read(row).map(|entry| entry.device))?;
        Ok(devices.collect::<Result<_, _>>()?)
    }

    /// One device.
    pub fn get(&self, id: &str) -> Result<Device, RegistryError> {
        let entry = self.look_up(id)?.filter(|entry| entry.role == Role::Device);
        entry.map(|entry| entry.device).ok_or_else(|| RegistryError::Unknown(id.into()))
    }

    /// Lets a disabled device connect again.
    pub fn enable(&self, id: &str, now: Timestamp) -> Result<(), RegistryError> {
        self.set_enabled(id, true, now)
    }

    /// Forbids a device to connect. A running gateway cuts its sessions within two seconds.
    pub fn disable(&self, id: &str, now: Timestamp) -> Result<(), RegistryError> {
        self.set_enabled(id, false, now)
    }

    /// Gives a device a new random password. The old one is void, and its sessions are cut within two seconds.
    pub fn rotate(&self, id: &str) -> Result<Password, RegistryError> {
        let password = Password::random()?;
        let credential = Credential::of_random(&password)?;
        self.write(|transaction| {
            let revision = next_revision(transaction)?;
            let changed = entry::set_credential(transaction, id, &credential, revision)?;
            if changed == 0 { Err(RegistryError::Unknown(id.into())) } else { Ok(()) }
        })?;
        Ok(password)
    }

    /// Adds these devices, all or none, for the price of one transaction. The passwords stand in their order.
    pub fn add_all(&self, devices: &[NewDevice], now: Timestamp) -> Result<Vec<Password>, RegistryError> {
        let (passwords, credentials) = passwords_for(devices)?;
        self.write(|transaction| {
            for (device, credential) in devices.iter().zip(&credentials) {
                let revision = next_revision(transaction)?;
                if entry::insert(transaction, device, credential, now, revision)? == 0 {
                    return Err(RegistryError::Duplicate(device.id.clone()));
                }
            }
            Ok(())
        })?;
        Ok(passwords)
    }

    /// A bearer token, which the device may send in its password's place before `until`. A new password voids it.
    pub fn token(&self, id: &str, until: Timestamp) -> Result<String, RegistryError> {
        let entry = self.look_up(id)?.ok_or_else(|| RegistryError::Unknown(id.into()))?;
        Ok(token::issue(id, &entry.credential, until))
    }

    fn insert(&self, device: NewDevice, credential: Credential, now: Timestamp) -> Result<(), RegistryError> {
        device.validate()?;
        self.write(|transaction| {
            let revision = next_revision(transaction)?;
            match entry::insert(transaction, &device, &credential, now, revision)? {
                0 => Err(RegistryError::Duplicate(device.id)),
                _ => Ok(()),
            }
        })
    }

    fn set_enabled(&self, id: &str, is_enabled: bool, now: Timestamp) -> Result<(), RegistryError> {
        self.write(|transaction| {
            let was_enabled: Option<bool> = transaction
                .query_row("SELECT is_enabled FROM device WHERE id = ?1", [id], |row| row.get(0))
                .optional()?;
            match was_enabled {
                None => Err(RegistryError::Unknown(id.into())),
                Some(was_enabled) if was_enabled == is_enabled => Ok(()),
                Some(_) => {
                    let revision = next_revision(transaction)?;
                    entry::set_enabled(transaction, id, is_enabled, now, revision)?;
                    Ok(())
                }
            }
        })
    }

    fn write(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> Result<(), RegistryError>,
    ) -> Result<(), RegistryError> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        change(&transaction)?;
        Ok(transaction.commit()?)
    }

    /// A panic elsewhere can't leave SQLite's connection half changed: an open transaction was rolled back.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Directory for Registry {
    fn look_up(&self, id: &str) -> Result<Option<Entry>, RegistryError> {
        let connection = self.lock();
        let mut select = connection.prepare(entry::SELECT_ONE)?;
        Ok(select.query_row([id], entry::read).optional()?)
    }

    fn changed_since(&self, revision: u64) -> Result<Vec<Entry>, RegistryError> {
        let connection = self.lock();
        let mut select = connection.prepare(entry::SELECT_CHANGED)?;
        let revision = i64::try_from(revision).unwrap_or(i64::MAX);
        Ok(select.query_map([revision], entry::read)?.collect::<Result<_, _>>()?)
    }
}

/// A random password for each of these devices, which are checked first.
fn passwords_for(devices: &[NewDevice]) -> Result<(Vec<Password>, Vec<Credential>), RegistryError> {
    devices.iter().try_for_each(NewDevice::validate)?;
    let passwords: Vec<Password> = devices.iter().map(|_| Password::random()).collect::<Result<_, _>>()?;
    let credentials = passwords.iter().map(Credential::of_random).collect::<Result<_, _>>()?;
    Ok((passwords, credentials))
}

/// Revisions number the changes of the whole file, so that a reader who knows one finds what came after it.
fn next_revision(transaction: &Transaction<'_>) -> Result<i64, rusqlite::Error> {
    transaction.query_row("SELECT COALESCE(MAX(revision), 0) + 1 FROM device", [], |row| row.get(0))
}
