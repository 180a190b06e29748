//! What a source is told.

use std::fmt;
use std::time::Duration;

/// A broker, and what is taken from it.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceConfig {
    /// Its name here. The client id at the broker is `sluice-{name}`, so two sources need two names.
    pub name: String,
    /// Where it is.
    pub host: String,
    /// Its port, without TLS.
    pub port: u16,
    /// What is spoken with it.
    pub version: MqttVersion,
    /// User name and password.
    pub login: Option<(String, String)>,
    /// Topic filters.
    pub filters: Vec<String>,
    /// Name of a shared subscription: all of its members together get each message once.
    pub group: Option<String>,
    /// How often a silent connection is tried.
    pub keep_alive: Duration,
    /// Most devices that nobody has registered that may appear in a minute; what more of them say is quarantined.
    pub new_devices_per_minute: u32,
}

/// A version of MQTT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MqttVersion {
    /// 3.1.1
    V311,
    /// 5.0
    V5,
}

impl SourceConfig {
    pub(super) fn client_id(&self) -> String {
        format!("sluice-{}", self.name)
    }

    /// The filters as they are sent.
    pub(super) fn subscriptions(&self) -> Vec<String> {
        let shared = |filter: &String| match &self.group {
            Some(group) => format!("$share/{group}/{filter}"),
            None => filter.clone(),
        };
        self.filters.iter().map(shared).collect()
    }
}

/// Without the password.
impl fmt::Debug for SourceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "source {} at {}:{}, {:?}, {:?}",
            self.name,
            self.host,
            self.port,
            self.version,
            self.subscriptions()
        )
    }
}
