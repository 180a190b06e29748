//! Quality of a reading: what its value and the device's clock say, and what the values before and behind it do.

mod sequel;
mod track;

use super::clock::Verdict;
use crate::rule::QualityRule;
use records::{ExactSum, Flag, Quality, Reading, Test, Timestamp};
pub use sequel::{RuleOf, Sequel};

/// Judges a reading by itself: outside the plausible range of its quantity bad (IOOS QARTOD, test 4, what the sensor
/// can say), outside what is expected of it suspect (tests 4 and 5, what the operator and the season say), inside good,
/// of an unknown quantity as it was; from a doubted clock suspect, from a corrected one with a note of the test. A
/// value that can't be summed (not finite, beyond [`ExactSum::MOST`]) is bad whatever the quantity. Returns whether the
/// range test failed.
pub fn judge(reading: &mut Reading, at: Timestamp, rule: Option<&QualityRule>, verdict: Verdict) -> bool {
    let is_outside = match reading.quantity.info() {
        Some(info) => !(info.min..=info.max).contains(&reading.value),
        None => !(-ExactSum::MOST..=ExactSum::MOST).contains(&reading.value),
    };
    if is_outside {
        reading.quality = reading.quality.failed(Test::Range, Flag::Bad);
    } else if reading.quality.flag == Flag::NotEvaluated && reading.quantity.code().is_some() {
        reading.quality.flag = Flag::Good;
    }
    let is_unexpected = !is_outside && rule.is_some_and(|rule| !rule.expects(reading.value, at));
    if is_unexpected {
        reading.quality = reading.quality.failed(Test::Range, Flag::Suspect);
    }
    reading.quality = by_clock(reading.quality, verdict);
    is_outside || is_unexpected
}

/// What a value that needs no range deserves: a count.
pub fn of_count(verdict: Verdict) -> Quality {
    by_clock(Quality::GOOD, verdict)
}

fn by_clock(quality: Quality, verdict: Verdict) -> Quality {
    match verdict {
        Verdict::Doubted => quality.failed(Test::Clock, Flag::Suspect),
        Verdict::Corrected => quality.noted(Test::Clock),
        Verdict::Trusted | Verdict::Absent => quality,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::Quantity;

    #[test]
    fn judges_by_range_and_clock() {
        let check = |name: &str, value: f64, verdict, expected: Flag| {
            let (quantity, quality) = (Quantity::from_name(name), Quality::default());
            let mut reading = Reading { quantity, value, quality };
            let has_failed = judge(&mut reading, Timestamp(0), None, verdict);
            assert_eq!(reading.quality.flag, expected, "{name} {value}");
            assert_eq!(has_failed, reading.quality.has_failed(Test::Range));
            let is_noted = matches!(verdict, Verdict::Corrected | Verdict::Doubted);
            assert_eq!(is_noted, reading.quality.has_failed(Test::Clock));
        };
        check("pm2_5", 35.0, Verdict::Trusted, Flag::Good);
        check("pm2_5", 0.0, Verdict::Absent, Flag::Good);
        check("pm2_5", -0.1, Verdict::Trusted, Flag::Bad);
        check("pm2_5", 2000.1, Verdict::Trusted, Flag::Bad);
        check("pm2_5", f64::NAN, Verdict::Trusted, Flag::Bad);
        check("pm2_5", f64::INFINITY, Verdict::Trusted, Flag::Bad);
        check("radon", 35.0, Verdict::Trusted, Flag::NotEvaluated);
        check("radon", 1e300, Verdict::Trusted, Flag::Bad);
        check("radon", f64::NAN, Verdict::Trusted, Flag::Bad);
        check("pm2_5", 35.0, Verdict::Corrected, Flag::Good);
        check("pm2_5", 35.0, Verdict::Doubted, Flag::Suspect);
        check("radon", 35.0, Verdict::Doubted, Flag::Suspect);
        check("pm2_5", -0.1, Verdict::Doubted, Flag::Bad);
    }

    #[test]
    fn keeps_what_was_said_before() {
        let quality = Quality { flag: Flag::Missing, tests: 0 };
        let mut reading = Reading { quantity: Quantity::from_name("pm2_5"), value: 1.0, quality };
        judge(&mut reading, Timestamp(0), None, Verdict::Trusted);
        assert_eq!(reading.quality, quality);
    }
}
