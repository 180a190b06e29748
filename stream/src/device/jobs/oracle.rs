//! Every windowing beside brute force: all values of all windows, looked at at the end.

use super::*;
use crate::device::pipeline::Whom;
use crate::rule::{Places, Ruleset};
use proptest::prelude::*;
use records::{Body, Name, Observation, Quality, Quantity, Reading};
use std::collections::BTreeMap;
use std::time::Duration;

const START: i64 = 1_777_852_800_000;
const DISORDER: i64 = 10_000;

/// Event time after START, value; in order of sequence.
type Said = Vec<(i64, i32)>;
/// By window: count, sum, first, last, smallest, greatest.
type Rows = BTreeMap<(i64, i64), [f64; 6]>;

fn rule(window: &str) -> JobRule {
    job(&format!("window = {{ {window} }}\nselect = {{ a = \"first(temperature)\" }}"))
}

fn job(keys: &str) -> JobRule {
    jobs(&format!("[[job]]\nid = \"j\"\nwhere = \"family == 'other'\"\n{keys}\n")).remove(0)
}

fn jobs(tables: &str) -> Vec<JobRule> {
    let text = format!("{}\n{tables}", include_str!("../../../rules/default.toml"));
    Ruleset::parse(&text).unwrap_or_else(|problems| panic!("{problems:?}")).jobs
}

fn message(at: i64, sequence: usize, value: i32) -> Observation {
    let (quantity, quality) = (Quantity::from_name("temperature"), Quality::GOOD);
    Observation {
        device: "d".into(),
        epoch: 0,
        sequence: Some(sequence as u64),
        device_time: None,
        event_time: Timestamp(START + at),
        ingest_time: Timestamp(START + at),
        position: None,
        stated: None,
        is_late: false,
        body: Body::Readings(vec![Reading { quantity, value: f64::from(value), quality }]),
    }
}

/// What the jobs tell when messages come in the order of `arrives`; the last word on each window, and how many
/// were told again.
fn run(rule: &JobRule, said: &Said, arrives: &[i64]) -> (Rows, usize) {
    run_of(std::slice::from_ref(rule), said, arrives, |tally| {
        let values = &tally.values[0];
        let ends = values.ends.as_ref().expect("it is wanted");
        [f64::from(values.count), values.sum.round(), ends.first.1, ends.last.1, values.min, values.max]
    })
}

/// The same of the last of these jobs; those that don't read windows are shown each message.
fn run_of<T>(
    rules: &[JobRule],
    said: &Said,
    arrives: &[i64],
    of: impl Fn(&Tally) -> T,
) -> (BTreeMap<(i64, i64), T>, usize) {
    let (times, id) = (Times::default(), Name::new("d"));
    let (whom, places) = (Whom { id: &id, entry: None }, Places::default());
    let (mut jobs, mut rows, mut again) = (Jobs::default(), BTreeMap::new(), 0);
    let mut order: Vec<usize> = (0..said.len()).collect();
    order.sort_by_key(|index| (said[*index].0 + arrives[*index], *index));
    let mut newest = i64::MIN;
    let mut tell = |told: Told<'_>| {
        if told.job + 1 < rules.len() {
            return;
        }
        let window = (told.window.start.0 - START, told.window.end.0 - START);
        again += usize::from(rows.insert(window, of(told.tally)).is_some());
    };
    for index in order {
        // Whatever is in the state survives a snapshot.
        jobs = minicbor::decode(&minicbor::to_vec(&jobs).unwrap()).unwrap();
        let (at, value) = said[index];
        newest = newest.max(START + at);
        let progress = Timestamp(newest) - times.out_of_orderness;
        let forgotten_to = progress - times.allowed_lateness;
        let is_late = jobs.observe(
            0,
            &Sight { message: &message(at, index, value), whom, places: &places },
            forgotten_to,
            rules,
            &mut tell,
        );
        assert!(!is_late, "nothing is later than it may be");
        jobs.close(progress, rules, &mut tell);
        jobs.advance(progress, &times, rules, &mut tell);
        assert!(jobs.next_end(rules).is_none_or(|end| end > progress));
    }
    while let Some(end) = jobs.next_end(rules) {
        jobs.close(end, rules, &mut tell);
    }
    (rows, again)
}

fn numbers(mut values: Said) -> [f64; 6] {
    values.sort();
    let of = |pick: &dyn Fn(&[i32]) -> i32| {
        f64::from(pick(&values.iter().map(|(_, value)| *value).collect::<Vec<_>>()))
    };
    [
        values.len() as f64,
        of(&|all| all.iter().sum()),
        of(&|all| all[0]),
        of(&|all| all[all.len() - 1]),
        of(&|all| *all.iter().min().unwrap()),
        of(&|all| *all.iter().max().unwrap()),
    ]
}

