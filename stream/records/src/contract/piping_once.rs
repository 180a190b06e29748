//! Promises of [`crate::Pipe`]: exactly once, whoever dies and whoever takes over.

use super::Engine;
use super::harness::{
    IN, OUT, all, append, batch, commit, drain, numbers, place, snapshot, soon, texts, values,
};
use crate::{Batch, Commit, Consumer, Delivery, LogError, Offset, Pipe, Snapshot};

/// A pipe that reads, and dies before it commits, was never there.
pub async fn a_pipe_without_commit_leaves_nothing(engine: impl Engine) {
    append(&engine, place(IN, 0), numbers(0..10)).await;
    for _ in 0..3 {
        let (assigned, seen) = drain(&mut engine.pipe("job", IN, 0..1), 1, 10).await;
        assert_eq!(assigned[&0], (None, 0));
        assert_eq!(values(&seen, place(IN, 0)), texts(0..10));
    }
    super::harness::not_yet(engine.consumer("outputs", &[OUT]).poll()).await;
}

/// When a second pipe of the job takes over, the first can no longer commit, and nothing of what it tried is there.
pub async fn the_older_pipe_is_fenced(engine: impl Engine) {
    append(&engine, place(IN, 0), numbers(0..10)).await;
    let mut older = engine.pipe("job", IN, 0..1);
    drain(&mut older, 1, 10).await;
    soon(older.commit(commit(numbers(0..4), 4, Some(snapshot(4, b"older"))))).await.expect("committed");
    let mut newer = engine.pipe("job", IN, 0..1);
    let (assigned, _) = drain(&mut newer, 1, 6).await;
    assert_eq!(assigned[&0], (Some(snapshot(4, b"older")), 4));
    let outputs_alone = Commit { offsets: vec![], ..commit(numbers(80..89), 10, None) };
    for late in [outputs_alone, commit(numbers(90..99), 10, Some(snapshot(10, b"late")))] {
        let answer = soon(older.commit(late)).await;
        assert!(matches!(answer, Err(LogError::Fenced)), "{answer:?}");
    }
    soon(newer.commit(commit(numbers(4..10), 10, None))).await.expect("committed");
    drop((older, newer));
    assert_eq!(values(&all(&engine, OUT, 10).await, place(OUT, 0)), texts(0..10));
    let (assigned, _) = drain(&mut engine.pipe("job", IN, 0..1), 1, 6).await;
    assert_eq!(assigned[&0], (Some(snapshot(4, b"older")), 10));
}

/// Pipes of one job that share no partition work side by side.
pub async fn pipes_of_other_partitions_are_not_fenced(engine: impl Engine) {
    append(&engine, place(IN, 0), numbers(0..10)).await;
    append(&engine, place(IN, 1), numbers(0..10)).await;
    let mut first = engine.pipe("job", IN, 0..1);
    let mut second = engine.pipe("job", IN, 1..2);
    drain(&mut first, 1, 10).await;
    drain(&mut second, 1, 10).await;
    soon(first.commit(commit(numbers(0..1), 10, None))).await.expect("committed");
    let theirs = Commit { offsets: vec![(1, 8)], ..Commit::default() };
    soon(second.commit(theirs)).await.expect("committed");
    soon(first.commit(commit(numbers(1..2), 10, None))).await.expect("committed");
    drop((first, second));
    let (assigned, _) = drain(&mut engine.pipe("job", IN, 0..2), 2, 20).await;
    assert_eq!((assigned[&0].1, assigned[&1].1), (10, 8));
}

const RECORDS: u64 = 300;
const LIVES: u64 = 30;

/// A job that adds up its input and puts out every sum, killed again and again between its commits: each sum is
/// there once, as if nothing had happened.
pub async fn crashes_neither_lose_nor_double(engine: impl Engine) {
    let (mut appended, mut committed) = (0, 0);
    for life in 1..=LIVES {
        let upto = (appended + 40).min(RECORDS);
        append(&engine, place(IN, 0), numbers(appended..upto)).await;
        appended = upto;
        committed = live(&engine, life, appended).await;
    }
    assert_eq!(committed, RECORDS, "each life commits up to fifty records more");
    let sums = (0..RECORDS).scan(0, |sum, number| {
        *sum += number;
        Some(sum.to_string())
    });
    let found = all(&engine, OUT, RECORDS as usize).await;
    assert!(values(&found, place(OUT, 0)).into_iter().eq(sums));
}

/// One life of the job: reads to the end, commits some of it, and dies. Tells what is committed.
async fn live<E: Engine>(engine: &E, life: u64, end: Offset) -> Offset {
    let mut pipe = engine.pipe("sums", IN, 0..1);
    let Some(Delivery::Assigned { snapshot, committed, .. }) = soon(pipe.poll()).await.expect("readable")
    else {
        panic!("a pipe begins with what is assigned");
    };
    let mut job = Sums::restore(snapshot, committed);
    let dies_at = (committed + 7 * life % 50).min(end);
    while job.next < end {
        let Some(Delivery::Records(fetched)) = soon(pipe.poll()).await.expect("readable") else {
            panic!("nothing but records comes now");
        };
        for (offset, _, value) in fetched.records() {
            job.take(offset, value);
            if job.next == dies_at && dies_at > job.committed {
                soon(pipe.commit(job.commit(life.is_multiple_of(2)))).await.expect("committed");
            }
        }
    }
    job.committed
}

/// The job: its state is the sum so far.
struct Sums {
    sum: u64,
    next: Offset,
    committed: Offset,
    outputs: Vec<String>,
}

impl Sums {
    fn restore(snapshot: Option<Snapshot>, committed: Offset) -> Sums {
        let sum =
            |snapshot: &Snapshot| u64::from_le_bytes(snapshot.bytes[..].try_into().expect("our own bytes"));
        Sums {
            sum: snapshot.as_ref().map_or(0, sum),
            next: snapshot.map_or(0, |snapshot| snapshot.offset),
            committed,
            outputs: Vec::new(),
        }
    }

    /// Runs in silence what was committed before.
    fn take(&mut self, offset: Offset, value: &[u8]) {
        assert_eq!(offset, self.next);
        self.next += 1;
        self.sum += std::str::from_utf8(value).expect("text").parse::<u64>().expect("a number");
        if offset >= self.committed {
            self.outputs.push(self.sum.to_string());
        }
    }

    fn commit(&mut self, with_snapshot: bool) -> Commit {
        self.committed = self.next;
        let outputs: Batch = batch(self.outputs.drain(..));
        commit(outputs, self.next, with_snapshot.then(|| snapshot(self.next, &self.sum.to_le_bytes())))
    }
}
