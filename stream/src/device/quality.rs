//! Quality of a reading: what its value and the device's clock say.

use super::clock::Verdict;
use records::ExactSum;
use records::{Flag, Quality, Reading, Test};

/// Judges a reading: outside the plausible range of its quantity bad, inside good, of an unknown quantity as it
/// was; from a doubted clock suspect, from a corrected one with a note of the test. A value that can't be summed (not finite, beyond [`ExactSum::MOST`]) is bad
/// whatever the quantity. Returns whether the range test failed.
pub fn judge(reading: &mut Reading, verdict: Verdict) -> bool {
    let is_outside = match reading.quantity.info() {
        Some(info) => !(info.min..=info.max).contains(&reading.value),
        None => !(-ExactSum::MOST..=ExactSum::MOST).contains(&reading.value),
    };
    if is_outside {
        reading.quality = reading.quality.failed(Test::Range, Flag::Bad);
    } else if reading.quality.flag == Flag::NotEvaluated && reading.quantity.code().is_some() {
        reading.quality.flag = Flag::Good;
    }
    reading.quality = by_clock(reading.quality, verdict);
    is_outside
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
            let has_failed = judge(&mut reading, verdict);
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
        judge(&mut reading, Verdict::Trusted);
        assert_eq!(reading.quality, quality);
    }
}
