//! What was not accepted: the bytes with the reason, or how many messages were left out.

use crate::{Name, Timestamp};

/// Why a message was not accepted as a reading. Bounded: it is a metrics label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Reason {
    /// Neither JSON nor CBOR, cut short, or with bytes behind its end.
    Malformed = 1,
    /// Well-formed, but not what the specification allows.
    Invalid = 2,
    /// The topic name is not one of ours.
    UnknownTopic = 3,
    /// Empty payload.
    Empty = 4,
    /// Larger than a message may be.
    TooLarge = 5,
    /// Of one more new device than its source may bring in a minute.
    TooManyDevices = 6,
    /// Nothing is wrong with it: published with QoS 0, and left out because a gateway's spool was nearly full.
    Dropped = 7,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 7] = [
        Reason::Malformed,
        Reason::Invalid,
        Reason::UnknownTopic,
        Reason::Empty,
        Reason::TooLarge,
        Reason::TooManyDevices,
        Reason::Dropped,
    ];

    /// The name in metrics and API.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Malformed => "malformed",
            Reason::Invalid => "invalid",
            Reason::UnknownTopic => "unknown_topic",
            Reason::Empty => "empty",
            Reason::TooLarge => "too_large",
            Reason::TooManyDevices => "too_many_devices",
            Reason::Dropped => "dropped",
        }
    }

    /// The reason of that code.
    pub fn from_code(code: u8) -> Option<Reason> {
        Reason::ALL.into_iter().find(|reason| *reason as u8 == code)
    }
}

/// A message in quarantine. Key: the device.
#[derive(Clone, Debug, PartialEq)]
pub struct Quarantined {
    /// Who sent it.
    pub device: Name,
    /// On which topic name.
    pub topic_name: String,
    /// When it arrived, the gateway's clock.
    pub ingest_time: Timestamp,
    /// Why.
    pub reason: Reason,
    /// The same for a person: what was wrong, and where.
    pub detail: String,
    /// The bytes as they came; of what was dropped, none.
    pub payload: Vec<u8>,
    /// How many messages of the device it stands for: 1, but for what was dropped, which is told in sums.
    pub count: u32,
}
