//! Vibration zones of rotating machines, as ISO 10816-3 draws them.

use crate::rule::PlantRule;

/// The zone of a vibration velocity (mm/s rms, 10–1000 Hz): `A` like new, `B` fit for long running, `C` not for
/// long, `D` harmful. A limit belongs to the worse zone. Not finite or negative: `?`.
pub fn zone(velocity: f64, rule: &PlantRule) -> &'static str {
    if !velocity.is_finite() || velocity < 0.0 {
        return "?";
    }
    let passed = rule.zone_limits.iter().filter(|limit| velocity >= **limit).count();
    ["A", "B", "C", "D"][passed]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::Ruleset;

    #[test]
    fn zones_of_medium_machines() {
        let check = |velocity, expected| {
            assert_eq!(zone(velocity, &Ruleset::default().plant), expected, "{velocity}")
        };
        check(0.0, "A");
        check(1.39, "A");
        check(1.4, "B");
        check(2.79, "B");
        check(2.8, "C");
        check(4.49, "C");
        check(4.5, "D");
        check(200.0, "D");
        check(-1.0, "?");
        check(f64::NAN, "?");
    }
}
