//! Means over time beside brute force: the value that stands at every tenth of a second.

use super::*;
use crate::aggregate::Function;

const TICK: i64 = 100;
const HOLD: i64 = 90_000;

fn weighed(window: &str) -> JobRule {
    let select = "{ a = \"time_weighted_mean(temperature)\" }";
    job(&format!("window = {{ {window} }}\nhold = \"{HOLD}ms\"\nselect = {select}"))
}

/// By window with something in it: the mean of what stands, tick by tick.
fn by_ticks(said: &Said, windows: &Rows) -> BTreeMap<(i64, i64), Option<f64>> {
    let mut sorted = said.clone();
    sorted.sort();
    let stands = |tick: i64| {
        let last = sorted[..sorted.partition_point(|(at, _)| *at <= tick)].last();
        last.filter(|(at, _)| tick < at + HOLD).map(|(_, value)| i64::from(*value))
    };
    let mean = |(start, end): (i64, i64)| {
        let standing: Vec<i64> = (start / TICK..end / TICK).filter_map(|tick| stands(tick * TICK)).collect();
        let millis = standing.len() as i64 * TICK;
        (millis > 0).then(|| (standing.iter().sum::<i64>() * TICK) as f64 / millis as f64)
    };
    windows.keys().map(|window| (*window, mean(*window))).collect()
}

fn on_ticks(said: Said) -> Said {
    said.into_iter().map(|(at, value)| (at / TICK * TICK, value)).collect()
}

fn mean(tally: &Tally) -> Option<f64> {
    Function::TimeWeightedMean.of(&tally.values[0])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_stands_equals_brute_force((said, arrives) in said()) {
        let said = on_ticks(said);
        let half_hour = 1_800_000;
        let cases = [
            ("tumbling = \"1m\"", spans(&said, 60_000, 60_000, 0)),
            ("hopping = \"1m\", every = \"10s\"", spans(&said, 60_000, 10_000, 0)),
            ("hopping = \"10m\", every = \"200s\"", spans(&said, 600_000, 200_000, START % 200_000)),
            ("calendar = \"hour\", zone = \"Asia/Kolkata\"", spans(&said, 2 * half_hour, 2 * half_hour, half_hour)),
        ];
        for (window, windows) in cases {
            let (found, again) = run_of(&[weighed(window)], &said, &arrives, mean);
            prop_assert_eq!(found, by_ticks(&said, &windows), "{}", window);
            prop_assert_eq!(again, 0, "{}: within the out-of-orderness nothing is told twice", window);
        }
    }

    /// A late value changes the windows behind its own for as long as it stands there: all are told again.
    #[test]
    fn late_values_revise_what_they_reach((said, arrives) in said()) {
        let said = on_ticks(said);
        let arrives: Vec<i64> = arrives.into_iter().map(|late| late * 30).collect();
        for (window, size, every) in [("tumbling = \"10s\"", 10_000, 10_000), ("hopping = \"1m\", every = \"10s\"", 60_000, 10_000)] {
            let (found, _) = run_of(&[weighed(window)], &said, &arrives, mean);
            prop_assert_eq!(found, by_ticks(&said, &spans(&said, size, every, 0)), "{}", window);
        }
    }
}
