//! Programs and people that subscribe, in the registry.

use super::{Registry, entry, next_revision};
use crate::fanout::check_filter;
use crate::{Credential, Entry, NewDevice, Password, RegistryError};
use records::{Crs, Family, Name, Timestamp};
use rusqlite::params;

/// What somebody who adds a subscriber says of it.
#[derive(Clone, Debug)]
pub struct NewSubscriber {
    /// Its user name on MQTT, as a device's id is.
    pub id: Name,
    /// What a person calls it; may be empty.
    pub label: Name,
    /// What it may subscribe to: whatever one of these covers. `{area}` stands for each of its areas.
    pub filters: Vec<String>,
    /// The areas that it is concerned with.
    pub areas: Vec<String>,
}

impl NewSubscriber {
    /// Its filters with its areas in them.
    fn granted(&self) -> Result<Vec<String>, RegistryError> {
        let invalid = |detail: String| RegistryError::InvalidField { field: "filter", detail };
        let mut granted = Vec::new();
        for filter in &self.filters {
            if !filter.contains("{area}") {
                granted.push(filter.clone());
            } else if self.areas.is_empty() {
                return Err(invalid(format!("{filter:?} needs an area")));
            }
            let areas = self.areas.iter().filter(|_| filter.contains("{area}"));
            granted.extend(areas.map(|area| filter.replace("{area}", area)));
        }
        if granted.is_empty() {
            return Err(invalid("a subscriber needs at least one".to_owned()));
        }
        let unsound =
            granted.iter().find(|filter| check_filter(filter).is_none() || filter.contains(char::is_control));
        match unsound {
            Some(filter) => Err(invalid(format!("{filter:?} is not a topic filter"))),
            None => Ok(granted),
        }
    }
}

impl Registry {
    /// Adds a subscriber with a random password, which is told this once and kept only as a hash.
    pub fn add_subscriber(&self, new: &NewSubscriber, now: Timestamp) -> Result<Password, RegistryError> {
        let password = Password::random()?;
        self.insert_subscriber(new, &Credential::of_random(&password)?, now)?;
        Ok(password)
    }

    /// Adds a subscriber with a password that somebody chose.
    pub fn add_subscriber_with_password(
        &self,
        new: &NewSubscriber,
        password: &str,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        self.insert_subscriber(new, &Credential::of_chosen(password)?, now)
    }

    /// Every subscriber, by id.
    pub fn list_subscribers(&self) -> Result<Vec<Entry>, RegistryError> {
        let connection = self.lock();
        let mut select = connection.prepare(entry::SELECT_SUBSCRIBERS)?;
        Ok(select.query_map([], entry::read)?.collect::<Result<_, _>>()?)
    }

    fn insert_subscriber(
        &self,
        new: &NewSubscriber,
        credential: &Credential,
        now: Timestamp,
    ) -> Result<(), RegistryError> {
        let granted = new.granted()?.join("\n");
        let identity = NewDevice {
            id: new.id.clone(),
            family: Family::Other,
            label: new.label.clone(),
            area: Name::default(),
            rank: 0,
            position: None,
            crs: Crs::Wgs84,
        };
        identity.validate()?;
        self.write(|transaction| {
            let revision = next_revision(transaction)?;
            if entry::insert(transaction, &identity, credential, now, revision)? == 0 {
                return Err(RegistryError::Duplicate(identity.id.clone()));
            }
            let update = "UPDATE device SET filters = ?2 WHERE id = ?1";
            transaction.execute(update, params![identity.id.as_str(), granted])?;
            Ok(())
        })
    }
}
