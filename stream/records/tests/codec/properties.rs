//! What holds for all records and for all bytes.

use crate::strategy;
use ciborium::Value;
use proptest::prelude::*;
use records::{DecodeError, Kind, Record};

fn encoded(record: &Record) -> Vec<u8> {
    let mut bytes = Vec::new();
    record.encode(&mut bytes);
    bytes
}

fn ascend(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().all(ascend),
        Value::Map(fields) => {
            let keys = fields.iter().map(|(key, _)| key.as_integer());
            keys.clone().all(|key| key.is_some())
                && keys.is_sorted()
                && fields.iter().all(|(_, value)| ascend(value))
        }
        _ => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_is_written_is_read(record in strategy::record()) {
        let bytes = encoded(&record);
        prop_assert_eq!(Record::decode(&bytes), Ok(record.clone()));
        let expected = match record {
            Record::Observation(_) => Kind::Observation,
            Record::Device(_) => Kind::Device,
            Record::Tick(_) => Kind::Tick,
            Record::Action(_) => Kind::Action,
            Record::Aggregate(_) => Kind::Aggregate,
            Record::Sighting(_) => Kind::Sighting,
            Record::Alert(_) => Kind::Alert,
            Record::Quarantined(_) => Kind::Quarantined,
            Record::Account(_) => Kind::Account,
            Record::Share(_) => Kind::Share,
            Record::Rules(_) => Kind::Rules,
        };
        prop_assert_eq!(Kind::of(&bytes), Some(expected));
    }

    /// An independent reader takes every record whole, finds its keys in order, and, since it writes as short as
    /// can be, writes the same bytes.
    #[test]
    fn is_the_shortest_cbor(record in strategy::record()) {
        let bytes = encoded(&record);
        prop_assume!(!matches!(record, Record::Alert(_)));
        let mut rest = bytes.as_slice();
        let value: Value = ciborium::from_reader(&mut rest).expect("CBOR");
        prop_assert!(rest.is_empty());
        prop_assert!(ascend(&value));
        let mut again = Vec::new();
        ciborium::into_writer(&value, &mut again).expect("a Vec takes every byte");
        prop_assert_eq!(again, bytes);
    }

    #[test]
    fn encode_appends(record in strategy::record(), before in proptest::collection::vec(any::<u8>(), 0..9)) {
        let mut bytes = before.clone();
        record.encode(&mut bytes);
        prop_assert_eq!(&bytes[..before.len()], before.as_slice());
        prop_assert_eq!(&bytes[before.len()..], encoded(&record));
    }

    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Record::decode(&bytes);
    }

    /// As above, but past the head.
    #[test]
    fn any_body_never_panics(kind in 0..10_u8, body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Record::decode(&[&[0x83, 1, kind], body.as_slice()].concat());
    }

    /// Cut short, it is an error; with a byte changed, an error or another record, never a panic.
    #[test]
    fn damage_is_survived(record in strategy::record(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = encoded(&record);
        let at = at.index(bytes.len());
        prop_assert!(matches!(Record::decode(&bytes[..at]), Err(DecodeError::Malformed(_))), "cut at {}", at);
        bytes[at] = byte;
        let _ = Record::decode(&bytes);
    }

    #[test]
    fn bytes_behind_are_refused(record in strategy::record(), byte in any::<u8>()) {
        prop_assume!(!byte.is_ascii_whitespace());
        let mut bytes = encoded(&record);
        bytes.push(byte);
        prop_assert!(matches!(Record::decode(&bytes), Err(DecodeError::Malformed(_))));
    }

    /// What a newer program may add: any key that this one does not know, anywhere in the order.
    #[test]
    fn unknown_fields_are_skipped(record in strategy::record(), key in 14..10_000_u64, extra in any::<Vec<String>>()) {
        prop_assume!(!matches!(record, Record::Alert(_)));
        let mut value: Value = ciborium::from_reader(encoded(&record).as_slice()).expect("CBOR");
        let extra = Value::Array(extra.into_iter().map(Value::Text).collect());
        let Value::Array(items) = &mut value else { panic!("an array") };
        let Value::Map(fields) = &mut items[2] else { panic!("a map") };
        fields.insert(0, (0.into(), extra.clone()));
        fields.push((key.into(), extra));
        let mut bytes = Vec::new();
        ciborium::into_writer(&value, &mut bytes).expect("a Vec takes every byte");
        prop_assert_eq!(Record::decode(&bytes), Ok(record));
    }
}
