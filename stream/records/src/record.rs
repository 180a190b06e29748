//! Everything that can stand on the log.

use crate::{
    Account, Action, Aggregate, Alert, Device, Observation, Quarantined, Rules, Share, Sighting, Tick,
};

/// One record. [`Record::encode`] and [`Record::decode`] are in the codec.
///
/// | topic | kinds |
/// |---|---|
/// | `telemetry` | Observation, Device, Tick, Action, Rules |
/// | `observations` | Observation, Device |
/// | `aggregates` | Aggregate, Share, Sighting, Device, Tick, Action, Rules |
/// | `alerts` | Alert |
/// | `quarantine` | Quarantined |
/// | `ledger` | Account |
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// What a device said.
    Observation(Observation),
    /// A registry entry.
    Device(Device),
    /// The passing of time.
    Tick(Tick),
    /// What an operator did.
    Action(Action),
    /// A closed window.
    Aggregate(Aggregate),
    /// A tag at a reader.
    Sighting(Sighting),
    /// A transition of an alert.
    Alert(Box<Alert>),
    /// What could not be accepted.
    Quarantined(Quarantined),
    /// What became of a device's messages in an hour.
    Account(Account),
    /// What a device brings to a roll-up of its area.
    Share(Share),
    /// Which rules hold from when on.
    Rules(Rules),
}
