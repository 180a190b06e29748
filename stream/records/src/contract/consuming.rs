//! Promises of [`crate::Consumer`].

use super::Engine;
use super::harness::{
    IN, OUT, Seen, all, append, consume, not_yet, note, numbers, place, soon, texts, values,
};
use crate::{Consumer, MOST_NOTE_BYTES, Producer, Standing};
use std::time::Duration;

/// A poll of an empty log waits, and gives what is appended then.
pub async fn a_waiting_consumer_wakes(engine: impl Engine) {
    let mut consumer = engine.consumer("waiting", &[IN]);
    not_yet(consumer.poll()).await;
    let waiting = tokio::spawn(async move { soon(consumer.poll()).await });
    tokio::time::sleep(Duration::from_millis(20)).await;
    append(&engine, place(IN, 2), numbers(0..1)).await;
    let fetched = waiting.await.expect("no panic").expect("readable").expect("open");
    assert_eq!((fetched.partition, fetched.first, fetched.next()), (place(IN, 2), 0, 1));
}

/// Polls that are dropped at any moment, while records come.
pub async fn a_dropped_poll_loses_nothing(engine: impl Engine) {
    let producer = engine.producer();
    let appends = tokio::spawn(async move {
        for number in 0..50 {
            let batches = vec![(place(IN, 0), numbers(number..number + 1))];
            producer.append(batches).await.expect("taken");
        }
    });
    let mut seen = Seen::new();
    soon(poll_impatiently(engine.consumer("impatient", &[IN]), 50, &mut seen)).await;
    appends.await.expect("no panic");
    assert_eq!(values(&seen, place(IN, 0)), texts(0..50));
}

async fn poll_impatiently(mut consumer: impl Consumer, count: usize, seen: &mut Seen) {
    let mut polls = 0;
    while seen.values().map(Vec::len).sum::<usize>() < count {
        let patience = Duration::from_micros(100) * (polls % 20);
        if let Ok(fetched) = tokio::time::timeout(patience, consumer.poll()).await {
            note(&fetched.expect("readable").expect("open"), seen);
        }
        polls += 1;
    }
}

/// All partitions of all its topics, none left behind by a busy one.
pub async fn a_consumer_reads_all_its_topics(engine: impl Engine) {
    for (topic, partition) in [(IN, 0), (IN, 1), (IN, 2), (OUT, 0), (OUT, 2)] {
        append(&engine, place(topic, partition), numbers(0..20)).await;
    }
    append(&engine, place(crate::Topic::Alerts, 0), numbers(0..20)).await;
    let mut seen = Seen::new();
    let mut consumer = engine.consumer("all", &[IN, OUT]);
    consume(&mut consumer, 100, &mut seen).await;
    not_yet(consumer.poll()).await;
    assert_eq!(seen.len(), 5);
    assert!(seen.keys().all(|place| values(&seen, *place) == texts(0..20)));
}

/// Also when the commit was for the middle of what had been read, and when it goes back.
pub async fn a_consumer_goes_on_where_it_committed(engine: impl Engine) {
    append(&engine, place(IN, 0), numbers(0..10)).await;
    for offset in [4, 9, 2] {
        let mut consumer = engine.consumer("resuming", &[IN]);
        soon(consumer.commit(&[(place(IN, 0), offset)])).await.expect("committed");
        drop(consumer);
        let mut seen = Seen::new();
        consume(&mut engine.consumer("resuming", &[IN]), 10 - offset as usize, &mut seen).await;
        assert_eq!(seen[&place(IN, 0)][0].0, offset);
        assert_eq!(values(&seen, place(IN, 0)), texts(offset..10));
    }
}

/// At least once: a reader that dies before it commits is followed by one that reads the same again.
pub async fn what_was_not_committed_comes_again(engine: impl Engine) {
    append(&engine, place(IN, 0), numbers(0..10)).await;
    for _ in 0..3 {
        let mut seen = Seen::new();
        consume(&mut engine.consumer("dying", &[IN]), 10, &mut seen).await;
        assert_eq!(values(&seen, place(IN, 0)), texts(0..10));
    }
}

/// One group's commits mean nothing to another.
pub async fn groups_do_not_disturb_each_other(engine: impl Engine) {
    append(&engine, place(IN, 0), numbers(0..10)).await;
    let mut first = engine.consumer("first", &[IN]);
    let mut second = engine.consumer("second", &[IN]);
    consume(&mut first, 10, &mut Seen::new()).await;
    soon(first.commit(&[(place(IN, 0), 10)])).await.expect("committed");
    consume(&mut second, 10, &mut Seen::new()).await;
    soon(second.commit(&[(place(IN, 0), 3)])).await.expect("committed");
    drop((first, second));
    not_yet(engine.consumer("first", &[IN]).poll()).await;
    assert_eq!(values(&all(&engine, IN, 10).await, place(IN, 0)), texts(0..10));
}

