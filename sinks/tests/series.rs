//! Observations and aggregates into the store: once each, whatever happens between seal and commit.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod support;

use records::{
    Aggregate, Body, MemoryLog, Passage, Quantity, Record, Sighting, Subject, TagRead, Timestamp, Topic,
    VehicleClass, Window,
};
use sinks::store::{Happening, Options, Store, Trace};
use sinks::{SeriesSink, SinkError};
use std::path::Path;
use std::time::Duration;
use support::{Hands, T0, ambient, append, append_bytes, count, log, metrics, observation, reading};
use tokio_util::sync::CancellationToken;

fn open(folder: &Path) -> Store {
    Store::open(&folder.join("series"), Options::default()).unwrap()
}

async fn run_to_end(log: &MemoryLog, store: &Store) -> Result<(), SinkError> {
    let (metrics, _) = metrics();
    let hands = Hands::new();
    let sink = SeriesSink::new(store.clone(), hands.clock(), Duration::from_secs(60), metrics.clone());
    let consumer = log.consumer("series", SeriesSink::TOPICS);
    sinks::run(consumer, sink, ambient(&metrics, &hands), CancellationToken::new()).await
}

fn values(store: &Store, subject: &str, quantity: &str) -> Vec<f64> {
    store.range(subject, quantity, Timestamp(0), Timestamp(T0 * 2), 10_000).unwrap().mean
}

fn aggregate(subject: Subject, revision: u32, mean: f64) -> Record {
    Record::Aggregate(Aggregate {
        subject,
        area: "Ring".into(),
        quantity: Quantity::from_name("speed"),
        window: Window { start: Timestamp(T0), end: Timestamp(T0 + 60_000) },
        revision,
        count: 2,
        good: 2,
        sum: 2.0 * mean,
        mean,
        min: mean,
        max: mean,
        as_of: Timestamp(T0),
        is_backfill: false,
    })
}

#[tokio::test]
async fn a_crash_between_seal_and_commit_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = log();
    let rows: Vec<Record> = (0..100).map(|i| reading("a", T0 + i * 1000, "pm2_5", i as f64)).collect();
    append(&log, Topic::Observations, &rows).await;
    log.close();
    log.fail_next_commits(1);
    let store = open(folder.path());
    let result = run_to_end(&log, &store).await;
    assert!(matches!(result, Err(SinkError::Log(_))), "sealed, and then the commit fails: {result:?}");
    assert_eq!(store.rows_in_memory(), 0, "sealed");
    drop(store);
    let store = open(folder.path());
    run_to_end(&log, &store).await.unwrap();
    let expected: Vec<f64> = (0..100).map(f64::from).collect();
    assert_eq!(values(&store, "a", "pm2_5"), expected);
}

#[tokio::test]
async fn what_was_not_sealed_is_read_from_the_log_again() {
    let folder = tempfile::tempdir().unwrap();
    let log = log();
    append(&log, Topic::Observations, &[reading("a", T0, "pm2_5", 1.0)]).await;
    let store = open(folder.path());
    let (metrics, registry) = metrics();
    let hands = Hands::new();
    let sink = SeriesSink::new(store.clone(), hands.clock(), Duration::from_secs(60), metrics.clone());
    let consumer = log.consumer("series", SeriesSink::TOPICS);
    let running =
        tokio::spawn(sinks::run(consumer, sink, ambient(&metrics, &hands), CancellationToken::new()));
    support::eventually(async || (values(&store, "a", "pm2_5") == [1.0]).then_some(())).await;
    assert_eq!(count(&registry, "sluice_sinks_sealed_rows_total"), 0.0, "visible before it is sealed");
    running.abort();
    let _ = running.await;
    drop(store);
    log.close();
    let store = open(folder.path());
    assert!(values(&store, "a", "pm2_5").is_empty());
    run_to_end(&log, &store).await.unwrap();
    assert_eq!(values(&store, "a", "pm2_5"), [1.0]);
}

