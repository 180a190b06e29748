//! A stand-in for InfluxDB that answers as it is told, and lanes on a log in memory.

use super::{Hands, ambient, metrics};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use flate2::read::GzDecoder;
use prometheus::Registry;
use records::{
    Aggregate, MemoryConsumer, MemoryLog, Quantity, Record, Subject, Timestamp, Topic, TopicPartition, Window,
};
use sinks::influx::{BACKFILL_GROUP, InfluxOptions, InfluxSink, LIVE_GROUP, Leading, Ledger, Trailing};
use sinks::{Ambient, DeviceBook, Notices, SinkError, run};
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What it answers to a body.
pub type Reply = Box<dyn FnMut(&str) -> (u16, String) + Send>;

/// A server on loopback.
#[derive(Clone)]
pub struct StandIn {
    pub url: String,
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    reply: Reply,
    /// Path, authorization and body of each request.
    requests: Vec<(String, String, String)>,
    /// The lines that were answered with 204, in order.
    taken: Vec<String>,
}

impl StandIn {
    pub async fn start(reply: impl FnMut(&str) -> (u16, String) + Send + 'static) -> StandIn {
        let inner = Inner { reply: Box::new(reply), requests: Vec::new(), taken: Vec::new() };
        let inner = Arc::new(Mutex::new(inner));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&inner));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        StandIn { url, inner }
    }

    /// One that takes everything.
    pub async fn willing() -> StandIn {
        StandIn::start(|_| (204, String::new())).await
    }

    pub fn reply_with(&self, reply: impl FnMut(&str) -> (u16, String) + Send + 'static) {
        self.inner.lock().unwrap().reply = Box::new(reply);
    }

    pub fn taken(&self) -> Vec<String> {
        self.inner.lock().unwrap().taken.clone()
    }

    pub fn requests(&self) -> Vec<(String, String, String)> {
        self.inner.lock().unwrap().requests.clone()
    }
}

async fn answer(State(inner): State<Arc<Mutex<Inner>>>, request: Request) -> (StatusCode, String) {
    let (parts, body) = request.into_parts();
    let path = parts.uri.to_string();
    assert_eq!(parts.headers["content-encoding"], "gzip");
    let authorization = parts.headers["authorization"].to_str().unwrap().to_owned();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    let mut text = String::new();
    GzDecoder::new(body.as_ref()).read_to_string(&mut text).unwrap();
    let mut inner = inner.lock().unwrap();
    let (status, words) = (inner.reply)(&text);
    if status == 204 {
        inner.taken.extend(text.lines().map(str::to_owned));
    }
    inner.requests.push((path, authorization, text));
    let body = if words.is_empty() { words } else { format!("{{\"code\":\"x\",\"message\":\"{words}\"}}") };
    (StatusCode::from_u16(status).unwrap(), body)
}

/// Both lanes, with what surrounds them.
pub struct Lanes {
    pub log: MemoryLog,
    pub hands: Hands,
    pub registry: Registry,
    pub notices: Notices,
    pub ledger: Ledger,
    pub options: InfluxOptions,
    /// Those of the live and of the backfill lane; all when not said.
    pub partitions: Option<(Vec<u32>, Vec<u32>)>,
    pub devices: Option<Arc<DeviceBook>>,
    stop: CancellationToken,
    running: Vec<JoinHandle<Result<(), SinkError>>>,
    folder: TempDir,
}

impl Lanes {
    /// Lanes to `url` that are not running yet.
    pub fn new(url: &str, log: MemoryLog) -> Lanes {
        let options = InfluxOptions {
            url: url.to_owned(),
            org: "sluice".to_owned(),
            bucket: "telemetry".to_owned(),
            batch_age: Duration::from_millis(20),
            ..InfluxOptions::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("influx.db")).unwrap();
        Lanes {
            log,
            hands: Hands::new(),
            registry: Registry::new(),
            notices: Notices::default(),
            ledger,
            options,
            partitions: None,
            devices: None,
            stop: CancellationToken::new(),
            running: Vec::new(),
            folder,
        }
    }

    /// Lanes of another process on the same log, which read these partitions alone.
    pub fn beside(&self, live: &[u32], backfill: &[u32]) -> Lanes {
        let mut other = Lanes::new(&self.options.url, self.log.clone());
        other.options = self.options.clone();
        other.hands = self.hands.clone();
        other.partitions = Some((live.to_vec(), backfill.to_vec()));
        other
    }

    fn consumer(&self, group: &str, topics: &[Topic]) -> MemoryConsumer {
        let Some((live, backfill)) = &self.partitions else { return self.log.consumer(group, topics) };
        let partitions = if group == LIVE_GROUP { live } else { backfill };
        let place = |topic: &Topic| {
            let topic = *topic;
            partitions.iter().map(move |partition| TopicPartition { topic, partition: *partition })
        };
        self.log.consumer_of(group, topics.iter().flat_map(place).collect())
    }

    /// Runs both, from what the ledger in the folder and the log's offsets say.
    pub fn start(&mut self) {
        self.ledger = Ledger::open(&self.path()).unwrap();
        if let Some(devices) = &self.devices {
            self.ledger = self.ledger.clone().with_devices(Arc::clone(devices));
        }
        let (metrics, registry) = metrics();
        self.registry = registry;
        self.stop = CancellationToken::new();
        let (ledger, token) = (self.ledger.clone(), "secret");
        let clock = self.hands.clock();
        let live = InfluxSink::live(&self.options, token, ledger.clone(), clock, metrics.clone()).unwrap();
        let backfill = InfluxSink::backfill(&self.options, token, ledger.clone(), metrics.clone()).unwrap();
        let topics = self.options.topics();
        let around = Ambient { notices: self.notices.clone(), ..ambient(&metrics, &self.hands) };
        let consumer = self.consumer(LIVE_GROUP, topics);
        let consumer = Leading::new(consumer, ledger.clone());
        self.running.push(tokio::spawn(run(consumer, live, around.clone(), self.stop.clone())));
        let consumer = self.consumer(BACKFILL_GROUP, topics);
        let consumer = Trailing::new(consumer, ledger, self.options.backfill_rate, metrics.clone());
        self.running.push(tokio::spawn(run(consumer, backfill, around, self.stop.clone())));
    }

    /// Ends both and waits for them.
    pub async fn stop(&mut self) {
        self.stop.cancel();
        for lane in self.running.drain(..) {
            lane.await.unwrap().unwrap();
        }
    }

    /// Ends both as a crash would.
    pub async fn kill(&mut self) {
        for lane in self.running.drain(..) {
            lane.abort();
            let _ = lane.await;
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("influx.db")
    }
}

/// A window of ten minutes that begins at `start`.
pub fn window(device: &str, quantity: &str, start: i64, mean: f64) -> Aggregate {
    let window = Window { start: Timestamp(start), end: Timestamp(start + 600_000) };
    Aggregate {
        subject: Subject::Device(device.into()),
        area: "Tianhe".into(),
        quantity: Quantity::from_name(quantity),
        window,
        revision: 0,
        count: 10,
        good: 9,
        sum: mean * 9.0,
        mean,
        min: mean - 1.0,
        max: mean + 1.0,
        as_of: Timestamp(start + 600_000),
        is_backfill: false,
    }
}

pub fn closed(window: Aggregate) -> Record {
    Record::Aggregate(window)
}
