//! Promises of [`crate::Pipe`]: what it delivers, and what it remembers.

use super::Engine;
use super::harness::{
    IN, OUT, Seen, all, append, commit, drain, not_yet, note, numbers, place, snapshot, soon, texts, values,
};
use crate::{Commit, Delivery, Pipe, Producer};
use std::time::Duration;

/// Each partition is assigned once, before its first record; at first without a snapshot and from 0.
pub async fn a_pipe_begins_with_what_is_assigned(engine: impl Engine) {
    append(&engine, place(IN, 1), numbers(0..10)).await;
    let (assigned, seen) = drain(&mut engine.pipe("job", IN, 0..3), 3, 10).await;
    assert!(assigned.keys().copied().eq(0..3));
    assert!(assigned.values().all(|begin| *begin == (None, 0)));
    assert_eq!(values(&seen, place(IN, 1)), texts(0..10));
}

/// Neither other partitions nor other topics.
pub async fn a_pipe_reads_its_partitions_alone(engine: impl Engine) {
    for (topic, partition) in [(IN, 0), (IN, 1), (IN, 2), (OUT, 1)] {
        append(&engine, place(topic, partition), numbers(0..10)).await;
    }
    let mut pipe = engine.pipe("job", IN, 1..2);
    let (assigned, seen) = drain(&mut pipe, 1, 10).await;
    assert!(assigned.keys().eq(&[1]));
    assert!(seen.keys().eq(&[place(IN, 1)]));
    not_yet(pipe.poll()).await;
}

/// A poll of an empty partition waits, and gives what is appended then.
pub async fn a_waiting_pipe_wakes(engine: impl Engine) {
    let mut pipe = engine.pipe("job", IN, 0..1);
    drain(&mut pipe, 1, 0).await;
    not_yet(pipe.poll()).await;
    let waiting = tokio::spawn(async move { soon(pipe.poll()).await });
    tokio::time::sleep(Duration::from_millis(20)).await;
    append(&engine, place(IN, 0), numbers(0..1)).await;
    let delivery = waiting.await.expect("no panic").expect("readable").expect("open");
    assert!(matches!(delivery, Delivery::Records(fetched) if fetched.first == 0 && fetched.next() == 1));
}

/// Polls that are dropped at any moment: neither an assignment nor a record is lost.
pub async fn a_dropped_poll_of_a_pipe_loses_nothing(engine: impl Engine) {
    let producer = engine.producer();
    let appends = tokio::spawn(async move {
        for number in 0..50 {
            let batches = vec![(place(IN, 0), numbers(number..number + 1))];
            producer.append(batches).await.expect("taken");
        }
    });
    let mut seen = Seen::new();
    let assigned = soon(poll_impatiently(engine.pipe("job", IN, 0..2), 50, &mut seen)).await;
    appends.await.expect("no panic");
    assert_eq!((assigned, values(&seen, place(IN, 0))), (2, texts(0..50)));
}

async fn poll_impatiently(mut pipe: impl Pipe, count: usize, seen: &mut Seen) -> u32 {
    let (mut polls, mut assigned) = (0, 0);
    while assigned < 2 || seen.values().map(Vec::len).sum::<usize>() < count {
        let patience = Duration::from_micros(100) * (polls % 20);
        match tokio::time::timeout(patience, pipe.poll()).await.map(|polled| polled.expect("readable")) {
            Ok(Some(Delivery::Records(fetched))) => note(&fetched, seen),
            Ok(Some(Delivery::Assigned { .. })) => assigned += 1,
            Ok(other) => panic!("{other:?} was not to come"),
            Err(_) => {}
        }
        polls += 1;
    }
    assigned
}

