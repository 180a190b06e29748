//! A row of the registry.

use crate::normalize::locate;
use crate::{Credential, RegistryError, Role};
use records::{Crs, Device, Family, Name, Position, Timestamp};
use rusqlite::types::Type;
use rusqlite::{Row, Transaction, params};

/// A device with what it proves itself by.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What everybody may know.
    pub device: Device,
    /// What it may do.
    pub role: Role,
    /// The system of the positions that it states.
    pub crs: Crs,
    /// What the gateway alone knows.
    pub credential: Credential,
    /// The change that made the entry what it is; see [`crate::Directory::changed_since`].
    pub revision: u64,
}

/// What somebody who adds a device says of it.
#[derive(Clone, Debug)]
pub struct NewDevice {
    /// Its user name on MQTT and a level of its topic names.
    pub id: Name,
    /// What kind of device it is.
    pub family: Family,
    /// What a person calls it; may be empty.
    pub label: Name,
    /// What it rolls up into; may be empty.
    pub area: Name,
    /// Its place in the order of its area.
    pub rank: u32,
    /// Where it stands, in the system `crs`; the registry keeps it so, and tells it in WGS-84.
    pub position: Option<Position>,
    /// The system of `position`, and of the positions that the device states itself.
    pub crs: Crs,
}

const MAX_TEXT_BYTES: usize = 128;

impl NewDevice {
    /// Checks what no later stage could put right.
    pub fn validate(&self) -> Result<(), RegistryError> {
        if !firmware_protocol::is_device_id(&self.id) {
            return Err(RegistryError::InvalidId(self.id.clone()));
        }
        check_text("label", &self.label)?;
        check_text("area", &self.area)?;
        match self.position {
            Some(Position { lon, lat })
                if !((-180.0..=180.0).contains(&lon) && (-90.0..=90.0).contains(&lat)) =>
            {
                Err(RegistryError::InvalidField {
                    field: "position",
                    detail: format!("{lon}, {lat} is not on Earth"),
                })
            }
            _ => Ok(()),
        }
    }
}

fn check_text(field: &'static str, text: &str) -> Result<(), RegistryError> {
    let invalid = |detail: &str| Err(RegistryError::InvalidField { field, detail: detail.into() });
    if text.len() > MAX_TEXT_BYTES {
        return invalid("longer than 128 bytes");
    }
    if text.chars().any(char::is_control) {
        return invalid("has a control character");
    }
    Ok(())
}

macro_rules! select {
    ($behind:literal) => {
        concat!(
            "SELECT id, family, label, area, rank, lon, lat, is_enabled, updated_at, credential, revision, crs, filters ",
            "FROM device ",
            $behind
        )
    };
}

pub(super) const SELECT_ONE: &str = select!("WHERE id = ?1");
pub(super) const SELECT_DEVICES: &str = select!("WHERE filters IS NULL ORDER BY id");
pub(super) const SELECT_SUBSCRIBERS: &str = select!("WHERE filters IS NOT NULL ORDER BY id");
pub(super) const SELECT_CHANGED: &str = select!("WHERE revision > ?1 ORDER BY revision");

pub(super) fn read(row: &Row<'_>) -> Result<Entry, rusqlite::Error> {
    let lon: Option<f64> = row.get(5)?;
    let lat: Option<f64> = row.get(6)?;
    let crs = known(row, 11, "a coordinate system", Crs::from_name)?;
    let device = Device {
        id: text(row, 0)?,
        family: known(row, 1, "a family", Family::from_name)?,
        label: text(row, 2)?,
        area: text(row, 3)?,
        rank: row.get(4)?,
        position: lon.zip(lat).map(|(lon, lat)| locate(crs, lon, lat).0),
        is_enabled: row.get(7)?,
        updated_at: Timestamp(row.get(8)?),
        limits: Vec::new(),
    };
    let revision: i64 = row.get(10)?;
    let filters: Option<String> = row.get(12)?;
    let role = filters
        .map_or(Role::Device, |filters| Role::Subscriber(filters.lines().map(str::to_owned).collect()));
    Ok(Entry {
        device,
        role,
        crs,
        credential: Credential::stored(row.get(9)?),
        revision: revision.max(0).unsigned_abs(),
    })
}

/// How many rows were added: none when the id is taken.
pub(super) fn insert(
    transaction: &Transaction<'_>,
    device: &NewDevice,
    credential: &Credential,
    now: Timestamp,
    revision: i64,
) -> Result<usize, rusqlite::Error> {
    transaction.execute(
        "INSERT INTO device (id, family, label, area, rank, lon, lat, is_enabled, updated_at, credential, revision, crs)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1, ?8, ?9, ?10, ?11) ON CONFLICT (id) DO NOTHING",
        params![
            device.id.as_str(),
            device.family.name(),
            device.label.as_str(),
            device.area.as_str(),
            device.rank,
            device.position.map(|position| position.lon),
            device.position.map(|position| position.lat),
            now.millis(),
            credential.as_str(),
            revision,
            device.crs.name(),
        ],
    )
}

/// `updated_at` always grows, even when the clock was set back: the newest entry wins downstream.
pub(super) fn set_enabled(
    transaction: &Transaction<'_>,
    id: &str,
    is_enabled: bool,
    now: Timestamp,
    revision: i64,
) -> Result<usize, rusqlite::Error> {
    transaction.execute(
        "UPDATE device SET is_enabled = ?2, updated_at = MAX(?3, updated_at + 1), revision = ?4 WHERE id = ?1",
        params![id, is_enabled, now.millis(), revision],
    )
}

/// What is announced of the entry stays as it is, and so does `updated_at`.
pub(super) fn set_credential(
    transaction: &Transaction<'_>,
    id: &str,
    credential: &Credential,
    revision: i64,
) -> Result<usize, rusqlite::Error> {
    transaction.execute(
        "UPDATE device SET credential = ?2, revision = ?3 WHERE id = ?1",
        params![id, credential.as_str(), revision],
    )
}

fn text(row: &Row<'_>, column: usize) -> Result<Name, rusqlite::Error> {
    Ok(Name::new(row.get_ref(column)?.as_str()?))
}

/// A column that holds one of our own words.
fn known<T>(
    row: &Row<'_>,
    column: usize,
    what: &str,
    from_name: fn(&str) -> Option<T>,
) -> Result<T, rusqlite::Error> {
    let name = row.get_ref(column)?.as_str()?;
    from_name(name).ok_or_else(|| {
        let unknown = format!("{name:?} is not {what}");
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, unknown.into())
    })
}
