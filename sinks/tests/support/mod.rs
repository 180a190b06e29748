//! What the tests of this crate share: made-up records, a console on a real listener, and a small HTTP client.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod http;
#[cfg(feature = "influx")]
pub mod influx;
#[cfg(feature = "webhook")]
pub mod webhook;

use prometheus::Registry;
use records::{
    Alert, AlertState, Batch, Body, Device, Family, MemoryLog, Observation, Position, Producer, Quality,
    Quantity, Reading, Record, Severity, Subject, Timestamp, Topic, TopicPartition, UseCase,
};
use sinks::console::{Actions, QueryLimits, router, serve};
use sinks::store::{Options, Store};
use sinks::{
    AlertBook, AlertSink, Ambient, Clock, ConsoleState, DeviceBook, DeviceSink, LedgerBook, LedgerSink,
    Login, Metrics, Notices, SeriesSink, Sink, SinkError,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// 2026-11-22T08:00:00Z
pub const T0: i64 = 1_795_334_400_000;

/// A clock that stands still until it is told.
#[derive(Clone)]
pub struct Hands(Arc<AtomicI64>);

impl Hands {
    pub fn new() -> Hands {
        Hands(Arc::new(AtomicI64::new(T0)))
    }

    pub fn forward(&self, by: Duration) {
        self.0.fetch_add(by.as_millis() as i64, Ordering::SeqCst);
    }

    pub fn clock(&self) -> Clock {
        let hands = Arc::clone(&self.0);
        Arc::new(move || Timestamp(hands.load(Ordering::SeqCst)))
    }
}

pub fn metrics() -> (Metrics, Registry) {
    let registry = Registry::new();
    (Metrics::register(&registry).unwrap(), registry)
}

/// The value of a metric, summed over its labels; 0 while it has none.
pub fn count(registry: &Registry, name: &str) -> f64 {
    let families = registry.gather();
    let values =
        families.iter().filter(|family| family.name() == name).flat_map(|family| family.get_metric());
    values.map(|metric| metric.get_counter().get_value() + metric.get_gauge().get_value()).sum()
}

pub fn ambient(metrics: &Metrics, hands: &Hands) -> Ambient {
    Ambient {
        metrics: metrics.clone(),
        notices: Notices::default(),
        clock: hands.clock(),
        seed: 7,
        look_again: Duration::from_millis(500),
    }
}

pub fn log() -> MemoryLog {
    MemoryLog::new(|_| 1)
}

pub async fn append(log: &MemoryLog, topic: Topic, records: &[Record]) {
    append_to(log, TopicPartition { topic, partition: 0 }, records).await;
}

pub async fn append_to(log: &MemoryLog, partition: TopicPartition, records: &[Record]) {
    let mut batch = Batch::new();
    for record in records {
        batch.push_with(b"key", |bytes| record.encode(bytes));
    }
    log.append(vec![(partition, batch)]).await.unwrap();
}

pub async fn append_bytes(log: &MemoryLog, topic: Topic, values: &[&[u8]]) {
    let mut batch = Batch::new();
    for value in values {
        batch.push(b"key", value);
    }
    log.append(vec![(TopicPartition { topic, partition: 0 }, batch)]).await.unwrap();
}

pub fn device(id: &str, family: Family, updated_at: i64) -> Device {
    Device {
        id: id.into(),
        family,
        label: format!("The {id}").into(),
        area: "Tianhe".into(),
        rank: 3,
        position: Some(Position { lon: 113.3, lat: 23.1 }),
        is_enabled: true,
        updated_at: Timestamp(updated_at),
        limits: Vec::new(),
    }
}

pub fn observation(device: &str, at: i64, quantity: &str, value: f64) -> Observation {
    let reading = Reading { quantity: Quantity::from_name(quantity), value, quality: Quality::GOOD };
    Observation {
        device: device.into(),
        epoch: 0,
        sequence: None,
        device_time: Some(Timestamp(at)),
        event_time: Timestamp(at),
        ingest_time: Timestamp(at),
        position: None,
        stated: None,
        is_late: false,
        body: Body::Readings(vec![reading]),
    }
}

pub fn reading(device: &str, at: i64, quantity: &str, value: f64) -> Record {
    Record::Observation(observation(device, at, quantity, value))
}

/// An alert about `device`, as it opens.
pub fn alert(device: &str, opened_at: i64) -> Alert {
    Alert {
        id: format!("air.iaqi/{device}/{opened_at}").into(),
        transition: 0,
        rule: "air.iaqi".into(),
        use_case: UseCase::Environment,
        subject: Subject::Device(device.into()),
        area: "Tianhe".into(),
        position: None,
        state: AlertState::Open,
        severity: Severity::Moderate,
        opened_at: Timestamp(opened_at),
        at: Timestamp(opened_at),
        as_of: Timestamp(opened_at),
        quantity: "iaqi_pm2_5".into(),
        value: 160.0,
        threshold: 150.0,
        text: format!("PM2.5 at {device}"),
        source: "HJ 633-2026".into(),
        is_backfill: false,
        actor: None,
        note: None,
    }
}

/// The next transition of `alert`.
pub fn next(alert: &Alert, state: AlertState, at: i64) -> Alert {
    Alert { transition: alert.transition + 1, state, at: Timestamp(at), ..alert.clone() }
}

pub fn on_log(alert: &Alert) -> Record {
    Record::Alert(Box::new(alert.clone()))
}

/// A whole console on loopback, with its sinks on a log in memory.
pub struct Console {
    pub address: SocketAddr,
    pub log: MemoryLog,
    pub hands: Hands,
    pub registry: Registry,
    pub alerts: Arc<AlertBook>,
    pub devices: Arc<DeviceBook>,
    pub store: Store,
    pub notices: Notices,
    pub stop: CancellationToken,
    pub serving: JoinHandle<()>,
    _folder: TempDir,
}

impl Console {
    pub async fn start() -> Console {
        Console::start_with(None).await
    }

    pub async fn start_with(login: Option<Login>) -> Console {
        Console::start_bounded(login, QueryLimits::default()).await
    }

    pub async fn start_bounded(login: Option<Login>, limits: QueryLimits) -> Console {
        let folder = tempfile::tempdir().unwrap();
        let (log, hands, stop) = (log(), Hands::new(), CancellationToken::new());
        let (metrics, registry) = metrics();
        let store = Store::open(&folder.path().join("series"), Options::default()).unwrap();
        let alerts = Arc::new(AlertBook::open(&folder.path().join("alerts.db")).unwrap());
        let devices = Arc::new(DeviceBook::open(&folder.path().join("devices.db")).unwrap());
        let ledger = Arc::new(LedgerBook::open(&folder.path().join("ledger.db")).unwrap());
        let minute = Duration::from_secs(60);
        let series = SeriesSink::new(store.clone(), hands.clock(), minute, metrics.clone());
        let notices = Notices::default();
        let around = || Ambient { notices: notices.clone(), ..ambient(&metrics, &hands) };
        start(&log, SeriesSink::TOPICS, series, around(), &stop);
        start(&log, AlertSink::TOPICS, AlertSink::new(Arc::clone(&alerts), metrics.clone()), around(), &stop);
        start(&log, DeviceSink::TOPICS, DeviceSink::new(Arc::clone(&devices)), around(), &stop);
        start(&log, LedgerSink::TOPICS, LedgerSink::new(Arc::clone(&ledger)), around(), &stop);
        let state = ConsoleState {
            store: store.clone(),
            alerts: Arc::clone(&alerts),
            devices: Arc::clone(&devices),
            ledger,
            notices: notices.clone(),
            actions: Actions::new(log.clone()),
            clock: hands.clock(),
            login,
            metrics,
            limits,
            stop: stop.clone(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = serve(listener, router(state), stop.clone());
        let serving = tokio::spawn(async move { serving.await.unwrap() });
        Console {
            address,
            log,
            hands,
            registry,
            alerts,
            devices,
            store,
            notices,
            stop,
            serving,
            _folder: folder,
        }
    }

    pub async fn get(&self, path: &str) -> http::Answer {
        http::Request::get(path).send(self.address).await
    }

    /// Asks until `is_there`, for what sinks bring within moments.
    pub async fn get_until(&self, path: &str, is_there: impl Fn(&http::Answer) -> bool) -> http::Answer {
        eventually(async || Some(self.get(path).await).filter(&is_there)).await
    }
}

fn start<S: Sink + 'static>(
    log: &MemoryLog,
    topics: &[Topic],
    sink: S,
    ambient: Ambient,
    stop: &CancellationToken,
) -> JoinHandle<Result<(), SinkError>> {
    tokio::spawn(sinks::run(log.consumer(sink.name(), topics), sink, ambient, stop.clone()))
}

/// What `look` finds, within ten seconds.
pub async fn eventually<T>(look: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_within(Duration::from_secs(10), look).await
}

/// What `look` finds, within `time`.
pub async fn eventually_within<T>(time: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let until = std::time::Instant::now() + time;
    while std::time::Instant::now() < until {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it did not come about within {time:?}");
}
