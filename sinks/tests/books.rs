//! The alert book and the device book: each transition once, the newest entry and value, and all of it after a
//! restart.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod support;

use records::{
    AlertState, Family, Quarantined, Reason, Record, Severity, Subject, Timestamp, Topic, UseCase,
};
use rustc_hash::FxHashMap;
use sinks::alerts::AlertQuery;
use sinks::devices::{DeviceState, DeviceView};
use sinks::{AlertBook, AlertSink, DeviceBook, DeviceSink, Sink};
use std::sync::Arc;
use support::{
    Hands, T0, alert, ambient, append, append_bytes, count, device, log, metrics, next, on_log, reading,
};
use tokio_util::sync::CancellationToken;

fn ids(book: &AlertBook, query: AlertQuery) -> Vec<String> {
    let found = book.find(&AlertQuery { limit: 100, ..query }).unwrap();
    found.into_iter().map(|view| view.alert.subject.name().to_string()).collect()
}

#[test]
fn a_transition_is_entered_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alerts.db");
    let book = AlertBook::open(&path).unwrap();
    let mut news = book.subscribe();
    let opened = alert("a", T0);
    let acknowledged = next(&opened, AlertState::Acknowledged, T0 + 1);
    assert_eq!(book.enter(&[opened.clone(), acknowledged.clone()]).unwrap(), 2);
    assert_eq!(book.enter(&[opened.clone(), acknowledged.clone()]).unwrap(), 0, "read again after a crash");
    let seen = [news.try_recv().unwrap(), news.try_recv().unwrap()];
    assert_eq!(seen.each_ref().map(|transition| transition.seq), [1, 2]);
    assert!(news.try_recv().is_err(), "nobody is told twice");
    drop(book);
    let book = AlertBook::open(&path).unwrap();
    assert_eq!(book.enter(std::slice::from_ref(&opened)).unwrap(), 0, "nor after a restart");
    assert_eq!(book.active(&opened.id).unwrap().state, AlertState::Acknowledged);
    assert_eq!(book.after(0, 10).unwrap().len(), 2);
    assert_eq!(book.newest().unwrap(), 2);
}

