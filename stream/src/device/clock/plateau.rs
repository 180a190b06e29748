//! Apparent offsets that stay together: the sight of a clock that runs, right or wrong.

use super::{ClockConfig, EARLIEST, Verdict};
use minicbor::{Decode, Encode};
use records::Timestamp;

/// Apparent offsets within this of each other stay together, ms: what delays of a live device vary by.
const JITTER: i64 = 10_000;
/// Messages it takes to settle.
const SETTLED_BY: u32 = 5;
/// The offset is the highest of this half hour and the one before, so that it follows a clock that drifts.
const HALF: i64 = 1_800_000;
/// A clock that seems behind by less than this may be right and its messages on the way: it takes half an hour to tell.
const SHALLOW: i64 = 600_000;
/// From this long on its drift is known: a least delay that varies by a second is 46 ppm by then.
const DRIFT_FROM: i64 = 6 * 3_600_000;
/// Drift is that of the past days, because it changes with the weather.
const DRIFT_OVER: i64 = 7 * 86_400_000;
/// A quartz is no worse.
const MOST_PPM: i64 = 500;

/// Messages, in order of arrival, whose apparent offsets stay together. Offsets and times are ms.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(super) struct Plateau {
    /// Ingest time of its first message.
    #[cbor(n(0), with = "crate::cbor")]
    since: Timestamp,
    /// Ingest time of its newest message.
    #[cbor(n(1), with = "crate::cbor")]
    last: Timestamp,
    #[n(2)]
    count: u32,
    /// The offset of its first message; later, where drift is measured from.
    #[n(3)]
    anchor: i64,
    /// When the clock stood at `anchor`.
    #[cbor(n(4), with = "crate::cbor")]
    anchored: Timestamp,
    /// The highest of this half hour.
    #[n(5)]
    peak: i64,
    /// The highest of the one before.
    #[n(6)]
    before: i64,
    /// When this half hour ends.
    #[cbor(n(7), with = "crate::cbor")]
    until: Timestamp,
    /// It can't be right, wherever it settles: it began before 2000.
    #[n(8)]
    is_known_wrong: bool,
    /// As it was judged last.
    #[n(9)]
    was_wrong: bool,
}

impl Plateau {
    pub(super) fn new(apparent: i64, is_known_wrong: bool, ingest: Timestamp) -> Plateau {
        Plateau {
            since: ingest,
            last: ingest,
            count: 1,
            anchor: apparent,
            anchored: ingest,
            peak: apparent,
            before: i64::MIN,
            until: Timestamp(ingest.0.saturating_add(HALF)),
            is_known_wrong,
            was_wrong: is_known_wrong,
        }
    }

    /// How far the clock is ahead, at least: by more only if every message so far was delayed.
    pub(super) fn offset(&self) -> i64 {
        self.peak.max(self.before)
    }

    /// Ingest time of its first message.
    pub(super) fn since(&self) -> Timestamp {
        self.since
    }

    /// Ingest time of its newest message.
    pub(super) fn last(&self) -> Timestamp {
        self.last
    }

    pub(super) fn is_known_wrong(&self) -> bool {
        self.is_known_wrong
    }

    /// Whether a message belongs here. Until it has settled a plateau may not climb, as a backlog does that comes in
    /// less than real time.
    pub(super) fn takes(&self, apparent: i64, config: &ClockConfig) -> bool {
        let is_near = |to: i64| apparent.saturating_sub(to).saturating_abs() <= JITTER;
        is_near(self.offset()) && (self.has_settled(config) || is_near(self.anchor))
    }

    /// Takes a message.
    pub(super) fn add(&mut self, apparent: i64, ingest: Timestamp) {
        if ingest >= self.until {
            self.turn_over(apparent, ingest);
        }
        self.peak = self.peak.max(apparent);
        self.last = self.last.max(ingest);
        self.count = self.count.saturating_add(1);
    }

    /// Whether it has held long enough to be where the clock stands.
    pub(super) fn has_settled(&self, config: &ClockConfig) -> bool {
        self.count >= SETTLED_BY && self.last.0.saturating_sub(self.since.0) >= config.settle_ms()
    }

    /// Whether it is too far below `offset`, or has held for too long, for messages on the way.
    pub(super) fn is_no_delay(&self, offset: i64) -> bool {
        offset.saturating_sub(self.offset()) > SHALLOW || self.last.0.saturating_sub(self.since.0) >= HALF
    }

    /// Judges anew whether the clock is wrong; one that was must come nearer to be right again.
    pub(super) fn judge(&mut self, config: &ClockConfig) {
        self.was_wrong = self.is_wrong(config);
    }

