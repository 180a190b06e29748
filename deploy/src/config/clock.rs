//! `[clock]`: how the clocks of devices are judged.

use std::time::Duration;

use records::Family;
use stream::{ClockConfig, Policy};

use super::section::{Problems, Section};

const ZERO: Duration = Duration::ZERO;
const DAY: Duration = Duration::from_secs(86_400);

/// Reads the section: three lengths of time, `policy` for every family, and a key for each family that differs.
pub fn read(mut from: Section<'_>, problems: &mut Problems<'_>) -> ClockConfig {
    let mut clock = ClockConfig::default();
    clock.allowance = from.duration("allowance", clock.allowance, ZERO..DAY, problems);
    clock.tolerance = from.duration("tolerance", clock.tolerance, ZERO..DAY, problems);
    clock.settle = from.duration("settle", clock.settle, Duration::from_secs(10)..DAY, problems);
    let general = policy(&mut from, "policy", problems);
    for family in Family::ALL {
        let own = policy(&mut from, family.name(), problems);
        *clock.policy_mut(family) = own.or(general).unwrap_or_default();
    }
    from.end(problems);
    clock
}

fn policy(from: &mut Section<'_>, key: &str, problems: &mut Problems<'_>) -> Option<Policy> {
    let (at, path) = (from.span(key), from.path_of(key));
    let name = from.text(key, problems)?;
    let policy = Policy::ALL.into_iter().find(|policy| policy.name() == name);
    if policy.is_none() {
        problems.add(at, path, format!("\"{name}\" is none of trust, correct, ingest"));
    }
    policy
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    #[test]
    fn a_family_may_differ() {
        let text = "[clock]\nallowance = \"2m\"\ntolerance = \"5m\"\nsettle = \"1m\"\npolicy = \"ingest\"\nair = \"trust\"\n";
        let clock = Config::parse(text).expect("all keys are right").clock;
        assert_eq!(
            [clock.allowance, clock.tolerance, clock.settle].map(|time| time.as_secs()),
            [120, 300, 60]
        );
        assert_eq!(clock.policy(Family::Air), Policy::Trust);
        assert_eq!(clock.policy(Family::Water), Policy::Ingest);
    }

    #[test]
    fn a_policy_is_one_of_three() {
        let found =
            Config::parse("[clock]\nsettle = \"1s\"\nweather = \"hope\"\n").expect_err("both are wrong");
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[1], "line 3: clock.weather: \"hope\" is none of trust, correct, ingest");
    }
}
