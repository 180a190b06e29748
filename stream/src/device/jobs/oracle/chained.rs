//! Jobs that read windows beside one that reads readings: the same bits.

use super::*;
use crate::aggregate::Function;

const STATISTICS: [&str; 9] =
    ["count", "sum", "mean", "min", "max", "stddev", "first", "p90", "circular_mean"];

/// Seconds → minutes → ten minutes, and the last alone; only the last tells what is compared.
fn chain(last: &str) -> [Vec<JobRule>; 2] {
    let select = |name: &str| {
        let of = |statistic| format!("{name}_{statistic} = \"{statistic}(temperature)\"");
        format!("select = {{ {} }}", STATISTICS.map(of).join(", "))
    };
    let table = |id: &str, keys: &str| format!("[[job]]\nid = \"{id}\"\n{keys}\n");
    let seconds = "where = \"family == 'other'\"\nwindow = { tumbling = \"10s\" }\nselect = { s = \"mean(temperature)\" }";
    let minutes = "from = \"aggregates\"\njob = \"s\"\nwindow = { tumbling = \"1m\" }\nselect = { m = \"max(temperature)\" }";
    let chained = format!("from = \"aggregates\"\njob = \"m\"\nwindow = {{ {last} }}\n{}", select("a"));
    let direct = format!("where = \"family == 'other'\"\nwindow = {{ {last} }}\n{}", select("a"));
    [table("s", seconds) + &table("m", minutes) + &table("c", &chained), table("d", &direct)]
        .map(|text| jobs(&text))
}

fn statistics(tally: &Tally) -> Vec<Option<u64>> {
    let of = |name: &str| Function::from_name(name)?.of(&tally.values[0]).map(f64::to_bits);
    STATISTICS.into_iter().map(of).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_chain_says_what_one_job_says((said, arrives) in said(), is_late: bool) {
        let arrives: Vec<i64> = arrives.into_iter().map(|late| if is_late { late * 30 } else { late }).collect();
        for last in ["tumbling = \"10m\"", "hopping = \"10m\", every = \"2m\"", "calendar = \"hour\", zone = \"Asia/Kolkata\""] {
            let [chained, direct] = chain(last);
            let (found, again) = run_of(&chained, &said, &arrives, statistics);
            let (expected, _) = run_of(&direct, &said, &arrives, statistics);
            prop_assert_eq!(found, expected, "{}", last);
            prop_assert!(is_late || again == 0, "{}: within the out-of-orderness nothing is told twice", last);
        }
    }
}
