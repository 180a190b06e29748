//! `kill -9` at a random step of a seal, a merge, a roll-up or a removal, in a process of its own.

use super::oracle::*;
use crate::steps::{Step, Steps};
use crate::{Options, Store};
use records::Timestamp;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How many processes die; the full count is 200.
const KILLS: &str = "STORE_KILLS";
const USUAL_KILLS: usize = 6;

/// What the victim is told: its folder, whether it removes old days, and at which step it dies.
const VICTIM: &str = "STORE_VICTIM";

/// Batches over three days, each with late rows of the first.
pub fn life() -> Vec<Batch> {
    (0..30)
        .map(|number| {
            let at = MIDNIGHT + number * 8_640_000;
            let late = MIDNIGHT + number * 1_000;
            Batch {
                raw: (0..20)
                    .map(|i| {
                        raw(["a", "b"][i as usize % 2], "n", at + i * 30_000, (number * i % 37) as f64 / 4.0)
                    })
                    .chain([raw("a", "n", late, 0.25)])
                    .collect(),
                aggregates: vec![aggregate("a", "n", at, 3_600_000, number as u32 % 2, number as f64)],
            }
        })
        .collect()
}

pub fn options_of(removes: bool) -> Options {
    let retention = removes.then_some(Duration::from_secs(86_400));
    Options { retention, ..options() }
}

/// What a running process does, from wherever it was; `phase` hears what comes next.
pub fn live(store: &Store, log: &[Batch], phase: impl Fn(&'static str)) {
    let begun = store.offsets().first().map_or(0, |(_, offset)| *offset as usize);
    for number in begun..log.len() {
        let _ = store.write(&log[number].raw, &log[number].aggregates);
        phase("seal");
        seal(store, &log[..=number]).expect("seals");
        phase("merge");
        store.compact().expect("merges");
        phase("roll-up, removal, merge");
        store.maintain(Timestamp(MIDNIGHT + (number as i64 + 1) * 8_640_000)).expect("maintains");
    }
}

/// Runs `live` in this process and calls `each` at every step, with its number and phase.
fn walk(dir: &Path, removes: bool, each: impl Fn(usize, &'static str, Step) + Send + Sync + 'static) {
    let now: Arc<Mutex<(usize, &'static str)>> = Arc::new(Mutex::new((0, "open")));
    let at_step = Arc::clone(&now);
    let hook = move |step| {
        let (number, phase) = {
            let mut now = at_step.lock().expect("unpoisoned");
            now.0 += 1;
            *now
        };
        each(number, phase, step);
        Ok(())
    };
    let store =
        Store::open_with(dir, options_of(removes), Steps { hook: Some(Arc::new(hook)), ..Steps::default() })
            .expect("opens");
    live(&store, &life(), |phase| now.lock().expect("unpoisoned").1 = phase);
}

/// Not a test of its own: the process that dies.
#[test]
fn victim() {
    let Ok(told) = std::env::var(VICTIM) else { return };
    let mut told = told.split('|');
    let mut next = || told.next().expect("three words");
    let (dir, removes, last) =
        (next().to_owned(), next() == "true", next().parse::<usize>().expect("a number"));
    walk(Path::new(&dir), removes, move |number, _, _| {
        if number == last {
            let me = std::process::id().to_string();
            Command::new("kill").args(["-9", &me]).status().expect("kill runs");
            loop {
                std::thread::park();
            }
        }
    });
}

/// By series and day, how many values and their mean: what roll-ups keep whatever is removed.
fn by_day(store: &Store) -> Vec<(u64, u64)> {
    let (from, to, day) = (Timestamp(MIDNIGHT), Timestamp(MIDNIGHT + 9 * DAY), Duration::from_secs(86_400));
    let of = |name| store.buckets(name, "n", from, to, day, Duration::ZERO).expect("answers");
    ["a", "b"].into_iter().flat_map(of).map(|day| (day.count, day.mean.to_bits())).collect()
}

fn by_day_of(log: &[Batch]) -> Vec<(u64, u64)> {
    let dir = tempfile::tempdir().expect("made");
    let store = Store::open(dir.path(), options()).expect("opens");
    for batch in log {
        let _ = store.write(&batch.raw, &batch.aggregates);
    }
    by_day(&store)
}

pub fn check_survivor(dir: &Path, removes: bool) {
    let log = life();
    let store = Store::open(dir, options_of(removes)).expect("opens");
    let count = store.offsets().first().map_or(0, |(_, offset)| *offset as usize);
    assert_eq!(by_day(&store), by_day_of(&log[..count]), "every committed row once");
    let named = store.tables().files.all().count();
    assert_eq!(files(dir).len(), named, "no stray file");
    assert_eq!(store.damaged(), []);
    if !removes {
        check(&store, &log[..count]);
    }
    live(&store, &log, |_| ());
    assert_eq!(by_day(&store), by_day_of(&log));
    if !removes {
        check(&store, &log);
    }
}

#[test]
fn a_killed_process_leaves_every_committed_row_once() {
    let kills = std::env::var(KILLS).ok().and_then(|count| count.parse().ok()).unwrap_or(USUAL_KILLS);
    let steps = [false, true].map(|removes| {
        let (dir, steps) = (tempfile::tempdir().expect("made"), Arc::new(Mutex::new(Vec::new())));
        let seen = Arc::clone(&steps);
        walk(dir.path(), removes, move |_, phase, step| seen.lock().expect("unpoisoned").push((phase, step)));
        std::mem::take(&mut *steps.lock().expect("unpoisoned"))
    });
    let mut deaths: BTreeMap<String, usize> = BTreeMap::new();
    // Knuth's multiplier scatters them over all steps, the same ones in every run.
    for kill in 1..=kills {
        let removes = kill % 2 == 0;
        let steps = &steps[usize::from(removes)];
        let number = 1 + ((kill * 2_654_435_761) >> 7) % steps.len();
        let dir = tempfile::tempdir().expect("made");
        let died = Command::new(std::env::current_exe().expect("known"))
            .args(["--exact", "tests::killed::victim", "--nocapture"])
            .env(VICTIM, format!("{}|{removes}|{number}", dir.path().display()))
            .output()
            .expect("runs");
        assert_eq!(died.status.code(), None, "it was killed: {}", String::from_utf8_lossy(&died.stderr));
        let (phase, step) = steps[number - 1];
        *deaths.entry(format!("{phase}: {step:?}")).or_default() += 1;
        check_survivor(dir.path(), removes);
    }
    println!("{kills} deaths: {deaths:#?}");
}
