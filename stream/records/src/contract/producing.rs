//! Promises of [`crate::Producer`].

use super::harness::{IN, OUT, Seen, all, append, batch, consume, numbers, place, texts, values};
use super::{Engine, PARTITIONS};
use crate::{Batch, Entry, Origin, Producer, Topic};

/// The answer gives each batch's first offset, in the order of the batches.
pub async fn offsets_count_from_zero_without_holes(engine: impl Engine) {
    let producer = engine.producer();
    for topic in Topic::ALL {
        assert_eq!(producer.partitions(topic), PARTITIONS);
    }
    let batches = vec![
        (place(IN, 1), numbers(0..5)),
        (place(OUT, 1), numbers(0..2)),
        (place(IN, 0), numbers(0..1)),
        (place(IN, 1), numbers(5..8)),
    ];
    assert_eq!(producer.append(batches).await.expect("taken"), [0, 0, 0, 5]);
    assert_eq!(append(&engine, place(IN, 1), numbers(8..9)).await, 8);
    assert_eq!(append(&engine, place(OUT, 1), numbers(2..3)).await, 2);
    let seen = all(&engine, IN, 10).await;
    assert_eq!(values(&seen, place(IN, 1)), texts(0..9));
    assert_eq!(seen[&place(IN, 1)][0].0, 0);
}

/// Neither no batch nor a batch of nothing takes an offset.
pub async fn an_empty_append_is_fine(engine: impl Engine) {
    let producer = engine.producer();
    assert_eq!(producer.append(vec![]).await.expect("taken"), [0; 0]);
    append(&engine, place(IN, 0), numbers(0..2)).await;
    let batches = vec![(place(IN, 0), Batch::new()), (place(IN, 0), numbers(2..3))];
    // Where nothing stands says nothing.
    assert_eq!(producer.append(batches).await.expect("taken")[1], 2);
    assert_eq!(values(&all(&engine, IN, 3).await, place(IN, 0)), texts(0..3));
}

/// Whatever bytes, empty ones and long ones too.
pub async fn records_come_back_as_written(engine: impl Engine) {
    let long: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    let records: [(&[u8], &[u8]); 5] =
        [(b"", b""), (b"key", b""), (b"", b"value"), (&[0, 255, 10], &long), (&long[..1000], b"\0")];
    let mut written = Batch::new();
    for (key, value) in records {
        written.push(key, value);
    }
    append(&engine, place(IN, 2), written).await;
    let mut consumer = engine.consumer("bytes", &[IN]);
    let mut read = Vec::new();
    while read.len() < records.len() {
        let fetched = super::harness::soon(crate::Consumer::poll(&mut consumer)).await.expect("readable");
        let fetched = fetched.expect("open");
        read.extend(fetched.records().map(|(_, key, value)| (key.to_vec(), value.to_vec())));
    }
    assert!(read.iter().map(|(key, value)| (key.as_slice(), value.as_slice())).eq(records));
}

/// Of records with an origin and without, beside each other, more than a reader is given at once.
pub async fn origins_come_back_as_written(engine: impl Engine) {
    const COUNT: u64 = 2_500;
    let value = |n: u64| n.to_le_bytes();
    let origin = |n: u64| {
        let gateway = ["gateway-1", ""][usize::from(n.is_multiple_of(2))];
        (!n.is_multiple_of(3)).then_some(Origin { gateway, spool: u64::MAX - n, offset: n << 32 })
    };
    let mut written = Batch::new();
    for n in 0..COUNT {
        written.push_entry(Entry { key: b"key", value: &value(n), origin: origin(n), mirrored: None });
    }
    append(&engine, place(IN, 1), written).await;
    let mut consumer = engine.consumer("origins", &[IN]);
    let mut next = 0;
    while next < COUNT {
        let fetched = super::harness::soon(crate::Consumer::poll(&mut consumer)).await.expect("readable");
        for (offset, entry) in fetched.expect("open").entries() {
            let expected = Entry { key: b"key", value: &value(next), origin: origin(next), mirrored: None };
            assert_eq!((offset, entry), (next, expected));
            next += 1;
        }
    }
}

/// Appends that are awaited one after the other.
pub async fn one_callers_appends_stand_in_order(engine: impl Engine) {
    for first in (0..60).step_by(3) {
        let offset = append(&engine, place(IN, 1), numbers(first..first + 3)).await;
        assert_eq!(offset, first);
    }
    assert_eq!(values(&all(&engine, IN, 60).await, place(IN, 1)), texts(0..60));
}

/// However many append at once, each finds its batch unbroken at the offset it was told.
pub async fn a_batch_stands_together_where_the_answer_says(engine: impl Engine) {
    const CALLERS: u64 = 16;
    const ROUNDS: u64 = 10;
    const LENGTH: u64 = 7;
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let producer = engine.producer();
        callers.spawn(async move {
            let mut places = Vec::new();
            for round in 0..ROUNDS {
                let values: Vec<String> = (0..LENGTH).map(|n| format!("{caller} {round} {n}")).collect();
                let batches = vec![(place(IN, 0), batch(&values))];
                places.push((producer.append(batches).await.expect("taken")[0], values));
            }
            places
        });
    }
    let told: Vec<_> = callers.join_all().await.into_iter().flatten().collect();
    let found = values(&all(&engine, IN, (CALLERS * ROUNDS * LENGTH) as usize).await, place(IN, 0));
    for (offset, values) in told {
        let start = offset as usize;
        assert_eq!(found[start..start + values.len()], values);
    }
}

/// A caller that no longer waits does not undo what it asked for, nor what others asked for after it.
pub async fn a_dropped_append_is_not_taken_back(engine: impl Engine) {
    let producer = engine.producer();
    {
        let append = producer.append(vec![(place(IN, 0), numbers(0..1))]);
        let mut append = std::pin::pin!(append);
        let _ = futures_poll_once(append.as_mut()).await;
    }
    append(&engine, place(IN, 0), numbers(1..2)).await;
    let mut seen = Seen::new();
    consume(&mut engine.consumer("dropped", &[IN]), 2, &mut seen).await;
    assert_eq!(values(&seen, place(IN, 0)), texts(0..2));
}

/// Polls once and returns, whatever the answer.
async fn futures_poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}
