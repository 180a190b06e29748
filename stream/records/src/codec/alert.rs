//! Alert: a JSON object, so that anybody can read the feed. Its first field is the version.

use super::{DecodeError, VERSION, malformed};
use crate::Alert;
use serde::Deserialize;

impl Alert {
    /// Appends the bytes that [`crate::Record::encode`] would.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        serde_json::to_writer(&mut *out, self).expect("an alert has text keys and a Vec takes every byte");
        let version = format!("{{\"version\":{VERSION},");
        out.splice(start..=start, version.bytes());
    }
}

#[derive(Deserialize)]
struct Version {
    #[serde(default = "oldest")]
    version: u64,
}

const fn oldest() -> u64 {
    1
}

/// Reads the version first, because a newer alert may have lost fields that this one needs.
pub(super) fn read(bytes: &[u8]) -> Result<Alert, DecodeError> {
    let Version { version } = serde_json::from_slice(bytes).map_err(malformed)?;
    match u8::try_from(version).unwrap_or(u8::MAX) {
        0 => Err(malformed("version 0")),
        1..=VERSION => serde_json::from_slice(bytes).map_err(malformed),
        newer => Err(DecodeError::Version(newer)),
    }
}
