//! What happened, against a plain list.

use super::oracle::*;
use crate::{Happening, HappeningRow, Options, Store, StoreError, Trace};
use records::{Name, Timestamp};
use std::time::Duration;

fn row(kind: Happening, number: i64) -> HappeningRow {
    let is_vehicle = kind == Happening::Passage;
    let at = MIDNIGHT - 3_600_000 + number * 47_000;
    HappeningRow {
        kind,
        device: format!("reader-{}", number % 5).into(),
        at: Timestamp(at),
        until: Timestamp(at + 900),
        ingest_time: Timestamp(at + 1_200),
        tag: (!is_vehicle).then(|| Name::from(format!("E2801160600002{:010X}", number % 11))),
        area: (kind == Happening::Sighting).then(|| Name::from(format!("line-{}", number % 2))),
        count: if is_vehicle { 1 } else { 7 },
        place: (number % 4) as u16,
        rssi: (kind == Happening::TagRead).then_some(-61.5),
        speed: is_vehicle.then_some(43.25),
        class: u8::from(is_vehicle),
    }
}

/// Part in files of two days, part in memory.
fn traced(dir: &std::path::Path) -> (Store, Vec<HappeningRow>) {
    let options = Options { retention: Some(Duration::from_secs(10 * 86_400)), ..options() };
    let store = Store::open(dir, options).expect("opens");
    let rows: Vec<_> = (0..200).flat_map(|number| Happening::ALL.map(|kind| row(kind, number))).collect();
    for part in rows[..500].chunks(38) {
        assert_eq!(store.write_happenings(part).accepted, part.len());
        store.seal(&[]).expect("seals");
    }
    assert_eq!(store.write_happenings(&rows[500..]).refused, 0);
    (store, rows)
}

fn anything() -> Trace<'static> {
    let (from, to) = (Timestamp::MIN, Timestamp::MAX);
    Trace { kinds: &Happening::ALL, tag: None, devices: None, area: None, from, to, limit: 10_000 }
}

fn check(store: &Store, rows: &[HappeningRow], trace: Trace<'_>) {
    let wanted = |row: &&HappeningRow| {
        trace.kinds.contains(&row.kind)
            && trace.tag.is_none_or(|tag| row.tag.as_deref() == Some(tag))
            && trace.area.is_none_or(|area| row.area.as_deref() == Some(area))
            && trace.devices.is_none_or(|devices| devices.contains(&row.device))
            && (trace.from..trace.to).contains(&row.at)
    };
    let mut expected: Vec<_> = rows.iter().filter(wanted).cloned().collect();
    let mut found = store.trace(trace).expect("answers");
    assert!(found.is_sorted_by_key(|row| row.at));
    for list in [&mut expected, &mut found] {
        list.sort_by(|a, b| (a.at, a.kind, &a.device, &a.tag).cmp(&(b.at, b.kind, &b.device, &b.tag)));
    }
    assert_eq!(found, expected, "{trace:?}");
}

fn check_all(store: &Store, rows: &[HappeningRow]) {
    let devices = [Name::from("reader-3"), Name::from("nobody")];
    let tag = rows[0].tag.clone().expect("a tag");
    check(store, rows, anything());
    check(store, rows, Trace { tag: Some(&tag), ..anything() });
    check(
        store,
        rows,
        Trace { tag: Some(&tag), kinds: &[Happening::Sighting], area: Some("line-1"), ..anything() },
    );
    check(store, rows, Trace { devices: Some(&devices), ..anything() });
    check(store, rows, Trace { kinds: &[Happening::Passage], ..anything() });
    let (from, to) = (Timestamp(MIDNIGHT - 60_000), Timestamp(MIDNIGHT + 600_000));
    check(store, rows, Trace { from, to, ..anything() });
}

#[test]
fn a_tag_is_found_by_reader_area_and_time_before_and_after_merging() {
    let dir = tempfile::tempdir().expect("made");
    let (store, rows) = traced(dir.path());
    check_all(&store, &rows);
    store.seal(&[]).expect("seals");
    check_all(&store, &rows);
    store.maintain(Timestamp(MIDNIGHT + 3 * DAY)).expect("merges");
    check_all(&store, &rows);
    drop(store);
    let store = Store::open(dir.path(), options()).expect("opens");
    check_all(&store, &rows);
    assert!(store.series("reader-1").is_empty(), "nothing of this is a curve");
    assert!(files(dir.path()).iter().all(|path| path.starts_with("happenings/day=2026-11-2")));
}

#[test]
fn what_is_told_twice_happened_once_and_the_later_counts() {
    let dir = tempfile::tempdir().expect("made");
    let store = Store::open(dir.path(), options()).expect("opens");
    let first = row(Happening::Sighting, 1);
    let second = HappeningRow { count: 9, ..first.clone() };
    let _ = store.write_happenings(&[first]);
    store.seal(&[]).expect("seals");
    let _ = store.write_happenings(std::slice::from_ref(&second));
    assert_eq!(store.trace(anything()).expect("answers"), std::slice::from_ref(&second));
    store.seal(&[]).expect("seals");
    assert_eq!(store.trace(anything()).expect("answers"), [second]);
    // Two vehicles may pass in one millisecond.
    let _ = store.write_happenings(&[row(Happening::Passage, 2), row(Happening::Passage, 2)]);
    assert_eq!(store.trace(anything()).expect("answers").len(), 3);
}

#[test]
fn an_answer_has_a_bound_and_rows_an_age() {
    let dir = tempfile::tempdir().expect("made");
    let (store, _) = traced(dir.path());
    let refused = store.trace(Trace { limit: 599, ..anything() });
    assert!(matches!(refused, Err(StoreError::TooManyRows { limit: 599 })), "{refused:?}");
    assert_eq!(store.trace(Trace { limit: 600, ..anything() }).expect("answers").len(), 600);
    store.seal(&[]).expect("seals");
    store.maintain(Timestamp(MIDNIGHT + 10 * DAY)).expect("removes");
    let left = store.trace(anything()).expect("answers");
    assert!(!left.is_empty() && left.iter().all(|row| row.at.millis() >= MIDNIGHT));
}
