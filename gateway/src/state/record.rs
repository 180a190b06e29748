//! What is noted of a session.

use records::{Name, Timestamp};
use serde::{Deserialize, Serialize};

/// A session, as CBOR.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionRecord {
    pub device: Name,
    pub client_id: Name,
    /// Seconds for which it outlives its connection.
    pub expiry: u32,
    /// When the connection was made, or had ended: milliseconds since 1970.
    pub at_ms: i64,
    pub is_connected: bool,
}

impl SessionRecord {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        ciborium::into_writer(self, &mut bytes).expect("memory takes what can be said in CBOR");
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<SessionRecord> {
        ciborium::from_reader(bytes).ok()
    }

    /// Seconds that are left of it at `now`; none when it is over. `alive`: until when the gateway may have lived, as far as
    /// that is known.
    pub(crate) fn seconds_left(&self, now: Timestamp, alive: Option<Timestamp>) -> Option<u32> {
        let at = Timestamp(self.at_ms);
        // A connection that a crash has ended lasted as long as the gateway.
        let gone = if self.is_connected { alive.unwrap_or(now).max(at) } else { at };
        let away = now.millis().saturating_sub(gone.millis()).max(0) / 1000;
        u32::try_from(i64::from(self.expiry) - away).ok().filter(|left| *left > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_lasts_from_the_end_of_its_connection() {
        let gone = SessionRecord {
            device: "d".into(),
            client_id: "c".into(),
            expiry: 60,
            at_ms: 100_000,
            is_connected: false,
        };
        assert_eq!(SessionRecord::decode(&gone.encode()).as_ref(), Some(&gone));
        assert_eq!(SessionRecord::decode(&gone.encode()[1..]), None);
        let left = |record: &SessionRecord, now: i64, alive: Option<i64>| {
            record.seconds_left(Timestamp(now * 1000), alive.map(|at| Timestamp(at * 1000)))
        };
        let cases = [(100, Some(60)), (130, Some(30)), (159, Some(1)), (160, None), (9000, None)];
        for (now, expected) in cases {
            assert_eq!(left(&gone, now, Some(9000)), expected, "{now}");
        }
        // The clock was set back.
        assert_eq!(left(&gone, 0, None), Some(60));
        let connected = SessionRecord { is_connected: true, ..gone };
        for (now, alive, expected) in [
            (500, Some(490), Some(50)),
            (500, Some(50), None),
            (130, Some(50), Some(30)),
            (500, None, Some(60)),
            (500, Some(600), Some(60)),
        ] {
            assert_eq!(left(&connected, now, alive), expected, "{now} {alive:?}");
        }
    }
}
