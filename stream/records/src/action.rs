//! What an operator did, as a record on the job's input, so that a replay sees it at the same place.

use crate::{Name, Subject, Timestamp};

/// An operator's action on an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// Which alert.
    pub alert: Name,
    /// Its subject: a device's actions travel on `telemetry` with the device as key, an area's on `aggregates`.
    pub subject: Subject,
    /// What they did.
    pub verb: Verb,
    /// Who.
    pub actor: Name,
    /// When, by the clock of the machine that took the action.
    pub at: Timestamp,
    /// Their words; empty when there are none.
    pub note: String,
}

/// What can be done to an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Verb {
    /// "I know."
    Acknowledge = 1,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Verb; 1] = [Verb::Acknowledge];

    /// The verb of that code on the log.
    pub fn from_code(code: u8) -> Option<Verb> {
        Verb::ALL.into_iter().find(|verb| *verb as u8 == code)
    }
}
