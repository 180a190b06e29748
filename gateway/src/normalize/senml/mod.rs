//! SenML packs (RFC 8428) in JSON and CBOR: the standard payload that sensors of any maker can be told to send.
//!
//! A pack tells of as many instants as it likes, and becomes an observation for each of them.

mod pack;
mod record;
mod resolve;

#[cfg(test)]
mod tests;

use super::{Arrival, Normalized, Observations, Rejection, unit};
use pack::invalid;
use record::Value;
use records::{Body, Observation, Quality, Quantity, Reading, Timestamp};
use resolve::{FIRST_ABSOLUTE, Resolved, resolve};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

pub(in crate::normalize) use pack::is_pack;

/// Longest name of a quantity, in bytes; the same as in a frame.
const MAX_QUANTITY: usize = 64;

/// What a pack says.
pub(super) fn telemetry(arrival: Arrival<'_>, payload: &[u8]) -> Normalized {
    let resolved = resolve(pack::read(payload)?).map_err(invalid)?;
    let mut instants = BTreeMap::<Option<Timestamp>, Instant>::new();
    for record in &resolved {
        let at = device_time(record.time, arrival.ingest_time)?;
        instants.entry(at).or_default().take(record)?;
    }
    let observations = instants.into_iter().map(|(at, instant)| instant.observation(arrival, at));
    let mut observations = observations.collect::<Result<Vec<_>, _>>()?;
    observations.sort_by_key(|observation| observation.event_time);
    Ok(Observations::Several(observations))
}

/// `None` is now: the device has told no time.
fn device_time(seconds: f64, now: Timestamp) -> Result<Option<Timestamp>, Rejection> {
    let millis = (seconds * 1000.0).round();
    if millis == 0.0 {
        return Ok(None);
    }
    let base = if seconds < FIRST_ABSOLUTE { now.millis() } else { 0 };
    let at = base.saturating_add(millis as i64);
    if (firmware_protocol::MIN_TIME..=firmware_protocol::MAX_TIME).contains(&at) {
        Ok(Some(Timestamp(at)))
    } else {
        Err(invalid(format!("the time {seconds} is outside the years 0 to 9999")))
    }
}

/// What a pack says of one instant.
#[derive(Default)]
struct Instant {
    readings: Vec<Reading>,
    /// The sensor that each quantity came from.
    sensors: BTreeMap<String, String>,
    longitude: Option<f64>,
    latitude: Option<f64>,
}

impl Instant {
    fn take(&mut self, record: &Resolved) -> Result<(), Rejection> {
        let number = match record.value {
            None => None,
            Some(Value::Number(number)) => Some(number),
            Some(Value::Boolean(is_true)) => Some(f64::from(u8::from(is_true))),
            Some(Value::Text | Value::Data) => {
                return Err(invalid(format!("{} is no number, and a reading is one", record.name)));
            }
        };
        match (record.unit.as_deref(), number) {
            (Some("lon"), Some(number)) => return coordinate(&mut self.longitude, number, 180.0, "lon"),
            (Some("lat"), Some(number)) => return coordinate(&mut self.latitude, number, 90.0, "lat"),
            _ => {}
        }
        let quantity = quantity_of(&record.name)?;
        if let Some(number) = number {
            self.read(quantity, record, number, record.unit.as_deref())?;
        }
        match record.sum {
            // A sum has the unit of the value times a second, so no unit of the registry is its own.
            Some(sum) => self.read(&format!("{quantity}_sum"), record, sum, None),
            None => Ok(()),
        }
    }

    fn read(
        &mut self,
        name: &str,
        record: &Resolved,
        value: f64,
        unit: Option<&str>,
    ) -> Result<(), Rejection> {
        match self.sensors.entry(name.to_owned()) {
            Entry::Vacant(place) => place.insert(record.name.clone()),
            Entry::Occupied(other) => {
                let other = other.get();
                return Err(invalid(format!("{other} and {} are both {name} of one instant", record.name)));
            }
        };
        let quantity = Quantity::from_name(name);
        let value = unit::convert(&quantity, unit, value).map_err(invalid)?;
        self.readings.push(Reading { quantity, value, quality: Quality::default() });
        Ok(())
    }

    fn observation(self, arrival: Arrival<'_>, at: Option<Timestamp>) -> Result<Observation, Rejection> {
        let place = match (self.longitude, self.latitude) {
            (Some(lon), Some(lat)) => Some((lon, lat)),
            (None, None) => None,
            _ => return Err(invalid("lon and lat go together")),
        };
        let body = Body::Readings(self.readings);
        Ok(arrival.observation(at, place, body))
    }
}

fn coordinate(field: &mut Option<f64>, degrees: f64, most: f64, name: &str) -> Result<(), Rejection> {
    if !(-most..=most).contains(&degrees) {
        return Err(invalid(format!("{degrees} is no {name}")));
    }
    match field.replace(degrees) {
        None => Ok(()),
        Some(_) => Err(invalid(format!("two {name} of one instant"))),
    }
}

/// The last part of a name says what is measured; what stands in front says by whom, and the topic name says that.
fn quantity_of(name: &str) -> Result<&str, Rejection> {
    let quantity = name.rsplit([':', '/']).next().unwrap_or_default();
    match quantity.len() {
        1..=MAX_QUANTITY => Ok(quantity),
        _ => Err(invalid(format!("{name:?} does not end in the name of a quantity"))),
    }
}
