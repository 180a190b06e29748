//! How many devices that nobody has registered a source may bring in a minute.

use records::Timestamp;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// The budget of a source for ids that are new. Each costs memory here and in the stages behind for as long as it is
/// remembered, and a publisher that counts up its topic names makes as many as it sends messages.
pub(super) struct Newcomers {
    per_minute: u32,
    minute: Timestamp,
    come: u32,
}

/// What becomes of a newcomer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// There is room.
    Granted,
    /// There is none. `is_first`: of this minute.
    Refused { is_first: bool },
}

impl Newcomers {
    /// A full budget.
    pub(super) fn new(per_minute: u32) -> Newcomers {
        Newcomers { per_minute, minute: Timestamp::MIN, come: 0 }
    }

    /// One comes at `now`, the gateway's clock.
    pub(super) fn admit(&mut self, now: Timestamp) -> Admission {
        let minute = now.floor(MINUTE);
        if minute != self.minute {
            (self.minute, self.come) = (minute, 0);
        }
        let is_first = self.come == self.per_minute;
        self.come = self.come.saturating_add(1);
        match self.come > self.per_minute {
            true => Admission::Refused { is_first },
            false => Admission::Granted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_minute_has_room_for_so_many() {
        let mut newcomers = Newcomers::new(2);
        let mut come = |at: i64| newcomers.admit(Timestamp(at));
        assert_eq!([come(0), come(59_999)], [Admission::Granted; 2]);
        assert_eq!(come(59_999), Admission::Refused { is_first: true });
        assert_eq!(come(59_999), Admission::Refused { is_first: false });
        assert_eq!([come(60_000), come(60_000)], [Admission::Granted; 2]);
        assert_eq!(come(60_001), Admission::Refused { is_first: true });
        // A clock that is set back begins another minute.
        assert_eq!(come(30_000), Admission::Granted);
        assert_eq!(Newcomers::new(0).admit(Timestamp(0)), Admission::Refused { is_first: true });
    }
}