    /// Whether the clock is wrong. That it is behind must have settled: a backlog begins like a slow clock.
    pub(super) fn is_wrong(&self, config: &ClockConfig) -> bool {
        let offset = self.offset();
        let is_right = if self.was_wrong { config.is_right_again(offset) } else { config.is_right(offset) };
        let is_behind = offset < 0 && !self.is_known_wrong;
        !is_right && (!is_behind || (self.has_settled(config) && self.is_no_delay(0)))
    }

    /// The event time of a message that was made by the clock that stands here.
    pub(super) fn event_time(
        &self,
        said: Timestamp,
        ingest: Timestamp,
        config: &ClockConfig,
    ) -> (Timestamp, Verdict) {
        if !self.is_wrong(config) {
            return (said, Verdict::Trusted);
        }
        let verdict = if self.has_settled(config) { Verdict::Corrected } else { Verdict::Doubted };
        (self.corrected(said, ingest), verdict)
    }

    /// What the clock should have said: the word less the offset, and less what the clock has drifted since it was
    /// heard last. Not after ingest time; the ingest time itself where the result can't be.
    fn corrected(&self, said: Timestamp, ingest: Timestamp) -> Timestamp {
        let at = said.0.saturating_sub(self.offset());
        let silent = at.saturating_sub(self.last.0).max(0);
        let at = Timestamp(at.saturating_sub(self.drift_over(silent))).min(ingest);
        if at < EARLIEST { ingest } else { at }
    }

    /// How much further ahead the clock gets in so many ms.
    fn drift_over(&self, millis: i64) -> i64 {
        let known = self.last.0.saturating_sub(self.anchored.0);
        if known < DRIFT_FROM {
            return 0;
        }
        let drifted =
            i128::from(self.offset().saturating_sub(self.anchor)) * i128::from(millis) / i128::from(known);
        let most = i128::from(millis) * i128::from(MOST_PPM) / 1_000_000;
        i64::try_from(drifted.clamp(-most, most)).expect("a part of what fitted")
    }

    /// Another half hour. After a silence the peak may be older than that; it is still the best that is known.
    fn turn_over(&mut self, apparent: i64, ingest: Timestamp) {
        if self.before == i64::MIN {
            // The first half hour knows its offset better than the first message did.
            (self.anchor, self.anchored) = (self.peak, self.last);
        }
        self.before = self.peak;
        self.peak = apparent;
        self.until = Timestamp(ingest.0.saturating_add(HALF));
        // Drift is measured from the middle of what was measured, once that is days.
        let known = self.last.0.saturating_sub(self.anchored.0);
        if known > DRIFT_OVER {
            self.anchored = Timestamp(self.anchored.0.saturating_add(known / 2));
            self.anchor = self.anchor.saturating_add(self.before.saturating_sub(self.anchor) / 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Once an hour for `hours`, a clock that gains `ppm`.
    fn drifting(ppm: i64, hours: i64) -> Plateau {
        let apparent = |hour: i64| 7_200_000 + hour * 3600 * ppm / 1000;
        let ingest = |hour: i64| Timestamp(1_777_852_800_000 + hour * 3_600_000);
        let mut plateau = Plateau::new(apparent(0), false, ingest(0));
        (1..=hours).for_each(|hour| plateau.add(apparent(hour), ingest(hour)));
        plateau
    }

    #[test]
    fn follows_a_drift_and_carries_it_on() {
        let check = |ppm: i64, hours: i64, silent_hours: i64, expected: i64| {
            let plateau = drifting(ppm, hours);
            assert_eq!(plateau.drift_over(silent_hours * 3_600_000), expected, "{ppm} {hours}");
        };
        check(100, 5, 6, 0);
        check(100, 24, 6, 2160);
        check(100, 24 * 30, 6, 2160);
        check(2000, 24, 6, 10_800);
        check(-2000, 24, 6, -10_800);
        // A clock that loses: the highest of two half hours is the one before.
        check(-100, 24, 6, -2160 + 90);
    }

    #[test]
    fn anything_may_come() {
        let mut plateau = Plateau::new(i64::MIN, true, Timestamp::MIN);
        for (apparent, ingest) in [(i64::MAX, i64::MAX), (i64::MIN, i64::MIN), (0, 0), (i64::MAX, i64::MAX)] {
            plateau.add(apparent, Timestamp(ingest));
            plateau.corrected(Timestamp(apparent), Timestamp(ingest));
            plateau.judge(&ClockConfig::default());
        }
    }
}
