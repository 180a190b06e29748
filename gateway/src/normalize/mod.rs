//! From what devices say to observations: the one place that knows both the devices' words and ours.
//!
//! One file per dialect. Nothing is judged here: a time in 1970 or a value that can't be goes on as it was said.

mod coordinates;
mod frame;
pub mod mapping;
mod senml;
mod unit;

use records::{Body, Crs, LARGEST_RECORD_BYTES, Name, Observation, Quarantined, Reason, Timestamp};

pub(crate) use coordinates::locate;
pub use frame::state;

/// Who speaks, and when it reached us.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// The device, as it has proved itself.
    pub device: &'a Name,
    /// The system of the positions it states.
    pub crs: Crs,
    /// By the gateway's clock.
    pub ingest_time: Timestamp,
}

/// Why a payload is not an observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// In a word; a metrics label.
    pub reason: Reason,
    /// For a person: what is wrong, and where.
    pub detail: String,
}

/// What a dialect makes of a payload.
pub type Normalized = Result<Observations, Rejection>;

/// What one payload says.
#[derive(Clone, Debug, PartialEq)]
pub enum Observations {
    /// Of one instant.
    One(Observation),
    /// Of several, in the order of their event times.
    Several(Vec<Observation>),
}

/// What came on `up/{device}/telemetry`: a frame is a map, a SenML pack an array, and the first byte tells which.
pub fn telemetry(arrival: Arrival<'_>, payload: &[u8]) -> Normalized {
    if senml::is_pack(payload) {
        senml::telemetry(arrival, payload)
    } else {
        frame::telemetry(arrival, payload)
    }
}

/// Most of a payload, of a topic name and of a detail that quarantine keeps, in bytes.
const KEPT_PAYLOAD: usize = 4096;
pub(crate) const KEPT_TEXT: usize = 512;

impl Observations {
    /// All of them.
    pub fn as_slice(&self) -> &[Observation] {
        match self {
            Observations::One(observation) => std::slice::from_ref(observation),
            Observations::Several(observations) => observations,
        }
    }
}

impl Arrival<'_> {
    /// What such a message says, when it tells no more than time and place; the place in the source's system.
    fn observation(
        &self,
        device_time: Option<Timestamp>,
        place: Option<(f64, f64)>,
        body: Body,
    ) -> Observation {
        let located = place.map(|(lon, lat)| locate(self.crs, lon, lat));
        Observation {
            device: self.device.clone(),
            epoch: 0,
            sequence: None,
            device_time,
            event_time: device_time.unwrap_or(self.ingest_time),
            ingest_time: self.ingest_time,
            position: located.map(|(position, _)| position),
            stated: located.and_then(|(_, stated)| stated),
            is_late: false,
            body,
        }
    }
}

impl Rejection {
    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Rejection {
        Rejection { reason, detail: detail.into() }
    }

    /// The record for quarantine.
    pub(crate) fn quarantine(self, arrival: Arrival<'_>, topic_name: &str, payload: &[u8]) -> Quarantined {
        Quarantined {
            device: arrival.device.clone(),
            topic_name: start_of(topic_name, KEPT_TEXT).to_owned(),
            ingest_time: arrival.ingest_time,
            reason: self.reason,
            detail: start_of(&self.detail, KEPT_TEXT).to_owned(),
            payload: payload[..payload.len().min(KEPT_PAYLOAD)].to_vec(),
            count: 1,
        }
    }
}

/// A payload of fewer bytes makes no record that a log would not take.
const HARMLESS: usize = 64 << 10;

/// Refuses what no log takes: at this door, once, and not by a log that would be offered it for ever.
pub(crate) fn fit(normalized: Normalized, payload: usize) -> Normalized {
    let Ok(observations) = &normalized else { return normalized };
    if payload < HARMLESS {
        return normalized;
    }
    let mut bytes = Vec::new();
    for observation in observations.as_slice() {
        bytes.clear();
        observation.encode(&mut bytes);
        if bytes.len() > LARGEST_RECORD_BYTES {
            let detail =
                format!("it makes a record of {} bytes; one may have {LARGEST_RECORD_BYTES}", bytes.len());
            return Err(Rejection::new(Reason::TooLarge, detail));
        }
    }
    normalized
}

/// As many whole characters as fit in `max` bytes.
pub(crate) fn start_of(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::{Quality, Quantity, Reading};

    fn observed(readings: usize) -> Normalized {
        let quantity = Quantity::from_name(&"q".repeat(1000));
        let reading = Reading { quantity, value: 1.0, quality: Quality::default() };
        let at = Timestamp(0);
        Ok(Observations::One(Observation {
            device: Name::new("d-1"),
            epoch: 0,
            sequence: None,
            device_time: None,
            event_time: at,
            ingest_time: at,
            position: None,
            stated: None,
            is_late: false,
            body: Body::Readings(vec![reading; readings]),
        }))
    }

    #[test]
    fn what_no_log_takes_is_refused_at_the_door() {
        let most = LARGEST_RECORD_BYTES / 1100;
        assert_eq!(fit(observed(most), most * 1000), observed(most));
        let refused =
            fit(observed(most * 11 / 10 + 20), most * 1100).expect_err("a log would refuse it for ever");
        assert_eq!(refused.reason, Reason::TooLarge);
        assert!(refused.detail.contains("16711680"), "{}", refused.detail);
    }
}
