use super::super::Function;
use super::*;
use proptest::prelude::*;

const ALL: Wants = Wants { ends: true, spread: true, circle: true, sketch: true, steps: false };

fn of(values: &[(i64, f64)]) -> Accumulator {
    let mut all = Accumulator::default();
    values.iter().for_each(|(at, value)| all.add(Timestamp(*at), *value, Quality::GOOD, ALL));
    all
}

#[test]
fn by_hand() {
    let values = of(&[(30, 4.0), (10, 2.0), (20, 9.0), (40, 5.0)]);
    let check = |name: &str, expected: Option<f64>| {
        assert_eq!(Function::from_name(name).unwrap().of(&values), expected, "{name}");
    };
    check("count", Some(4.0));
    check("sum", Some(20.0));
    check("mean", Some(5.0));
    check("min", Some(2.0));
    check("max", Some(9.0));
    check("first", Some(2.0));
    check("last", Some(5.0));
    check("good_share", Some(1.0));
    // (9 + 1 + 16 + 0) / 3
    check("stddev", Some((26.0f64 / 3.0).sqrt()));
}

#[test]
fn what_is_not_usable_counts_and_no_more() {
    let mut values = of(&[(1, 4.0)]);
    let flagged = |flag| Quality { flag, tests: 0 };
    values.add(Timestamp(2), 99.0, flagged(Flag::Bad), ALL);
    values.add(Timestamp(3), 99.0, flagged(Flag::Suspect), ALL);
    values.add(Timestamp(4), 99.0, flagged(Flag::Missing), ALL);
    values.add(Timestamp(0), 5.0, flagged(Flag::NotEvaluated), ALL);
    let of = |name: &str| Function::from_name(name).unwrap().of(&values);
    assert_eq!(
        [of("count"), of("good_share"), of("first"), of("max")],
        [Some(4.0), Some(0.5), Some(5.0), Some(5.0)]
    );
    let nothing = Accumulator::default();
    for name in ["sum", "mean", "min", "max", "first", "last", "stddev", "circular_mean", "p50", "good_share"]
    {
        assert_eq!(Function::from_name(name).unwrap().of(&nothing), None, "{name}");
    }
    assert_eq!(Function::Deviation.of(&tests::of(&[(0, 1.0)])), None);
}

/// A million and a little, where the usual formula loses every digit.
#[test]
fn deviation_keeps_its_digits() {
    let check = |values: &[f64], expected: f64| {
        let values: Vec<_> = values.iter().map(|value| (0, *value)).collect();
        let found = Function::Deviation.of(&of(&values)).unwrap();
        assert!((found - expected).abs() <= expected * 1e-15, "{found} {expected}");
    };
    check(&[1e9, 1e9 + 1.0, 1e9 + 2.0], 1.0);
    check(&[1e15 + 1.0, 1e15 + 2.0, 1e15 + 3.0], 1.0);
    check(&[0.1, 0.1, 0.1], 0.0);
    check(&[1e-9, 3e-9], 2f64.sqrt() * 1e-9);
    check(&[-1e130, 1e130], 2f64.sqrt() * 1e130);
    assert_eq!(Function::Deviation.of(&of(&[(0, -1e200), (1, 1e200)])), None);
}

#[test]
fn directions_go_round() {
    let check = |degrees: &[f64], expected: Option<f64>| {
        let values: Vec<_> = degrees.iter().map(|value| (0, *value)).collect();
        let found = Function::CircularMean.of(&of(&values));
        match (found, expected) {
            (Some(found), Some(expected)) => assert!((found - expected).abs() < 1e-9, "{degrees:?}: {found}"),
            _ => assert_eq!(found, expected, "{degrees:?}"),
        }
    };
    check(&[350.0, 10.0], Some(0.0));
    check(&[350.0, 20.0], Some(5.0));
    check(&[90.0], Some(90.0));
    check(&[270.0, 270.0], Some(270.0));
    check(&[0.0, 180.0], None);
    check(&[0.0, 90.0, 180.0, 270.0], None);
    check(&[-10.0, 730.0], Some(0.0));
}

fn values() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let value = prop_oneof![
        (-4000..4000i32).prop_map(|tenths| f64::from(tenths) / 10.0),
        any::<i32>().prop_map(f64::from)
    ];
    prop::collection::vec((0..50i64, value), 1..60)
}

proptest! {
    #[test]
    fn any_order_and_any_split_give_the_same_bits(
        (values, shuffled) in values().prop_flat_map(|v| (Just(v.clone()), Just(v).prop_shuffle())),
        at in 0.0..1.0f64,
    ) {
        let expected = of(&values);
        let (left, right) = shuffled.split_at((shuffled.len() as f64 * at) as usize);
        let mut merged = of(right);
        merged = minicbor::decode(&minicbor::to_vec(&merged).unwrap()).unwrap();
        merged.merge(&of(left));
        prop_assert_eq!(&merged, &expected);
        for name in ["sum", "mean", "first", "last", "stddev", "circular_mean", "p25", "p99"] {
            let function = Function::from_name(name).unwrap();
            prop_assert_eq!(function.of(&merged).map(f64::to_bits), function.of(&expected).map(f64::to_bits), "{}", name);
        }
    }

    /// Beside sorting: the stated error, and exact at the ends.
    #[test]
    fn percentiles_are_within_the_stated_error(values in values(), permille in 1..1000u16) {
        let found = Function::Percentile(permille).of(&of(&values)).unwrap();
        let mut sorted: Vec<f64> = values.iter().map(|(_, value)| *value).collect();
        sorted.sort_by(f64::total_cmp);
        let rank = (sorted.len() * usize::from(permille)).div_ceil(1000);
        let expected = sorted[rank - 1];
        prop_assert!((found - expected).abs() <= expected.abs() * 0.008, "{found} {expected}");
    }
}
