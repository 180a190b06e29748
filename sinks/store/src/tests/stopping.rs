//! Answers that nobody waits for any more.

use super::oracle::*;
use crate::{Happening, HappeningRow, Spans, Store, StoreError, Trace};
use records::{Name, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

fn read(number: i64) -> HappeningRow {
    let at = Timestamp(MIDNIGHT + number);
    HappeningRow {
        kind: Happening::TagRead,
        device: "d-0".into(),
        at,
        until: at,
        ingest_time: at,
        tag: None,
        area: None,
        count: 1,
        place: 1,
        rssi: None,
        speed: None,
        class: 0,
    }
}

#[test]
fn an_answer_of_any_kind_is_stopped_on_the_way() {
    let dir = tempfile::tempdir().expect("made");
    let store = Store::open(dir.path(), options()).expect("opens");
    let rows: Vec<_> = (0..50_000).map(|number| raw("d-0", "pm2_5", MIDNIGHT + number, 1.0)).collect();
    let windows: Vec<_> =
        (0..50_000).map(|number| aggregate("d-0", "pm2_5", MIDNIGHT + number, 1_000, 0, 1.0)).collect();
    let _ = store.write(&rows, &windows);
    let reads: Vec<_> = (0..50_000).map(read).collect();
    let _ = store.write_happenings(&reads);
    store.seal(&[]).expect("seals");
    let series: [(Name, Name); 1] = [("d-0".into(), "pm2_5".into())];
    let (from, to, hour) = (Timestamp::MIN, Timestamp::MAX, Duration::from_secs(3600));
    let spans = Spans { from, to, width: hour, offset: Duration::ZERO, quantiles: &[], most_values: 0 };
    let trace = Trace {
        kinds: &[Happening::TagRead],
        tag: None,
        devices: None,
        area: None,
        from,
        to,
        limit: usize::MAX,
    };
    type Ask<'a> = (&'a str, Box<dyn Fn(&Store) -> Result<u64, StoreError> + 'a>);
    let asks: [Ask<'_>; 6] = [
        ("joined", Box::new(|store| Ok(store.joined(&[&series], spans)?[0][0].bucket.count))),
        ("range", Box::new(|store| Ok(store.range("d-0", "pm2_5", from, to, 2)?.count.iter().sum::<u64>()))),
        (
            "buckets",
            Box::new(|store| Ok(store.buckets("d-0", "pm2_5", from, to, hour, Duration::ZERO)?[0].count)),
        ),
        ("aggregates", Box::new(|store| Ok(store.aggregates("d-0", "pm2_5", None, from, to)?.len() as u64))),
        ("values", Box::new(|store| Ok(store.values(&series[0].0, &series[0].1, from, to)?.len() as u64))),
        ("trace", Box::new(|store| Ok(store.trace(trace)?.len() as u64))),
    ];
    for (name, ask) in asks {
        let asked = Arc::new(AtomicUsize::new(0));
        let patient = |patience: usize| {
            asked.store(0, Ordering::Relaxed);
            let asked = Arc::clone(&asked);
            ask(&store.asked_while(move || asked.fetch_add(1, Ordering::Relaxed) < patience))
        };
        assert_eq!(patient(usize::MAX).expect("answers"), 50_000, "{name}");
        let all = asked.load(Ordering::Relaxed);
        assert!(all > 3, "{name}: asked {all} times");
        let stopped = patient(3);
        assert!(matches!(stopped, Err(StoreError::Stopped)), "{name}: {stopped:?}");
        assert_eq!(asked.load(Ordering::Relaxed), 4, "{name}");
    }
}
