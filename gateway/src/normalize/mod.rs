//! From what devices say to observations: the one place that knows both the devices' words and ours.
//!
//! One file per dialect. Nothing is judged here: a time in 1970 or a value that can't be goes on as it was said.

mod frame;

use records::{Name, Observation, Quarantined, Reason, Timestamp};

pub(crate) use frame::{state, telemetry};

/// Who speaks, and when it reached us.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival<'a> {
    pub device: &'a Name,
    pub ingest_time: Timestamp,
}

/// Why a payload is not an observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejection {
    pub reason: Reason,
    /// For a person: what is wrong, and where.
    pub detail: String,
}

/// What a dialect makes of a payload.
pub(crate) type Normalized = Result<Observation, Rejection>;

/// Most of a payload, of a topic name and of a detail that quarantine keeps, in bytes.
const KEPT_PAYLOAD: usize = 4096;
const KEPT_TEXT: usize = 512;

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

fn start_of(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}