#[test]
fn cleared_alerts_are_history() {
    let folder = tempfile::tempdir().unwrap();
    let book = AlertBook::open(&folder.path().join("alerts.db")).unwrap();
    let opened = alert("a", T0);
    let mut acknowledged = next(&opened, AlertState::Acknowledged, T0 + 10);
    acknowledged.actor = Some("wang".into());
    acknowledged.note = Some("on my way".into());
    let mut cleared = next(&acknowledged, AlertState::Cleared, T0 + 20);
    (cleared.actor, cleared.note) = (None, None);
    book.enter(&[opened.clone(), acknowledged, cleared]).unwrap();
    assert!(book.active(&opened.id).is_none());
    assert!(book.worst_by_device().is_empty());
    let (view, transitions) = book.history(&opened.id).unwrap().unwrap();
    assert_eq!(view.cleared_at, Some(T0 + 20));
    assert_eq!(view.acknowledged_by.as_deref(), Some("wang"));
    assert_eq!(transitions.iter().map(|t| t.alert.transition).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(book.history("nobody/knows/it").unwrap().is_none());
}

#[test]
fn questions_to_the_alert_book() {
    let folder = tempfile::tempdir().unwrap();
    let book = AlertBook::open(&folder.path().join("alerts.db")).unwrap();
    let mut worst = alert("worst", T0);
    worst.severity = Severity::Extreme;
    let newer = alert("newer", T0 + 5_000);
    let mut road = alert("road", T0 + 1_000);
    road.subject = Subject::Area("road".into());
    road.use_case = UseCase::Transport;
    let over = alert("over", T0 - 10_000);
    book.enter(&[newer, over.clone(), worst, road, next(&over, AlertState::Cleared, T0 - 5_000)]).unwrap();
    let check =
        |query: AlertQuery, expected: &[&str]| assert_eq!(ids(&book, query.clone()), expected, "{query:?}");
    let all = AlertQuery::default;
    check(all(), &["worst", "newer", "road", "over"]);
    check(AlertQuery { states: vec![AlertState::Cleared], ..all() }, &["over"]);
    check(AlertQuery { severities: vec![Severity::Extreme, Severity::Minor], ..all() }, &["worst"]);
    check(AlertQuery { use_cases: vec![UseCase::Transport], ..all() }, &["road"]);
    check(AlertQuery { subject: Some("newer".into()), ..all() }, &["newer"]);
    check(AlertQuery { subject: Some("' OR 1 --".into()), ..all() }, &[]);
    check(AlertQuery { to: Some(Timestamp(T0)), ..all() }, &["over"]);
    check(AlertQuery { from: Some(Timestamp(T0 - 4_999)), ..all() }, &["worst", "newer", "road"]);
    check(
        AlertQuery { from: Some(Timestamp(T0 - 6_000)), to: Some(Timestamp(T0 + 1)), ..all() },
        &["worst", "over"],
    );
    assert_eq!(book.find(&AlertQuery { limit: 2, ..all() }).unwrap().len(), 2);
    assert_eq!(book.worst_by_device().len(), 2, "an area's alert is no device's");
    let transport: usize =
        book.counts().iter().filter(|(use_case, ..)| *use_case == UseCase::Transport).map(|c| c.2).sum();
    assert_eq!(transport, 1);
}

#[tokio::test]
async fn the_alert_sink_skips_what_it_cannot_read() {
    let folder = tempfile::tempdir().unwrap();
    let book = Arc::new(AlertBook::open(&folder.path().join("alerts.db")).unwrap());
    let (log, (metrics, registry)) = (log(), metrics());
    append_bytes(&log, Topic::Alerts, &[b"", b"\x01garbage"]).await;
    append(&log, Topic::Alerts, &[on_log(&alert("a", T0))]).await;
    log.close();
    let sink = AlertSink::new(Arc::clone(&book), metrics.clone());
    assert_eq!(sink.name(), "alerts");
    let around = ambient(&metrics, &Hands::new());
    sinks::run(log.consumer("alerts", AlertSink::TOPICS), sink, around, CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(book.newest().unwrap(), 1);
    assert_eq!(count(&registry, "sluice_sinks_undecodable_records_total"), 2.0);
    assert_eq!(count(&registry, "sluice_sinks_alerts_active"), 1.0);
}

async fn take_in(book: &Arc<DeviceBook>, records: &[Record]) {
    let (log, (metrics, _)) = (log(), metrics());
    append(&log, Topic::Observations, records).await;
    log.close();
    let around = ambient(&metrics, &Hands::new());
    let consumer = log.consumer("devices", DeviceSink::TOPICS);
    sinks::run(consumer, DeviceSink::new(Arc::clone(book)), around, CancellationToken::new()).await.unwrap();
}

fn view(book: &DeviceBook, id: &str, now: i64) -> DeviceView {
    book.view(id, None, Timestamp(now)).unwrap()
}

#[tokio::test]
async fn the_newest_entry_and_the_newest_value_win_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("devices.db");
    let book = Arc::new(DeviceBook::open(&path).unwrap());
    let records = [
        Record::Device(device("a", Family::Water, 20)),
        Record::Device(device("a", Family::Air, 10)),
        reading("a", T0 + 2_000, "pm2_5", 2.0),
        reading("a", T0 + 1_000, "pm2_5", 1.0),
        reading("a", T0 + 1_500, "radon", 7.0),
    ];
    let check = |book: &DeviceBook| {
        let a = view(book, "a", T0 + 3_000);
        assert_eq!((a.family, a.label.as_str(), a.is_registered), (Family::Water, "The a", true));
        let latest: Vec<_> = a.latest.iter().map(|l| (l.quantity.as_str(), l.value, l.unit)).collect();
        assert_eq!(latest, [("pm2_5", 2.0, "ug/m3"), ("radon", 7.0, "")]);
        assert_eq!(a.event_time, Some(T0 + 2_000));
    };
    take_in(&book, &records).await;
    check(&book);
    take_in(&book, &records).await;
    check(&book);
    drop(book);
    check(&DeviceBook::open(&path).unwrap());
}

#[tokio::test]
async fn states_of_devices() {
    let folder = tempfile::tempdir().unwrap();
    let book = Arc::new(DeviceBook::open(&folder.path().join("devices.db")).unwrap());
    let mut records = vec![Record::Device(device("new", Family::Air, 1)), reading("once", T0, "pm2_5", 1.0)];
    // Every ten minutes: a backlog as far as event time goes, and all of it arrives at T0.
    for i in 0..6 {
        let mut observation = support::observation("slow", T0 - i * 600_000, "pm2_5", 1.0);
        observation.ingest_time = Timestamp(T0);
        records.push(Record::Observation(observation));
    }
    records.reverse();
    take_in(&book, &records).await;
    let state = |id: &str, after_s: i64| view(&book, id, T0 + after_s * 1000).state;
    assert_eq!(state("new", 0), DeviceState::Never);
    assert_eq!(state("once", 300), DeviceState::Ok);
    assert_eq!(state("once", 301), DeviceState::Late);
    assert_eq!(view(&book, "slow", T0).interval_ms, Some(600_000));
    assert_eq!(state("slow", 1800), DeviceState::Ok);
    assert_eq!(state("slow", 1801), DeviceState::Late);
    let worst =
        FxHashMap::from_iter([("once".into(), (Severity::Severe, 2)), ("new".into(), (Severity::Minor, 1))]);
    let views = book.views(&worst, Timestamp(T0 + 301_000));
    let once = views.iter().find(|view| view.id == "once").unwrap();
    assert_eq!(
        (once.state, once.is_late, once.severity, once.alerts),
        (DeviceState::Alert, true, Some(Severity::Severe), 2)
    );
    assert!(!once.is_registered);
}

#[tokio::test]
async fn quarantine_keeps_the_last_few_of_each_device() {
    let folder = tempfile::tempdir().unwrap();
    let book = Arc::new(DeviceBook::open(&folder.path().join("devices.db")).unwrap());
    let (log, (metrics, _)) = (log(), metrics());
    let refused = |device: &str, number: i64| {
        Record::Quarantined(Quarantined {
            device: device.into(),
            topic_name: format!("up/{device}/telemetry"),
            ingest_time: Timestamp(T0 + number),
            reason: Reason::Malformed,
            detail: format!("number {number}"),
            payload: if number % 2 == 0 { b"{".to_vec() } else { vec![0xff; 10_000] },
            count: 1,
        })
    };
    let noisy: Vec<Record> = (0..50).map(|number| refused("noisy", number)).collect();
    append(&log, Topic::Quarantine, &[refused("quiet", 0)]).await;
    append(&log, Topic::Quarantine, &noisy).await;
    log.fail_next_commits(1);
    log.close();
    let around = || ambient(&metrics, &Hands::new());
    let run = || {
        sinks::run(
            log.consumer("devices", DeviceSink::TOPICS),
            DeviceSink::new(Arc::clone(&book)),
            around(),
            CancellationToken::new(),
        )
    };
    run().await.unwrap_err();
    run().await.unwrap();
    let kept = book.quarantined(Some("noisy"), 1000).unwrap();
    let details: Vec<_> = kept.iter().map(|view| view.detail.as_str()).collect();
    let expected: Vec<String> = (30..50).rev().map(|number| format!("number {number}")).collect();
    assert_eq!(details, expected, "the newest first, none twice although the log was read twice");
    assert_eq!((kept[0].text.as_deref(), kept[0].size, kept[0].hex.len()), (None, 10_000, 2 * 2048));
    assert_eq!((kept[1].text.as_deref(), kept[1].hex.as_str()), (Some("{"), "7b"));
    assert_eq!(book.quarantined(None, 1000).unwrap().len(), 21, "another device's one is still there");
}
