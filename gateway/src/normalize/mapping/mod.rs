//! JSON of any shape, by a mapping that an operator writes: which topic names, whose device, which members are what.

mod filter;
mod pointer;
mod template;
mod time;

pub use filter::Filter;
pub use pointer::Pointer;
pub use template::Template;
pub use time::TimeFormat;

use super::{Arrival, Normalized, Observations, Rejection, unit};
use records::{Body, Crs, Family, Name, Observation, Quality, Quantity, Reading, Reason, Timestamp};
use serde_json::Value;

/// What the JSON on some topic names means.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    /// The topic names.
    pub filter: Filter,
    /// The device, from wildcards and members.
    pub device: Template,
    /// What kind of device each of them is.
    pub family: Family,
    /// What it rolls up into; an empty template where nothing is said.
    pub area: Template,
    /// When; the time of arrival counts where there is none.
    pub time: Option<(Pointer, TimeFormat)>,
    /// Number of the message, by which what comes twice is recognised.
    pub sequence: Option<Pointer>,
    /// Longitude and latitude, degrees.
    pub position: Option<(Pointer, Pointer)>,
    /// The system of `position`.
    pub crs: Crs,
    /// The values.
    pub readings: Vec<MappedReading>,
}

/// One value of a payload.
#[derive(Clone, Debug, PartialEq)]
pub struct MappedReading {
    /// What it is.
    pub quantity: Quantity,
    /// Where it stands.
    pub pointer: Pointer,
    /// Its unit in the payload; the registry's when absent.
    pub unit: Option<String>,
}

impl MappedReading {
    /// Checks that the unit can be turned into the quantity's.
    ///
    /// # Errors
    /// It can't, in words.
    pub fn new(quantity: Quantity, pointer: Pointer, unit: Option<String>) -> Result<MappedReading, String> {
        unit::convert(&quantity, unit.as_deref(), 0.0)?;
        Ok(MappedReading { quantity, pointer, unit })
    }
}

/// What a mapping makes of a message.
#[derive(Debug, PartialEq)]
pub struct Mapped {
    /// Who; `None` when not even that could be read.
    pub device: Option<MappedDevice>,
    /// What it says.
    pub normalized: Normalized,
}

/// A device that a mapping has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappedDevice {
    /// Its id.
    pub id: Name,
    /// What kind of device.
    pub family: Family,
    /// What it rolls up into; may be empty.
    pub area: Name,
}

impl Mapping {
    /// What a message on `topic_name` says; `None` when the filter doesn't match.
    pub fn apply(&self, topic_name: &str, payload: &[u8], ingest_time: Timestamp) -> Option<Mapped> {
        let levels = self.filter.wildcards(topic_name)?;
        Some(match self.find(&levels, payload) {
            Ok((device, json)) => {
                let arrival = Arrival { device: &device.id, crs: self.crs, ingest_time };
                let normalized = self.observation(arrival, &json).map(Observations::One);
                Mapped { device: Some(device), normalized }
            }
            Err(rejection) => Mapped { device: None, normalized: Err(rejection) },
        })
    }

    /// A topic name that the filter matches, for trying.
    pub fn example(&self) -> String {
        self.filter.example()
    }

    fn find(&self, levels: &[&str], payload: &[u8]) -> Result<(MappedDevice, Value), Rejection> {
        if payload.trim_ascii().is_empty() {
            return Err(Rejection::new(Reason::Empty, "the payload is empty"));
        }
        let json: Value = serde_json::from_slice(payload)
            .map_err(|error| Rejection::new(Reason::Malformed, error.to_string()))?;
        let id = self.device.fill(levels, &json).map_err(invalid)?;
        if !firmware_protocol::is_device_id(&id) {
            return Err(invalid(format!("{id:?} can't be a device id")));
        }
        let area = self.area.fill(levels, &json).map_err(invalid)?;
        Ok((MappedDevice { id: id.into(), family: self.family, area: area.into() }, json))
    }

    fn observation(&self, arrival: Arrival<'_>, json: &Value) -> Result<Observation, Rejection> {
        let time = self.time.as_ref().map(|(pointer, format)| {
            let found = pointer.find(json).ok_or_else(|| format!("there is no time at {pointer}"))?;
            format.read(found).map_err(|wrong| format!("{pointer}: {wrong}"))
        });
        let sequence = self.sequence.as_ref().map(|pointer| {
            let found = pointer.find(json).and_then(Value::as_u64);
            found.ok_or_else(|| format!("there is no sequence number at {pointer}"))
        });
        let readings = self.readings.iter().filter_map(|reading| reading.read(json).transpose());
        let readings = readings.collect::<Result<Vec<_>, _>>().map_err(invalid)?;
        if readings.is_empty() && !self.readings.is_empty() {
            return Err(invalid("none of the mapping's readings is there"));
        }
        let place = self.place(json).map_err(invalid)?;
        let time = time.transpose().map_err(invalid)?;
        let observation = arrival.observation(time, place, Body::Readings(readings));
        Ok(Observation { sequence: sequence.transpose().map_err(invalid)?, ..observation })
    }

    /// Nowhere, when both coordinates are missing: a receiver without a fix.
    fn place(&self, json: &Value) -> Result<Option<(f64, f64)>, String> {
        let Some((lon, lat)) = &self.position else { return Ok(None) };
        match (lon.number(json)?, lat.number(json)?) {
            (None, None) => Ok(None),
            (Some(x), Some(y)) if x.abs() <= 180.0 && y.abs() <= 90.0 => Ok(Some((x, y))),
            (Some(x), Some(y)) => Err(format!("{x}, {y} is not on Earth")),
            _ => Err(format!("{lon} and {lat} go together")),
        }
    }
}

impl MappedReading {
    /// `None` when it is missing, or null.
    fn read(&self, json: &Value) -> Result<Option<Reading>, String> {
        let Some(number) = self.pointer.number(json)? else { return Ok(None) };
        let value = unit::convert(&self.quantity, self.unit.as_deref(), number)?;
        Ok(Some(Reading { quantity: self.quantity.clone(), value, quality: Quality::default() }))
    }
}

fn invalid(detail: impl Into<String>) -> Rejection {
    Rejection::new(Reason::Invalid, detail)
}

#[cfg(test)]
mod tests;
