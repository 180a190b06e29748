//! Any sequence of appends, reads, commits and restarts gives what a list would give.
#![allow(clippy::unwrap_used, reason = "clippy does not see that this is test code")]

mod common;

use std::time::Duration;

use common::*;
use embedded::{EmbeddedConsumer, Log, Options};
use proptest::collection::vec;
use proptest::prelude::*;
use records::{Consumer, Offset, Producer, Topic};

#[derive(Clone, Debug)]
enum Step {
    /// Batches of records of these sizes, each to one of two partitions.
    Append(Vec<(u32, Vec<usize>)>),
    /// This many records, or what is there; then commit this many fewer.
    Read {
        records: usize,
        uncommitted: u64,
    },
    /// A new consumer of the group.
    Resume,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![5 => 0..50_usize, 1 => 0..2000_usize, 1 => Just(300_000)];
    let batch = (0..2_u32, prop_oneof![4 => vec(size, 0..5), 1 => vec(0..20_usize, 900..2500)]);
    prop_oneof![
        4 => vec(batch, 0..4).prop_map(Step::Append),
        3 => (1..3000_usize, 0..20_u64).prop_map(|(records, uncommitted)| Step::Read { records, uncommitted }),
        1 => Just(Step::Resume),
        1 => Just(Step::Restart),
    ]
}

/// What has been appended to each partition, and how far the group has read and committed.
#[derive(Default)]
struct Model {
    records: [Vec<Vec<u8>>; 2],
    read: [Offset; 2],
    committed: [Offset; 2],
    /// Whether this consumer has polled: it begins then, where its group has committed by then.
    has_begun: bool,
}

impl Model {
    fn unread(&self) -> usize {
        (0..2).map(|partition| self.records[partition].len() - self.read[partition] as usize).sum()
    }

    async fn append(&mut self, log: &Log, batches: Vec<(u32, Vec<usize>)>) {
        let (mut request, mut expected) = (Vec::new(), Vec::new());
        for (partition, sizes) in batches {
            let records = &mut self.records[partition as usize];
            expected.push(records.len() as Offset);
            let values: Vec<_> = sizes.iter().map(|size| vec![*size as u8; *size]).collect();
            request.push((at(Topic::Telemetry, partition), batch(&values)));
            records.extend(values);
        }
        assert_eq!(log.append(request).await.unwrap(), expected);
    }

    async fn read(&mut self, consumer: &mut EmbeddedConsumer, records: usize, uncommitted: Offset) {
        let upto = self.unread().saturating_sub(records);
        while self.unread() > upto {
            let fetched = poll(consumer).await.unwrap().unwrap();
            self.has_begun = true;
            let partition = fetched.partition.partition as usize;
            assert_eq!(fetched.first, self.read[partition]);
            for (offset, _, value) in fetched.records() {
                assert_eq!(value, self.records[partition][offset as usize]);
            }
            self.read[partition] = fetched.next();
        }
        for partition in 0..2 {
            let offset = self.read[partition].saturating_sub(uncommitted);
            consumer.commit(&[(at(Topic::Telemetry, partition as u32), offset)]).await.unwrap();
            self.committed[partition] = offset;
        }
        if !self.has_begun {
            self.read = self.committed;
        }
    }
}

async fn run(steps: Vec<Step>, tail_bytes: usize) {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { tail_bytes, gather: Duration::ZERO, ..Options::default() };
    let reopen = || open_with(dir.path(), options.clone()).unwrap();
    let mut model = Model::default();
    let mut log = reopen();
    let mut consumer = log.consumer("group", &[Topic::Telemetry]);
    for step in steps {
        match step {
            Step::Append(batches) => model.append(&log, batches).await,
            Step::Read { records, uncommitted } => model.read(&mut consumer, records, uncommitted).await,
            Step::Resume | Step::Restart => {
                if matches!(step, Step::Restart) {
                    drop((consumer, log));
                    log = reopen();
                }
                consumer = log.consumer("group", &[Topic::Telemetry]);
                (model.read, model.has_begun) = (model.committed, false);
            }
        }
    }
    model.read(&mut consumer, usize::MAX, 0).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn a_log_is_a_list(steps in vec(step(), 1..25), tail_bytes in prop_oneof![Just(1), Just(20_000), Just(1 << 20)]) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(steps, tail_bytes));
    }
}
