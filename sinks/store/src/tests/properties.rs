//! Any order of writing, sealing, merging, failing and dying gives the answers of the plain list.

use super::oracle::*;
use crate::steps::Step;
use crate::{RawRow, Store};
use proptest::prelude::*;
use records::{Flag, Quality, Timestamp};
use std::io;
use std::sync::{Arc, Mutex};

#[derive(Clone, Debug)]
enum Deed {
    Write(Batch),
    Seal,
    /// The disk is full at this step of the next seal.
    FailSeal(Step),
    Compact,
    /// Merges days that are over, with a clock at this many days after the first midnight.
    Maintain(i64),
    /// The process dies between two calls.
    Die,
    /// The process dies at this step of a seal, or of a merge.
    DieSealing(Step),
    DieMerging(Step),
}

fn any_step() -> impl Strategy<Value = Step> {
    use Step::{BeforeCommit, Committed, FileNamed, FileWritten, Frozen, Swapped};
    prop::sample::select(vec![Frozen, FileWritten, FileNamed, BeforeCommit, Committed, Swapped])
}

fn any_failing_step() -> impl Strategy<Value = Step> {
    use Step::{BeforeCommit, FileNamed, FileWritten, Frozen};
    prop::sample::select(vec![Frozen, FileWritten, FileNamed, BeforeCommit])
}

/// Around two midnights, on a grid coarse enough for times to be equal.
fn any_time() -> impl Strategy<Value = i64> {
    prop_oneof![
        (-3..3i64).prop_map(|step| MIDNIGHT + step),
        (-20..60i64).prop_map(|step| MIDNIGHT + step * 1_800_000),
        (-3..3i64).prop_map(|step| MIDNIGHT + DAY + step * 500),
    ]
}

fn any_name() -> impl Strategy<Value = (&'static str, &'static str)> {
    let subjects = prop::sample::select(vec!["b-2", "a-1", "district with a name of more than 23 bytes"]);
    (subjects, prop::sample::select(vec!["pm2_5", "temperature"]))
}

fn any_raw() -> impl Strategy<Value = RawRow> {
    let flags = vec![Flag::Good, Flag::NotEvaluated, Flag::Suspect, Flag::Bad, Flag::Missing];
    let device_time = prop::option::of(any_time().prop_map(Timestamp));
    (any_name(), any_time(), device_time, 0..4i64, -40..400i32, prop::sample::select(flags), 0..128u16)
        .prop_map(|((subject, quantity), at, device_time, delay, quarters, flag, tests)| RawRow {
            device_time,
            ingest_time: Timestamp(at + delay * 1_000),
            quality: Quality { flag, tests },
            ..raw(subject, quantity, at, f64::from(quarters) / 4.0)
        })
}

fn any_batch() -> impl Strategy<Value = Batch> {
    let lengths = prop::sample::select(vec![60_000, 3_600_000]);
    let aggregate = (any_name(), any_time(), lengths, 0..3u32, any::<i16>(), any::<bool>()).prop_map(
        |((subject, quantity), start, length, revision, mean, is_empty)| {
            let mut row = aggregate(subject, quantity, start, length, revision, f64::from(mean));
            if is_empty {
                (row.good, row.sum, row.mean, row.min, row.max) = (0, 0.0, 0.0, 0.0, 0.0);
            }
            row
        },
    );
    let raw = prop::collection::vec(any_raw(), 0..30);
    (raw, prop::collection::vec(aggregate, 0..12)).prop_map(|(raw, aggregates)| Batch { raw, aggregates })
}

fn any_deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        8 => any_batch().prop_map(Deed::Write),
        8 => Just(Deed::Seal),
        1 => any_failing_step().prop_map(Deed::FailSeal),
        2 => Just(Deed::Compact),
        2 => (0..4i64).prop_map(Deed::Maintain),
        1 => Just(Deed::Die),
        1 => any_step().prop_map(Deed::DieSealing),
        1 => any_step().prop_map(Deed::DieMerging),
    ]
}

