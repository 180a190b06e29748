//! What holds for all batches and for all bytes.

use proptest::collection::vec;
use proptest::prelude::*;
use records::{Batch, Fetched, Topic, TopicPartition};
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

    /// Stored bytes are whole records or no batch; what is taken holds nothing but them.
    #[test]
    fn any_bytes_are_taken_whole_or_not_at_all(bytes in vec(prop_oneof![3 => 0..4_u8, 1 => any::<u8>()], 0..100)) {
        if let Some(taken) = Batch::from_bytes(bytes.clone()) {
            prop_assert_eq!(taken.iter().count(), taken.len());
            let again = batch(&read(&taken));
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
        let fetched = Fetched { partition, first, batch: Arc::new(batch(&pairs)) };
        prop_assert_eq!(fetched.next(), first + pairs.len() as u64);
        for ((offset, key, value), (expected, pair)) in fetched.records().zip((first..).zip(&pairs)) {
            prop_assert_eq!((offset, key, value), (expected, pair.0.as_slice(), pair.1.as_slice()));
        }
    }
}
