//! Several series as one, against a plain list.

use super::oracle::*;
use crate::{Spans, Store, StoreError};
use records::{Flag, Name, Quality, Timestamp};
use std::time::Duration;

fn series(count: usize) -> Vec<(Name, Name)> {
    (0..count).map(|number| (format!("d-{number}").into(), "pm2_5".into())).collect()
}

#[test]
fn spans_hold_what_all_series_held() {
    let dir = tempfile::tempdir().expect("made");
    let store = Store::open(dir.path(), options()).expect("opens");
    let mut rows = Vec::new();
    for number in 0..200i64 {
        let mut row = raw(
            &format!("d-{}", number % 3),
            "pm2_5",
            MIDNIGHT + number * 60_000,
            (number * 37 % 101) as f64,
        );
        if number % 10 == 0 {
            row.quality = Quality { flag: Flag::Bad, tests: 2 };
        }
        rows.push(row);
    }
    // Part of it in files, part in memory.
    let _ = store.write(&rows[..120], &[]);
    store.seal(&[]).expect("seals");
    let _ = store.write(&rows[120..], &[]);
    let spans = Spans {
        from: Timestamp(MIDNIGHT),
        to: Timestamp(MIDNIGHT + 10_800_000),
        width: Duration::from_secs(3600),
        offset: Duration::ZERO,
        quantiles: &[0.5, 0.95],
        most_values: 1_000,
    };
    let found = store.joined(&[&series(3)], spans).expect("answers");
    assert_eq!(found[0].len(), 3);
    for (hour, joined) in (0i64..).zip(found.concat()) {
        let start = MIDNIGHT + hour * 3_600_000;
        let inside = rows.iter().filter(|row| (start..start + 3_600_000).contains(&row.event_time.millis()));
        let mut good: Vec<f64> =
            inside.clone().filter(|row| row.quality.is_usable()).map(|row| row.value).collect();
        good.sort_unstable_by(f64::total_cmp);
        let bucket = joined.bucket;
        assert_eq!((bucket.start.millis(), bucket.count), (start, inside.count() as u64));
        assert_eq!((bucket.good, bucket.min, bucket.max), (good.len() as u64, good[0], good[good.len() - 1]));
        assert_eq!(bucket.mean, good.iter().sum::<f64>() / good.len() as f64);
        let median = (good[(good.len() - 1) / 2] + good[good.len() / 2]) / 2.0;
        assert_eq!(joined.quantiles[0], median);
        assert!(joined.quantiles[1] <= bucket.max && joined.quantiles[1] >= median);
    }
}

#[test]
fn an_answer_has_a_bound() {
    let dir = tempfile::tempdir().expect("made");
    let store = Store::open(dir.path(), crate::Options { answer_rows: 10, ..options() }).expect("opens");
    let rows: Vec<_> = (0..20).map(|number| raw("d-0", "pm2_5", MIDNIGHT + number * 1_000, 1.0)).collect();
    let _ = store.write(&rows, &[]);
    let spans = |width| Spans {
        from: Timestamp::MIN,
        to: Timestamp::MAX,
        width: Duration::from_secs(width),
        offset: Duration::ZERO,
        quantiles: &[],
        most_values: 1_000,
    };
    assert_eq!(store.joined(&[&series(2)], spans(2)).expect("answers")[0].len(), 10);
    let refused = store.joined(&[&series(2)], spans(1));
    assert!(matches!(refused, Err(StoreError::TooManyRows { limit: 10 })), "{refused:?}");
    let halves = Spans { quantiles: &[0.5], most_values: 19, ..spans(2) };
    let refused = store.joined(&[&series(1)], halves);
    assert!(matches!(refused, Err(StoreError::TooManyRows { limit: 19 })), "{refused:?}");
    let stopped = store.asked_while(|| false).joined(&[&series(1)], spans(2));
    assert!(matches!(stopped, Err(StoreError::Stopped)), "{stopped:?}");
}

#[test]
fn more_series_than_are_read_at_once_are_one_curve_or_many() {
    let dir = tempfile::tempdir().expect("made");
    let store = Store::open(dir.path(), options()).expect("opens");
    let value = |number: i64| (number * 37 % 101) as f64;
    let rows: Vec<_> = (0..2_500i64)
        .flat_map(|number| {
            let at = MIDNIGHT + number;
            [0, 1].map(|more| raw(&format!("d-{number}"), "pm2_5", at + more * 3_600_000, value(number)))
        })
        .collect();
    for part in rows.chunks(1_900) {
        let _ = store.write(part, &[]);
        store.seal(&[]).expect("seals");
    }
    let (from, to, width) = (Timestamp(MIDNIGHT), Timestamp(MIDNIGHT + DAY), Duration::from_secs(3600));
    let spans = Spans { from, to, width, offset: Duration::ZERO, quantiles: &[0.5], most_values: 15_000 };
    let all = series(2_500);
    let mut curves = vec![&all[..]];
    curves.extend(all.chunks(1));
    curves.push(&all[700..1_300]);
    let found = store.joined(&curves, spans).expect("answers");
    let counts = |joined: &[crate::Joined]| joined.iter().map(|one| one.bucket.count).collect::<Vec<_>>();
    assert_eq!(counts(&found[0]), [2_500, 2_500]);
    for (number, curve) in (0..).zip(&found[1..2_501]) {
        assert_eq!(counts(curve), [1, 1], "{number}");
        assert!(
            curve.iter().all(|one| one.bucket.mean == value(number) && one.quantiles[0] == value(number))
        );
    }
    assert_eq!(counts(&found[2_501]), [600, 600]);
    let refused = store.joined(&curves, Spans { most_values: 11_199, ..spans });
    assert!(matches!(refused, Err(StoreError::TooManyRows { limit: 11_199 })), "{refused:?}");
}