/// A store, its log, and what is to happen at its steps.
struct World {
    dir: tempfile::TempDir,
    store: Option<Store>,
    log: Vec<Batch>,
    plan: Arc<Mutex<Plan>>,
}

#[derive(Default)]
struct Plan {
    fail_at: Option<Step>,
    die_at: Option<Step>,
    grave: Option<tempfile::TempDir>,
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().expect("made");
        let mut world = World { dir, store: None, log: Vec::new(), plan: Arc::default() };
        world.open();
        world
    }

    fn open(&mut self) {
        drop(self.store.take());
        let (plan, root) = (Arc::clone(&self.plan), self.dir.path().to_owned());
        let store = watched(self.dir.path(), move |step| {
            let mut plan = plan.lock().expect("unpoisoned");
            if plan.die_at == Some(step) && plan.grave.is_none() {
                let grave = tempfile::tempdir().expect("made");
                copy(&root, grave.path());
                plan.grave = Some(grave);
            }
            match plan.fail_at {
                Some(fail_at) if fail_at == step => Err(io::ErrorKind::StorageFull.into()),
                _ => Ok(()),
            }
        });
        replay(&store, &self.log);
        self.store = Some(store);
    }

    fn store(&self) -> &Store {
        self.store.as_ref().expect("open")
    }

    /// Goes on with the folder as it was at the step, if that was reached.
    fn die_at(&mut self, step: Step, deed: impl Fn(&World)) {
        self.plan.lock().expect("unpoisoned").die_at = Some(step);
        deed(self);
        let plan = std::mem::take(&mut *self.plan.lock().expect("unpoisoned"));
        if let Some(grave) = plan.grave {
            self.store = None;
            self.dir = grave;
        }
        self.open();
    }

    fn do_next(&mut self, deed: Deed) {
        match deed {
            Deed::Write(batch) => {
                let written = self.store().write(&batch.raw, &batch.aggregates);
                assert_eq!(written.refused, 0);
                self.log.push(batch);
            }
            Deed::Seal => {
                seal(self.store(), &self.log).expect("seals");
                assert_eq!(self.store().rows_in_memory(), 0);
            }
            Deed::FailSeal(step) => {
                let before = (self.store().offsets(), files(self.dir.path()), self.store().rows_in_memory());
                self.plan.lock().expect("unpoisoned").fail_at = Some(step);
                let sealed = seal(self.store(), &self.log);
                *self.plan.lock().expect("unpoisoned") = Plan::default();
                if let Err(error) = sealed {
                    assert!(matches!(error, crate::StoreError::Full(_)), "{error:?}");
                    let after =
                        (self.store().offsets(), files(self.dir.path()), self.store().rows_in_memory());
                    assert_eq!(after, before);
                }
            }
            Deed::Compact => {
                self.store().compact().expect("merges");
            }
            Deed::Maintain(days) => {
                self.store().maintain(Timestamp(MIDNIGHT + days * DAY)).expect("merges");
            }
            Deed::Die => self.open(),
            Deed::DieSealing(step) => self.die_at(step, |world| {
                seal(world.store(), &world.log).expect("seals");
            }),
            Deed::DieMerging(step) => self.die_at(step, |world| {
                world.store().maintain(Timestamp(MIDNIGHT + 9 * DAY)).expect("merges");
            }),
        }
    }
}

proptest! {
    // Each case makes many files durable, so a tenth of what is asked for (PROPTEST_CASES, or 256).
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.div_ceil(10)))]

    #[test]
    fn any_history_gives_the_answers_of_the_list(deeds in prop::collection::vec(any_deed(), 1..50)) {
        let mut world = World::new();
        for (number, deed) in deeds.into_iter().enumerate() {
            world.do_next(deed);
            if number % 7 == 0 {
                check(world.store(), &world.log);
            }
        }
        check(world.store(), &world.log);
        world.open();
        check(world.store(), &world.log);
        seal(world.store(), &world.log).expect("seals");
        world.store().maintain(Timestamp(MIDNIGHT + 9 * DAY)).expect("merges");
        check(world.store(), &world.log);
        assert!(world.store().damaged().is_empty());
    }
}
