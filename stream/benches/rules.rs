//! Rules and jobs: 1,000 of them that look at what comes, and as many that don't.

mod fleet;

use criterion::{Criterion, criterion_group, criterion_main};
use fleet::{Fleet, OTHER, job, steady};
use records::Family;
use std::fmt::Write;

/// Quantities that rules look at: those of the fleet, and three times as many that it does not say.
const LOOKED_AT: [&str; 24] = [
    "temperature",
    "humidity",
    "solar",
    "wind_speed",
    "visibility",
    "battery",
    "pm2_5",
    "pm10",
    "so2",
    "no2",
    "o3",
    "co",
    "nox",
    "ph",
    "turbidity",
    "conductivity",
    "dissolved_oxygen",
    "vibration",
    "speed",
    "occupancy",
    "pressure",
    "rainfall",
    "gust",
    "wind_direction",
];

/// Rules about devices of a family with hysteresis and hold times, evenly over the quantities. The fleet's means lie
/// between 0 and 40; of a hundred rules one opens within that, and the others beyond.
fn thresholds(count: usize, family: &str, quantities: &[&str]) -> String {
    let mut rules = String::new();
    for n in 0..count {
        let quantity = quantities[n % quantities.len()];
        let open = if n % 100 == 99 { 30.0 } else { 41.0 + (n / quantities.len()) as f64 };
        let clear = open - 2.0;
        write!(
            rules,
            "[[threshold]]\nid = \"t-{n}\"\nuse_case = \"environment\"\nfamily = \"{family}\"\n\
             quantity = \"{quantity}\"\ndirection = \"above\"\nhold_on_s = 120\nhold_off_s = 300\ngap_s = 600\n\
             text = \"{{subject}} {{value}}\"\ncleared = \"{{subject}} {{value}}\"\nsource = \"bench\"\n\
             basis = \"configuration\"\nlevels = [ {{ severity = \"minor\", name = \"high\", open = {open:.1}, clear = {clear:.1} }} ]\n"
        )
        .expect("a String takes everything");
    }
    rules
}

/// Jobs that are about other devices: by family, by quantity, or by a condition on the device.
fn jobs(count: usize, condition: &str, quantity: &str) -> String {
    let mut jobs = String::new();
    for n in 0..count {
        write!(
            jobs,
            "[[job]]\nid = \"j-{n}\"\nwhere = \"{condition}\"\nwindow = {{ tumbling = \"1m\" }}\n\
             select = {{ j_{n} = \"mean({quantity})\" }}\n"
        )
        .expect("a String takes everything");
    }
    jobs
}

fn that_look(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rules_that_look");
    group.sample_size(10);
    for count in [0, 24, 1000] {
        let fleet = Fleet::new(10_000, Family::Other, OTHER);
        let job = job(&thresholds(count, "other", &LOOKED_AT));
        steady(&mut group, &format!("{count} rules"), job, fleet, false);
    }
    group.finish();
}

fn that_do_not_match(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("that_do_not_match");
    group.sample_size(10);
    for count in [1, 1000] {
        let cases = [
            ("rules of other families", thresholds(count, "water", &LOOKED_AT)),
            ("rules of other quantities", thresholds(count, "other", &LOOKED_AT[6..])),
            ("jobs of other families", jobs(count, "family == 'water'", "temperature")),
            ("jobs of other quantities", jobs(count, "", "ph")),
            ("jobs of another area", jobs(count, "area == 'elsewhere'", "temperature")),
        ];
        for (name, more) in cases {
            let fleet = Fleet::new(10_000, Family::Other, OTHER);
            steady(&mut group, &format!("{count} {name}"), job(&more), fleet, false);
        }
    }
    group.finish();
}

criterion_group!(benches, that_look, that_do_not_match);
criterion_main!(benches);