/// After a commit, another process finds outputs, offset and snapshot, and reads on from the snapshot.
pub async fn a_commit_shows_outputs_offsets_and_snapshots(engine: impl Engine) {
    append(&engine, place(IN, 0), numbers(0..10)).await;
    append(&engine, place(IN, 1), numbers(0..10)).await;
    let mut pipe = engine.pipe("job", IN, 0..2);
    drain(&mut pipe, 2, 20).await;
    soon(pipe.commit(Commit {
        outputs: vec![
            (place(OUT, 0), numbers(0..3)),
            (place(OUT, 2), numbers(0..4)),
            (place(OUT, 0), numbers(3..5)),
        ],
        offsets: vec![(0, 7), (1, 10)],
        snapshots: vec![(0, snapshot(3, b"after three")), (1, snapshot(10, b""))],
    }))
    .await
    .expect("committed");
    drop(pipe);
    let outputs = all(&engine, OUT, 9).await;
    assert_eq!(values(&outputs, place(OUT, 0)), texts(0..5));
    assert_eq!(values(&outputs, place(OUT, 2)), texts(0..4));
    let mut pipe = engine.pipe("job", IN, 0..2);
    let (assigned, seen) = drain(&mut pipe, 2, 7).await;
    assert_eq!(assigned[&0], (Some(snapshot(3, b"after three")), 7));
    assert_eq!(assigned[&1], (Some(snapshot(10, b"")), 10));
    assert_eq!(values(&seen, place(IN, 0)), texts(3..10));
    not_yet(pipe.poll()).await;
}

/// Each commit keeps what it does not name; a later snapshot replaces an earlier one.
pub async fn the_newest_snapshot_is_kept(engine: impl Engine) {
    append(&engine, place(IN, 0), numbers(0..10)).await;
    let mut pipe = engine.pipe("job", IN, 0..1);
    drain(&mut pipe, 1, 10).await;
    let steps = [(2, Some(snapshot(2, b"two"))), (5, Some(snapshot(4, b"four"))), (9, None)];
    for (next, snapshot) in steps {
        soon(pipe.commit(commit(numbers(next..next + 1), next, snapshot))).await.expect("committed");
    }
    soon(pipe.commit(Commit::default())).await.expect("a commit of nothing is fine");
    drop(pipe);
    let (assigned, seen) = drain(&mut engine.pipe("job", IN, 0..1), 1, 6).await;
    assert_eq!(assigned[&0], (Some(snapshot(4, b"four")), 9));
    assert_eq!(values(&seen, place(IN, 0)), texts(4..10));
}

/// The committed offset says what is out; without a snapshot the state is built from the oldest record.
pub async fn without_a_snapshot_all_is_replayed(engine: impl Engine) {
    append(&engine, place(IN, 0), numbers(0..10)).await;
    let mut pipe = engine.pipe("job", IN, 0..1);
    drain(&mut pipe, 1, 10).await;
    soon(pipe.commit(commit(numbers(0..6), 6, None))).await.expect("committed");
    drop(pipe);
    let (assigned, seen) = drain(&mut engine.pipe("job", IN, 0..1), 1, 10).await;
    assert_eq!(assigned[&0], (None, 6));
    assert_eq!(values(&seen, place(IN, 0)), texts(0..10));
}

/// Neither their offsets nor their snapshots, though they read the same partitions; nor a group of the same name.
pub async fn jobs_do_not_disturb_each_other(engine: impl Engine) {
    append(&engine, place(IN, 0), numbers(0..10)).await;
    let mut first = engine.pipe("first", IN, 0..1);
    let mut second = engine.pipe("second", IN, 0..1);
    drain(&mut first, 1, 10).await;
    drain(&mut second, 1, 10).await;
    let state = snapshot(10, b"first");
    soon(first.commit(commit(numbers(0..1), 10, Some(state.clone())))).await.expect("committed");
    soon(second.commit(commit(numbers(1..2), 1, None))).await.expect("committed");
    drop((first, second));
    assert_eq!(drain(&mut engine.pipe("first", IN, 0..1), 1, 0).await.0[&0], (Some(state), 10));
    assert_eq!(drain(&mut engine.pipe("second", IN, 0..1), 1, 10).await.0[&0], (None, 1));
    assert_eq!(values(&all(&engine, OUT, 2).await, place(OUT, 0)), texts(0..2));
}
