//! What holds for all batches and for all bytes.

use proptest::collection::vec;
use proptest::prelude::*;
use records::{Batch, Entry, Fetched, Mirrored, Origin, Topic, TopicPartition};
use std::sync::Arc;

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn pairs() -> impl Strategy<Value = Pairs> {
    vec((vec(any::<u8>(), 0..20), vec(any::<u8>(), 0..50)), 0..20)
}

fn batch(pairs: &Pairs) -> Batch {
    let mut batch = Batch::new();
    for (key, value) in pairs {
        batch.push(key, value);
    }
    batch
}

fn read(batch: &Batch) -> Pairs {
    batch.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

/// A record with its origin, if it has one.
type Forwarded = ((Vec<u8>, Vec<u8>), Option<(String, u64, u64)>);

fn entries() -> impl Strategy<Value = Vec<Forwarded>> {
    let pair = (vec(any::<u8>(), 0..20), vec(any::<u8>(), 0..50));
    vec((pair, proptest::option::of((".{0,20}", any::<u64>(), any::<u64>()))), 0..20)
}

fn entry(((key, value), origin): &Forwarded) -> Entry<'_> {
    let origin =
        origin.as_ref().map(|(gateway, spool, offset)| Origin { gateway, spool: *spool, offset: *offset });
    Entry { key, value, origin, mirrored: None }
}

proptest! {
    #[test]
    fn what_is_pushed_is_read(pairs in pairs()) {
        let batch = batch(&pairs);
        prop_assert_eq!(batch.len(), pairs.len());
        prop_assert_eq!(batch.is_empty(), pairs.is_empty());
        prop_assert_eq!(read(&batch), pairs);
        prop_assert_eq!(Batch::from_bytes(batch.as_bytes().to_vec()), Some(batch));
    }

    #[test]
    fn a_value_can_be_written_in_place(pairs in pairs()) {
        let mut in_place = Batch::new();
        for (key, value) in &pairs {
            in_place.push_with(key, |bytes| value.iter().for_each(|byte| bytes.push(*byte)));
        }
        prop_assert_eq!(in_place, batch(&pairs));
    }

    #[test]
    fn append_puts_one_behind_the_other(first in pairs(), second in pairs()) {
        let mut both = batch(&first);
        both.append(&batch(&second));
        prop_assert_eq!(both.len(), first.len() + second.len());
        prop_assert_eq!(read(&both), [first, second].concat());
        both.clear();
        prop_assert_eq!(both, Batch::new());
    }

    #[test]
    fn an_origin_is_read_as_it_was_pushed(written in entries()) {
        let batch: Batch = written.iter().map(entry).collect();
        prop_assert_eq!(batch.len(), written.len());
        prop_assert!(batch.entries().eq(written.iter().map(entry)));
        prop_assert!(batch.iter().eq(written.iter().map(|(pair, _)| (pair.0.as_slice(), pair.1.as_slice()))));
        prop_assert_eq!(batch.entries().map(|entry| entry.len()).sum::<usize>(), batch.as_bytes().len());
        prop_assert_eq!(Batch::from_bytes(batch.as_bytes().to_vec()), Some(batch));
    }

    /// Stored bytes are whole records or no batch; what is taken holds nothing but them.
    #[test]
    fn any_bytes_are_taken_whole_or_not_at_all(bytes in vec(prop_oneof![3 => 0..4_u8, 1 => any::<u8>()], 0..100)) {
        if let Some(taken) = Batch::from_bytes(bytes.clone()) {
            prop_assert_eq!(taken.entries().count(), taken.len());
            let again: Batch = taken.entries().collect();
            prop_assert_eq!(again.as_bytes(), bytes);
        }
    }

    #[test]
    fn a_cut_batch_is_none(pairs in pairs(), at in any::<prop::sample::Index>()) {
        let whole = batch(&pairs);
        let ends: Vec<usize> = whole
            .iter()
            .scan(0, |end, (key, value)| {
                *end += 8 + key.len() + value.len();
                Some(*end)
            })
            .collect();
        let at = at.index(whole.as_bytes().len() + 1);
        let is_end = at == 0 || ends.contains(&at);
        prop_assert_eq!(Batch::from_bytes(whole.as_bytes()[..at].to_vec()).is_some(), is_end);
    }

    #[test]
    fn offsets_count_on_from_the_first(pairs in pairs(), first in 0..u64::MAX / 2) {
        let partition = TopicPartition { topic: Topic::Telemetry, partition: 0 };
        let fetched = Fetched { partition, first, lost: 0, batch: Arc::new(batch(&pairs)) };
        prop_assert_eq!(fetched.next(), first + pairs.len() as u64);
        for ((offset, key, value), (expected, pair)) in fetched.records().zip((first..).zip(&pairs)) {
            prop_assert_eq!((offset, key, value), (expected, pair.0.as_slice(), pair.1.as_slice()));
        }
    }
}

/// Bytes that embedded logs have stored, for ever.
#[test]
fn golden_bytes() {
    let mut batch = Batch::new();
    batch.push(b"d1", b"\x83value");
    let plain = [2, 0, 0, 0, 6, 0, 0, 0, b'd', b'1', 0x83, b'v', b'a', b'l', b'u', b'e'];
    assert_eq!(batch.as_bytes(), plain);
    batch.clear();
    let origin = Some(Origin { gateway: "gw", spool: 0x0102_0304, offset: 258 });
    batch.push_entry(Entry { key: b"d1", value: b"v", origin, mirrored: None });
    let lengths = [2, 0, 0, 0x80, 1, 0, 0, 0];
    let from = [4, 3, 2, 1, 0, 0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 2, b'g', b'w'];
    assert_eq!(batch.as_bytes(), [&lengths[..], &from, b"d1v"].concat());
}

/// A gateway's id is text; what is none is damage, not the end of a batch.
#[test]
fn an_origin_that_is_no_text_is_refused() {
    let origin = Some(Origin { gateway: "g", spool: 0, offset: 0 });
    let mut bytes: Vec<u8> =
        Batch::from_iter([Entry { key: b"", value: b"", origin, mirrored: None }]).as_bytes().to_vec();
    *bytes.last_mut().expect("the gateway's id is last") = 0xff;
    assert_eq!(Batch::from_bytes(bytes), None);
}

#[test]
fn the_way_from_another_deployment_comes_back_as_it_was_pushed() {
    let way = Mirrored { trail: "guangzhou,guangdong", partition: 3, offset: 1 << 40 };
    let mirrored = Some(way);
    for origin in [None, Some(Origin { gateway: "west", spool: 7, offset: 9 })] {
        let entry = Entry { key: b"d1", value: b"v", origin, mirrored };
        let batch = Batch::from_iter([entry, Entry { mirrored: None, ..entry }]);
        assert_eq!(batch.as_bytes().len(), entry.len() + Entry { mirrored: None, ..entry }.len());
        let read = Batch::from_bytes(batch.as_bytes().to_vec()).expect("whole records");
        let read: Vec<_> = read.entries().collect();
        assert_eq!(read, [entry, Entry { mirrored: None, ..entry }]);
    }
    assert_eq!(way.city(), "guangzhou");
    assert!(way.has_passed("guangdong") && !way.has_passed("guang"));
}
