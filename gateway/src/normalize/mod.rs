//! From what devices say to observations: the one place that knows both the devices' words and ours.
//!
//! One file per dialect. Nothing is judged here: a time in 1970 or a value that can't be goes on as it was said.

mod coordinates;
mod frame;
pub mod mapping;
mod senml;
mod unit;

use records::{Body, Crs, Name, Observation, Quarantined, Reason, Timestamp};

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
const KEPT_TEXT: usize = 512;

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
        }
    }
}

/// As many whole characters as fit in `max` bytes.
pub(crate) fn start_of(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}