/// Partitions that a commit does not name stay where they were.
pub async fn a_commit_concerns_its_partitions_alone(engine: impl Engine) {
    for partition in 0..2 {
        append(&engine, place(IN, partition), numbers(0..10)).await;
    }
    let mut consumer = engine.consumer("partial", &[IN]);
    consume(&mut consumer, 20, &mut Seen::new()).await;
    soon(consumer.commit(&[(place(IN, 0), 5)])).await.expect("committed");
    soon(consumer.commit(&[(place(IN, 1), 7)])).await.expect("committed");
    soon(consumer.commit(&[])).await.expect("committed");
    drop(consumer);
    let mut seen = Seen::new();
    consume(&mut engine.consumer("partial", &[IN]), 8, &mut seen).await;
    assert_eq!(values(&seen, place(IN, 0)), texts(5..10));
    assert_eq!(values(&seen, place(IN, 1)), texts(7..10));
}

/// A note comes with the offset that it was committed with: to the next reader of the group and to others' readers,
/// per partition, until the next commit of that partition, which takes its place even when it says nothing.
pub async fn a_note_stands_beside_its_offset(engine: impl Engine) {
    for partition in 0..2 {
        append(&engine, place(IN, partition), numbers(0..10)).await;
    }
    let longest = "n".repeat(MOST_NOTE_BYTES);
    let standing =
        |partition, next, note: &str| Standing { partition: place(IN, partition), next, note: note.into() };
    let mut consumer = engine.consumer("noting", &[IN]);
    consume(&mut consumer, 20, &mut Seen::new()).await;
    let noted = [standing(0, 4, &longest), standing(1, 7, "gap 2..5")];
    soon(consumer.commit_noted(&noted)).await.expect("committed");
    drop(consumer);
    let mut other = engine.consumer("looking", &[IN]);
    assert_eq!(committed(&mut other, "noting").await, noted);
    assert_eq!(committed(&mut other, "looking").await, []);
    assert_eq!(committed(&mut other, "nobody").await, []);
    let mut consumer = engine.consumer("noting", &[IN]);
    consume(&mut consumer, 9, &mut Seen::new()).await;
    assert_eq!(committed(&mut consumer, "noting").await, noted);
    soon(consumer.commit(&[(place(IN, 0), 5)])).await.expect("committed");
    assert_eq!(committed(&mut other, "noting").await, [standing(0, 5, ""), standing(1, 7, "gap 2..5")]);
    drop((consumer, other));
    let engine = engine.restart();
    let mut consumer = engine.consumer("noting", &[IN]);
    assert_eq!(committed(&mut consumer, "noting").await, [standing(0, 5, ""), standing(1, 7, "gap 2..5")]);
}

/// It reads nothing that was there before, and everything that came after its first poll, also when it dies before it
/// commits; once it has committed it goes on there, however it is opened.
pub async fn who_begins_at_the_end_stands_there(engine: impl Engine) {
    append(&engine, place(IN, 0), numbers(0..10)).await;
    let mut consumer = engine.consumer_from_end("late", &[IN]);
    not_yet(consumer.poll()).await;
    settle(&mut consumer, "late").await;
    drop(consumer);
    append(&engine, place(IN, 0), numbers(10..20)).await;
    append(&engine, place(IN, 1), numbers(0..5)).await;
    let engine = engine.restart();
    for _ in 0..2 {
        let mut seen = Seen::new();
        consume(&mut engine.consumer_from_end("late", &[IN]), 15, &mut seen).await;
        assert_eq!(values(&seen, place(IN, 0)), texts(10..20));
        assert_eq!(values(&seen, place(IN, 1)), texts(0..5));
    }
    let mut consumer = engine.consumer("late", &[IN]);
    soon(consumer.commit(&[(place(IN, 0), 3)])).await.expect("committed");
    drop(consumer);
    let mut seen = Seen::new();
    consume(&mut engine.consumer_from_end("late", &[IN]), 17 + 5, &mut seen).await;
    assert_eq!(values(&seen, place(IN, 0)), texts(3..20));
    not_yet(engine.consumer_from_end("nobody yet", &[IN]).poll()).await;
    let mut seen = Seen::new();
    consume(&mut engine.consumer("from the oldest", &[IN]), 25, &mut seen).await;
}

/// Polls until the group stands somewhere: some engines have to find out who reads what first.
async fn settle(consumer: &mut impl Consumer, group: &str) {
    while committed(consumer, group).await.is_empty() {
        not_yet(consumer.poll()).await;
    }
}

/// Where the group has committed something, in order.
async fn committed(consumer: &mut impl Consumer, group: &str) -> Vec<Standing> {
    let mut standings = soon(consumer.standings(group)).await.expect("told");
    standings.retain(|standing| standing.next > 0);
    standings.sort_by_key(|standing| standing.partition);
    standings
}
