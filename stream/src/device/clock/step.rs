//! Steps of a clock, by what they look like.

use super::EARLIEST;
use records::Timestamp;

/// A step that was seen: the clock has settled somewhere else than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// To before 2000: it lost the time, as in a restart without battery.
    Reset,
    /// By a whole number of quarter hours, as a time zone is wrong.
    Zone,
    /// To where it is right, as by NTP.
    Set,
    /// To somewhere else.
    Astray,
}

const QUARTER: i64 = 15 * 60_000;
/// The zones in use lie between −12:00 and +14:00.
const FARTHEST_ZONE: i64 = 14 * 3_600_000;
/// How near to a whole quarter hour a zone error is: the right clock beneath it is off as well, and so is the delay.
const NEAR: i64 = 90_000;

impl Step {
    /// The step from an offset to another, ms, as of `at`.
    pub(super) fn between(before: i64, after: i64, is_wrong: bool, at: Timestamp) -> Step {
        if !is_wrong {
            return Step::Set;
        }
        if Timestamp(at.0.saturating_add(after)) < EARLIEST {
            return Step::Reset;
        }
        // A clock that was a little off keeps that when its zone changes.
        let by =
            after.saturating_sub(if is_zone(before) || before.saturating_abs() < NEAR { before } else { 0 });
        if is_zone(by) || is_zone(after) { Step::Zone } else { Step::Astray }
    }
}

fn is_zone(offset: i64) -> bool {
    let beside = offset.rem_euclid(QUARTER);
    let is_whole = beside.min(QUARTER - beside) <= NEAR;
    is_whole && (QUARTER - NEAR..=FARTHEST_ZONE + NEAR).contains(&offset.saturating_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_named_by_what_it_looks_like() {
        let now = Timestamp(1_777_852_800_000);
        let check = |before: i64, after: i64, is_wrong: bool, expected: Step| {
            let (before, after) = (before * 1000, after * 1000);
            assert_eq!(Step::between(before, after, is_wrong, now), expected, "{before} {after}");
        };
        check(0, 8 * 3600, true, Step::Zone);
        check(0, -8 * 3600 - 70, true, Step::Zone);
        check(40, -8 * 3600 + 40, true, Step::Zone);
        check(0, 5 * 3600 + 45 * 60, true, Step::Zone);
        check(0, 15 * 3600, true, Step::Astray);
        check(0, 400, true, Step::Astray);
        check(0, 95, true, Step::Astray);
        check(8 * 3600, 0, false, Step::Set);
        check(0, -1_777_852_800, true, Step::Reset);
        check(0, -900_000_000, true, Step::Reset);
        check(0, i64::MIN / 1000, true, Step::Reset);
        check(0, i64::MAX / 1000, true, Step::Astray);
    }
}
