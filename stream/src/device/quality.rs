//! Quality of a reading: what its value and the device's clock say.

use super::clock::Clock;
use crate::sum::ExactSum;
use records::{Flag, Quality, Reading, Test};

/// Judges a reading: outside the plausible range of its quantity bad, inside good, of an unknown quantity as it
/// was; from a wrong clock suspect. A value that can't be summed (not finite, beyond [`ExactSum::MOST`]) is bad
/// whatever the quantity. Returns whether the range test failed.
pub fn judge(reading: &mut Reading, clock: Clock) -> bool {
    let is_outside = match reading.quantity.info() {
        Some(info) => !(info.min..=info.max).contains(&reading.value),
        None => !(-ExactSum::MOST..=ExactSum::MOST).contains(&reading.value),
    };
    if is_outside {
        reading.quality = reading.quality.failed(Test::Range, Flag::Bad);
    } else if reading.quality.flag == Flag::NotEvaluated && reading.quantity.code().is_some() {
        reading.quality.flag = Flag::Good;
    }
    if clock.is_wrong() {
        reading.quality = reading.quality.failed(Test::Clock, Flag::Suspect);
    }
    is_outside
}

/// What a value that needs no range deserves: a count.
pub fn of_count(clock: Clock) -> Quality {
    if clock.is_wrong() { Quality::GOOD.failed(Test::Clock, Flag::Suspect) } else { Quality::GOOD }
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::Quantity;

    #[test]
    fn judges_by_range_and_clock() {
        let check = |name: &str, value: f64, clock, expected: Flag| {
            let (quantity, quality) = (Quantity::from_name(name), Quality::default());
            let mut reading = Reading { quantity, value, quality };
            let has_failed = judge(&mut reading, clock);
            assert_eq!(reading.quality.flag, expected, "{name} {value}");
            assert_eq!(has_failed, reading.quality.has_failed(Test::Range));
            assert_eq!(clock.is_wrong(), reading.quality.has_failed(Test::Clock));
        };
        check("pm2_5", 35.0, Clock::Trusted, Flag::Good);
        check("pm2_5", 0.0, Clock::Absent, Flag::Good);
        check("pm2_5", -0.1, Clock::Trusted, Flag::Bad);
        check("pm2_5", 2000.1, Clock::Trusted, Flag::Bad);
        check("pm2_5", f64::NAN, Clock::Trusted, Flag::Bad);
        check("pm2_5", f64::INFINITY, Clock::Trusted, Flag::Bad);
        check("radon", 35.0, Clock::Trusted, Flag::NotEvaluated);
        check("radon", 1e300, Clock::Trusted, Flag::Bad);
        check("radon", f64::NAN, Clock::Trusted, Flag::Bad);
        check("pm2_5", 35.0, Clock::TooOld, Flag::Suspect);
        check("radon", 35.0, Clock::InFuture, Flag::Suspect);
        check("pm2_5", -0.1, Clock::InFuture, Flag::Bad);
    }

    #[test]
    fn keeps_what_was_said_before() {
        let quality = Quality { flag: Flag::Missing, tests: 0 };
        let mut reading = Reading { quantity: Quantity::from_name("pm2_5"), value: 1.0, quality };
        judge(&mut reading, Clock::Trusted);
        assert_eq!(reading.quality, quality);
    }
}
