//! How a log ends, and begins again.

use super::Engine;
use super::harness::{
    IN, OUT, Seen, all, append, commit, consume, drain, numbers, place, snapshot, soon, texts, values,
};
use crate::{AppendError, Consumer, Pipe, Producer};

/// After the close readers get what is there, then `None`, again and again; a job can still commit.
pub async fn a_closed_log_is_read_to_its_end(engine: impl Engine) {
    append(&engine, place(IN, 0), numbers(0..10)).await;
    let mut waiting = engine.consumer("waiting", &[OUT]);
    let waiting = tokio::spawn(async move { soon(waiting.poll()).await });
    let mut consumer = engine.consumer("closing", &[IN]);
    let mut pipe = engine.pipe("job", IN, 0..1);
    engine.close();
    assert!(waiting.await.expect("no panic").expect("readable").is_none());
    let mut seen = Seen::new();
    consume(&mut consumer, 10, &mut seen).await;
    assert_eq!(values(&seen, place(IN, 0)), texts(0..10));
    drain(&mut pipe, 1, 10).await;
    for _ in 0..2 {
        assert!(soon(consumer.poll()).await.expect("readable").is_none());
        assert!(soon(pipe.poll()).await.expect("readable").is_none());
    }
    soon(consumer.commit(&[(place(IN, 0), 10)])).await.expect("committed");
    soon(pipe.commit(commit(numbers(0..1), 10, None))).await.expect("committed");
}

/// Also by producers that were there before.
pub async fn a_closed_log_takes_no_appends(engine: impl Engine) {
    let producer = engine.producer();
    engine.close();
    let answer = soon(producer.append(vec![(place(IN, 0), numbers(0..1))])).await;
    assert!(matches!(answer, Err(AppendError::Closed)), "{answer:?}");
}

/// Records, commits and snapshots; and offsets go on.
pub async fn a_restart_keeps_everything(engine: impl Engine) {
    append(&engine, place(IN, 0), numbers(0..10)).await;
    let mut consumer = engine.consumer("kept", &[IN]);
    soon(consumer.commit(&[(place(IN, 0), 4)])).await.expect("committed");
    let mut pipe = engine.pipe("job", IN, 0..1);
    drain(&mut pipe, 1, 10).await;
    soon(pipe.commit(commit(numbers(0..5), 8, Some(snapshot(6, b"state"))))).await.expect("committed");
    drop((consumer, pipe));
    let engine = engine.restart();
    assert_eq!(append(&engine, place(IN, 0), numbers(10..12)).await, 10);
    let mut seen = Seen::new();
    consume(&mut engine.consumer("kept", &[IN]), 8, &mut seen).await;
    assert_eq!(values(&seen, place(IN, 0)), texts(4..12));
    let (assigned, seen) = drain(&mut engine.pipe("job", IN, 0..1), 1, 6).await;
    assert_eq!(assigned[&0], (Some(snapshot(6, b"state")), 8));
    assert_eq!(values(&seen, place(IN, 0)), texts(6..12));
    assert_eq!(values(&all(&engine, OUT, 5).await, place(OUT, 0)), texts(0..5));
}