fn sighting(epc: &str) -> Record {
    Record::Sighting(Sighting {
        area: "Ring".into(),
        device: "gate".into(),
        epc: epc.into(),
        first_seen: Timestamp(T0 - 2_000),
        last_seen: Timestamp(T0),
        count: 5,
        as_of: Timestamp(T0 + 3_000),
    })
}

#[tokio::test]
async fn rows_of_every_kind() {
    let folder = tempfile::tempdir().unwrap();
    let log = log();
    let read = |epc: &str, count| TagRead {
        epc: epc.into(),
        antenna: 1,
        rssi: None,
        count,
        first_seen: None,
        last_seen: None,
    };
    let tags = Body::TagReads(vec![read("E2801160600002084C1D0001", 3), read("E2801160600002084C1D0002", 2)]);
    let passage = |after: i64, speed| Passage {
        at: Timestamp(T0 - 5_000 + after),
        lane: 1,
        speed,
        class: VehicleClass::Car,
    };
    let passages =
        Body::Passages(vec![passage(0, Some(50.0)), passage(900, None), passage(1800, Some(70.0))]);
    let mut gate = observation("gate", T0, "battery", 0.0);
    gate.body = tags;
    // This device's clock is five seconds behind; the clock model has put the message right.
    let mut radar = observation("radar", T0, "speed", 0.0);
    radar.device_time = Some(Timestamp(T0 - 5_000));
    radar.body = passages;
    append(&log, Topic::Observations, &[Record::Observation(gate), Record::Observation(radar)]).await;
    append_bytes(&log, Topic::Observations, &[b"\xff not a record"]).await;
    let area = || Subject::Area("radar".into());
    append(&log, Topic::Aggregates, &[aggregate(area(), 0, 40.0), aggregate(area(), 1, 41.0)]).await;
    append(&log, Topic::Aggregates, &[aggregate(Subject::Device("radar".into()), 0, 60.0)]).await;
    append(&log, Topic::Aggregates, &[sighting("E2801160600002084C1D0001")]).await;
    log.close();
    let store = open(folder.path());
    run_to_end(&log, &store).await.unwrap();
    assert_eq!(values(&store, "gate", "tag_reads"), [5.0]);
    assert_eq!(values(&store, "radar", "vehicle_count"), [3.0]);
    let speeds = store.range("radar", "speed", Timestamp(0), Timestamp(T0 * 2), 100).unwrap();
    assert_eq!(speeds.mean, [50.0, 70.0]);
    assert_eq!(speeds.t, [Timestamp(T0), Timestamp(T0 + 1800)], "corrected as the message was");
    let windows = |subject: &str| -> Vec<f64> {
        let rows = store.aggregates(subject, "speed", None, Timestamp(0), Timestamp(T0 * 2)).unwrap();
        rows.iter().map(|row| row.mean).collect()
    };
    assert_eq!(windows("area/radar"), [41.0], "an area and a device of one name are two; the revision wins");
    assert_eq!(windows("radar"), [60.0]);
    let (from, to) = (Timestamp(0), Timestamp(T0 * 2));
    let all = Trace { kinds: &Happening::ALL, tag: None, devices: None, area: None, from, to, limit: 100 };
    let told = |trace: Trace<'_>| -> Vec<(Happening, i64, i64, u32)> {
        let rows = store.trace(trace).unwrap();
        rows.iter().map(|row| (row.kind, row.at.0 - T0, row.until.0 - T0, row.count)).collect()
    };
    let tag = Some("E2801160600002084C1D0001");
    assert_eq!(
        told(Trace { tag, ..all }),
        [(Happening::Sighting, -2_000, 0, 5), (Happening::TagRead, 0, 0, 3)]
    );
    let passages = told(Trace { kinds: &[Happening::Passage], ..all });
    assert_eq!(passages.iter().map(|row| row.1).collect::<Vec<_>>(), [0, 900, 1_800], "corrected too");
}