/// By hand: every start that there may be.
fn spans(said: &Said, size: i64, every: i64, shift: i64) -> Rows {
    let mut rows = Rows::new();
    for n in -size / every - 2..=4_000_000 / every + 2 {
        let (start, end) = (n * every - shift, n * every - shift + size);
        let inside: Said = said.iter().copied().filter(|(at, _)| start <= *at && *at < end).collect();
        if !inside.is_empty() {
            rows.insert((start, end), numbers(inside));
        }
    }
    rows
}

fn sessions(said: &Said, gap: i64) -> Rows {
    let mut sorted = said.clone();
    sorted.sort();
    let mut rows = Rows::new();
    for session in sorted.chunk_by(|before, behind| behind.0 - before.0 < gap) {
        rows.insert((session[0].0, session[session.len() - 1].0 + gap), numbers(session.to_vec()));
    }
    rows
}

fn counts(said: &Said, count: usize) -> Rows {
    let mut order: Vec<usize> = (0..said.len()).collect();
    order.sort_by_key(|index| (said[*index].0, *index));
    let mut rows = Rows::new();
    for chunk in order.chunks_exact(count) {
        let values: Said = chunk.iter().map(|index| said[*index]).collect();
        rows.insert((values[0].0, values[count - 1].0 + 1), numbers(values));
    }
    rows
}

/// Up to an hour, dense in places; no two windows of one message at the same instant (`counts`).
fn said() -> impl Strategy<Value = (Said, Vec<i64>)> {
    let step = prop_oneof![4 => 1..4_000i64, 2 => 4_000..20_000i64, 1 => 20_000..400_000i64];
    prop::collection::vec((step, -500..500i32, 0..DISORDER), 1..80).prop_map(|steps| {
        let mut at = 0;
        let (mut said, mut arrives) = (Said::new(), Vec::new());
        for (step, value, late) in steps {
            at += step;
            if at < 3_900_000 {
                said.push((at, value));
                arrives.push(late);
            }
        }
        (said, arrives)
    })
}

proptest! {
    #[test]
    fn every_windowing_equals_brute_force((said, arrives) in said()) {
        let hour = 3_600_000;
        let cases: [(&str, Rows); 8] = [
            ("tumbling = \"1m\"", spans(&said, 60_000, 60_000, 0)),
            ("tumbling = \"7s\"", spans(&said, 7_000, 7_000, START % 7_000)),
            ("hopping = \"1m\", every = \"10s\"", spans(&said, 60_000, 10_000, 0)),
            ("hopping = \"10m\", every = \"200s\"", spans(&said, 600_000, 200_000, START % 200_000)),
            ("session = \"30s\"", sessions(&said, 30_000)),
            ("count = 5", counts(&said, 5)),
            ("calendar = \"hour\", zone = \"Asia/Kolkata\"", spans(&said, hour, hour, hour / 2)),
            ("calendar = \"day\", zone = \"Asia/Shanghai\", day_start = \"08:30\"", spans(&said, 24 * hour, 24 * hour, 24 * hour - hour / 2)),
        ];
        for (window, expected) in cases {
            let (found, again) = run(&rule(window), &said, &arrives);
            prop_assert_eq!(&found, &expected, "{}", window);
            prop_assert_eq!(again, 0, "{}: within the out-of-orderness nothing is told twice", window);
        }
    }

    /// Later than that, but not too late: the last word is right all the same.
    #[test]
    fn late_messages_revise((said, arrives) in said()) {
        let arrives: Vec<i64> = arrives.into_iter().map(|late| late * 30).collect();
        for (window, size, every) in [("tumbling = \"1m\"", 60_000, 60_000), ("hopping = \"1m\", every = \"10s\"", 60_000, 10_000)] {
            let (found, _) = run(&rule(window), &said, &arrives);
            prop_assert_eq!(&found, &spans(&said, size, every, 0), "{}", window);
        }
    }
}

/// Told when the device has come to 0 s, 20 s and 40 s, and once more at its end.
#[test]
fn early_windows_are_told_as_they_stand() {
    let mut early = rule("tumbling = \"1m\"");
    early.early = Some(Duration::from_secs(20));
    let said: Said = (0..7).map(|n| (n * 10_000 + 500, 1)).collect();
    let (rows, again) = run(&early, &said, &[0; 7]);
    assert_eq!(rows.keys().collect::<Vec<_>>(), [&(0, 60_000), &(60_000, 120_000)]);
    assert_eq!((rows[&(0, 60_000)][0], again), (6.0, 3));
}

mod chained;
mod weighed;
