//! What a record costs from its bytes to where it is visible: `cargo bench -p sinks`.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use prometheus::Registry;
use records::{
    Alert, AlertState, Batch, Body, Fetched, Observation, Quality, Quantity, Reading, Record, Severity,
    Subject, Timestamp, Topic, TopicPartition, UseCase,
};
use sinks::store::{Options, Store};
use sinks::{AlertBook, DeviceBook, DeviceSink, Metrics, SeriesSink, Sink};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

const RECORDS: u64 = 1000;
const T0: i64 = 1_795_334_400_000;

/// A batch of observations of 200 devices with six readings each.
fn fetched(first: u64) -> Fetched {
    let names = ["pm2_5", "pm10", "so2", "no2", "temperature", "humidity"].map(Quantity::from_name);
    let mut batch = Batch::new();
    for offset in first..first + RECORDS {
        let device = format!("air-{:04}", offset % 200);
        let at = Timestamp(T0 + offset as i64 * 10);
        let reading = |(index, quantity): (usize, &Quantity)| Reading {
            quantity: quantity.clone(),
            value: (offset % 97) as f64 + index as f64 / 10.0,
            quality: Quality::GOOD,
        };
        let observation = Observation {
            device: device.as_str().into(),
            epoch: 0,
            sequence: Some(offset),
            device_time: Some(at),
            event_time: at,
            ingest_time: at,
            position: None,
            stated: None,
            is_late: false,
            body: Body::Readings(names.iter().enumerate().map(reading).collect()),
        };
        batch.push_with(device.as_bytes(), |bytes| Record::Observation(observation).encode(bytes));
    }
    let partition = TopicPartition { topic: Topic::Observations, partition: 0 };
    Fetched { partition, first, lost: 0, batch: Arc::new(batch) }
}

/// Batches that follow each other without end.
fn batches() -> impl FnMut() -> Fetched {
    let mut first = 0;
    move || {
        first += RECORDS;
        fetched(first - RECORDS)
    }
}

fn devices(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder for the bench");
    let runtime = Runtime::new().expect("a runtime");
    let book = Arc::new(DeviceBook::open(&folder.path().join("devices.db")).expect("a fresh book opens"));
    let mut sink = DeviceSink::new(book);
    let mut next = batches();
    let mut group = criterion.benchmark_group("devices");
    group.throughput(Throughput::Elements(RECORDS));
    group.bench_function("observation of 6 readings", |bencher| {
        bencher.iter_batched(
            &mut next,
            |fetched| runtime.block_on(sink.write(&fetched)).expect("memory takes it"),
            BatchSize::SmallInput,
        );
    });
}

fn series(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder for the bench");
    let runtime = Runtime::new().expect("a runtime");
    let metrics = Metrics::register(&Registry::new()).expect("an empty registry");
    let store = Store::open(&folder.path().join("series"), Options::default()).expect("a fresh store opens");
    let mut sink = SeriesSink::new(store, Arc::new(|| Timestamp(T0)), Duration::from_secs(60), metrics);
    let mut next = batches();
    let mut group = criterion.benchmark_group("series");
    group.throughput(Throughput::Elements(RECORDS));
    group.bench_function("observation of 6 readings, with its share of sealing", |bencher| {
        bencher.iter_batched(
            &mut next,
            |fetched| {
                runtime.block_on(async {
                    sink.write(&fetched).await.expect("memory takes it");
                    if sink.flush_due().is_some_and(|due| due <= tokio::time::Instant::now()) {
                        sink.flush().await.expect("the disk takes it");
                    }
                });
            },
            BatchSize::SmallInput,
        );
    });
}

fn alerts(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder for the bench");
    let book = AlertBook::open(&folder.path().join("alerts.db")).expect("a fresh book opens");
    let mut opened_at = T0;
    let mut group = criterion.benchmark_group("alerts");
    group.throughput(Throughput::Elements(100));
    group.bench_function("transition, 100 a commit", |bencher| {
        bencher.iter_batched(
            || {
                opened_at += 100;
                (opened_at - 100..opened_at).map(alert).collect::<Vec<_>>()
            },
            |alerts| book.enter(&alerts).expect("the disk takes it"),
            BatchSize::SmallInput,
        );
    });
}

fn alert(opened_at: i64) -> Alert {
    Alert {
        id: format!("air.iaqi/air-0001/{opened_at}").into(),
        transition: 0,
        rule: "air.iaqi".into(),
        use_case: UseCase::Environment,
        subject: Subject::Device("air-0001".into()),
        area: "Tianhe".into(),
        position: None,
        state: AlertState::Open,
        severity: Severity::Severe,
        opened_at: Timestamp(opened_at),
        at: Timestamp(opened_at),
        as_of: Timestamp(opened_at),
        quantity: "iaqi_pm2_5".into(),
        value: 168.0,
        threshold: 150.0,
        text: "PM2.5 is at IAQI 168: moderately polluted".to_owned(),
        source: "HJ 633-2026, table 3".into(),
        is_backfill: false,
        actor: None,
        note: None,
    }
}

criterion_group!(benches, devices, series, alerts);
criterion_main!(benches);
