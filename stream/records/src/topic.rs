//! The topics of the log.

use std::fmt;

/// A topic of the log (not an MQTT topic name).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Topic {
    /// What devices said, registry entries, ticks, actions on devices' alerts. Key: device.
    Telemetry = 0,
    /// The same after clean-up. Key: device.
    Observations = 1,
    /// Closed windows and sightings, and what the area job needs beside them. Key: area.
    Aggregates = 2,
    /// Every transition of every alert. Key: alert.
    Alerts = 3,
    /// What could not be accepted. Key: device.
    Quarantine = 4,
    /// Who did what. Key: actor.
    Audit = 5,
    /// What became of each device's messages, by hour. Key: device.
    Ledger = 6,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Topic; 7] = [
        Topic::Telemetry,
        Topic::Observations,
        Topic::Aggregates,
        Topic::Alerts,
        Topic::Quarantine,
        Topic::Audit,
        Topic::Ledger,
    ];

    /// The name on the log.
    pub const fn name(self) -> &'static str {
        match self {
            Topic::Telemetry => "telemetry",
            Topic::Observations => "observations",
            Topic::Aggregates => "aggregates",
            Topic::Alerts => "alerts",
            Topic::Quarantine => "quarantine",
            Topic::Audit => "audit",
            Topic::Ledger => "ledger",
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
