//! When it happened: the device's word, as far as it can be true.

use records::{Observation, Timestamp};
use std::time::Duration;

/// 2000-01-01T00:00:00Z: a device that says less has lost its clock.
const EARLIEST: Timestamp = Timestamp(946_684_800_000);

/// What became of the device's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Believed.
    Trusted,
    /// It said none.
    Absent,
    /// Before 2000.
    TooOld,
    /// After the gateway's clock by more than the allowance.
    InFuture,
}

impl Clock {
    /// Whether the device said a time that can't be.
    pub fn is_wrong(self) -> bool {
        matches!(self, Clock::TooOld | Clock::InFuture)
    }
}

/// The event time of a message: what the device said, or else when it arrived.
pub fn event_time(message: &Observation, allowance: Duration) -> (Timestamp, Clock) {
    match message.device_time {
        None => (message.ingest_time, Clock::Absent),
        Some(said) if said < EARLIEST => (message.ingest_time, Clock::TooOld),
        Some(said) if said > message.ingest_time + allowance => (message.ingest_time, Clock::InFuture),
        Some(said) => (said, Clock::Trusted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::{Body, Status};

    #[test]
    fn believes_what_can_be() {
        let now = 1_800_000_000_000;
        let check = |said: Option<i64>, expected: (i64, Clock)| {
            let message = Observation {
                device: "d".into(),
                epoch: 0,
                sequence: None,
                device_time: said.map(Timestamp),
                event_time: Timestamp(0),
                ingest_time: Timestamp(now),
                position: None,
                is_late: false,
                body: Body::Status(Status::default()),
            };
            let (at, clock) = event_time(&message, Duration::from_secs(60));
            assert_eq!((at.0, clock), expected, "{said:?}");
        };
        check(None, (now, Clock::Absent));
        check(Some(now - 1), (now - 1, Clock::Trusted));
        check(Some(now + 60_000), (now + 60_000, Clock::Trusted));
        check(Some(now + 60_001), (now, Clock::InFuture));
        check(Some(EARLIEST.0), (EARLIEST.0, Clock::Trusted));
        check(Some(EARLIEST.0 - 1), (now, Clock::TooOld));
        check(Some(0), (now, Clock::TooOld));
        check(Some(i64::MIN), (now, Clock::TooOld));
        check(Some(i64::MAX), (now, Clock::InFuture));
    }
}
