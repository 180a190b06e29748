//! A gateway on a loopback port, a log that does what a test says, and MQTT by the byte.

#![allow(dead_code, reason = "each test binary uses its part of it")]
#![allow(clippy::unwrap_used, reason = "a test's own scaffolding")]

pub mod mutation;
pub mod proof;

use gateway::{
    Fanout, Limits, Listener, Metrics, NewDevice, NewSubscriber, Parts, Promise, Registry, SessionStore,
    Shedding,
};
use records::{
    AppendError, Batch, Crs, Family, LogError, MemoryLog, Note, Noted, Offset, Producer, Record, Timestamp,
    Topic, TopicPartition, partition_of,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const NOW: Timestamp = Timestamp(1_800_000_000_000);
const PATIENCE: Duration = Duration::from_secs(10);

/// What the log does with an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Takes,
    Waits,
    Full,
    Fails,
    /// Takes it and says that it failed.
    Doubts,
    /// And will not take it later.
    Refuses,
    Closed,
}

/// The memory log with two partitions a topic, which a test can hold up for as long as it likes.
#[derive(Clone, Debug)]
pub struct TestLog {
    log: MemoryLog,
    mood: watch::Sender<Mood>,
    /// Records of each append that has any.
    sizes: Arc<Mutex<Vec<usize>>>,
    notes: Arc<Mutex<BTreeMap<Vec<u8>, Vec<u8>>>>,
    pub made: Timestamp,
}

impl TestLog {
    pub fn new() -> TestLog {
        TestLog {
            log: MemoryLog::new(|_| 2),
            mood: watch::channel(Mood::Takes).0,
            sizes: Arc::default(),
            notes: Arc::default(),
            made: NOW,
        }
    }

    /// What a crash at this moment leaves.
    pub async fn copy(&self) -> TestLog {
        let copy = TestLog { made: self.made, ..TestLog::new() };
        for topic in Topic::ALL {
            for (place, _, key, value) in self.log.read_all(topic) {
                let mut batch = Batch::new();
                batch.push(&key, &value);
                copy.log.append(vec![(place, batch)]).await.unwrap();
            }
        }
        copy.notes.lock().unwrap().clone_from(&self.notes.lock().unwrap());
        copy
    }

    /// Keys and values of what is noted.
    pub fn noted(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.notes.lock().unwrap().clone().into_iter().collect()
    }

    /// Puts something else in the place of what was noted.
    pub fn spoil(&self, key: &[u8]) {
        self.notes.lock().unwrap().insert(key.to_vec(), b"spoilt".to_vec()).expect("it was there");
    }

    pub fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// Every record of a topic with its key, partition after partition.
    pub fn records(&self, topic: Topic) -> Vec<(String, Record)> {
        let all = self.log.read_all(topic).into_iter().map(|(place, _, key, value)| {
            assert_eq!(place.partition, partition_of(&key, 2));
            (String::from_utf8(key).unwrap(), Record::decode(&value).unwrap())
        });
        all.collect()
    }

    /// Sequence numbers of a device's observations, in the order of the log.
    pub fn sequences(&self, device: &str) -> Vec<u64> {
        let of_device = |(key, record): (String, Record)| match record {
            Record::Observation(observation) if key == device => observation.sequence,
            _ => None,
        };
        self.records(Topic::Telemetry).into_iter().filter_map(of_device).collect()
    }

    /// Records of each append, in order.
    pub fn sizes(&self) -> Vec<usize> {
        self.sizes.lock().unwrap().clone()
    }

    async fn take(
        &self,
        batches: Vec<(TopicPartition, Batch)>,
        notes: &[Note],
    ) -> Result<Vec<Offset>, AppendError> {
        if !batches.is_empty() {
            self.sizes.lock().unwrap().push(batches.iter().map(|(_, batch)| batch.len()).sum());
        }
        let offsets = self.log.append(batches).await?;
        let mut noted = self.notes.lock().unwrap();
        for note in notes {
            match note.clone() {
                Note::Put { key, value } | Note::Claim { key, value } => drop(noted.insert(key, value)),
                Note::Remove { key } => drop(noted.remove(&key)),
                Note::RemoveSame { key, value } => noted.retain(|it, its| *it != key || *its != value),
                Note::RemoveUnder { prefix } => noted.retain(|key, _| !key.starts_with(&prefix)),
            }
        }
        Ok(offsets)
    }

    fn is_known(&self, notes: &[Note]) -> bool {
        let noted = self.notes.lock().unwrap();
        notes.iter().any(|note| matches!(note, Note::Claim { key, value } if noted.get(key) == Some(value)))
    }

    async fn offer(
        &self,
        batches: Vec<(TopicPartition, Batch)>,
        notes: Vec<Note>,
    ) -> Result<Vec<Offset>, AppendError> {
        let mut mood = self.mood.subscribe();
        let mood = *mood.wait_for(|mood| *mood != Mood::Waits).await.unwrap();
        match mood {
            Mood::Takes | Mood::Waits | Mood::Doubts if self.is_known(&notes) => Ok(vec![]),
            Mood::Takes | Mood::Waits => self.take(batches, &notes).await,
            Mood::Full => Err(AppendError::Full("test".into())),
            Mood::Fails => Err(AppendError::Unavailable("test".into())),
            Mood::Doubts => {
                self.take(batches, &notes).await.and(Err(AppendError::Unavailable("test".into())))
            }
            Mood::Refuses => Err(AppendError::Refused("test".into())),
            Mood::Closed => Err(AppendError::Closed),
        }
    }
}

impl Producer for TestLog {
    fn partitions(&self, topic: Topic) -> u32 {
        self.log.partitions(topic)
    }

    async fn append(&self, batches: Vec<(TopicPartition, Batch)>) -> Result<Vec<Offset>, AppendError> {
        self.offer(batches, Vec::new()).await
    }
}

impl SessionStore for TestLog {
    fn append(
        &self,
        batches: Vec<(TopicPartition, Batch)>,
        notes: Vec<Note>,
    ) -> Promise<Result<(), AppendError>> {
        let log = self.clone();
        Box::pin(async move { log.offer(batches, notes).await.map(|_| ()) })
    }

    fn notes(&self, prefix: &[u8]) -> Promise<Result<Noted, LogError>> {
        let under = self.noted().into_iter().filter(|(key, _)| key.starts_with(prefix));
        let (spoilt, pairs): (Vec<_>, Vec<_>) = under.partition(|(_, value)| value == b"spoilt");
        let damaged = spoilt.into_iter().map(|(key, _)| key).collect();
        Box::pin(async move { Ok(Noted { pairs, damaged }) })
    }

    fn made(&self) -> Timestamp {
        self.made
    }

    fn place(&self) -> String {
        "the notes of a test".to_owned()
    }
}

/// A running gateway.
pub struct Site {
    pub address: SocketAddr,
    /// The same in a WebSocket.
    pub websocket: SocketAddr,
    pub log: TestLog,
    pub registry: Arc<Registry>,
    pub fanout: Arc<Fanout>,
    pub stop: CancellationToken,
    pub running: JoinHandle<Result<(), gateway::GatewayError>>,
    metrics: prometheus::Registry,
    pub folder: Arc<TempDir>,
    time: Arc<AtomicI64>,
    limits: Limits,
}

pub const PASSWORD: &str = "correct horse";

impl Site {
    pub async fn open(devices: &[&str]) -> Site {
        Site::open_with(devices, Limits::default()).await
    }

    pub async fn open_with(devices: &[&str], limits: Limits) -> Site {
        Site::open_behind(devices, limits, Listener::plain).await
    }

    /// That may leave something out.
    pub async fn open_shedding(devices: &[&str], shedding: Shedding) -> Site {
        Site::start(devices, Limits::default(), shedding, Listener::plain).await
    }

    /// With listeners of its own kind.
    pub async fn open_behind(
        devices: &[&str],
        limits: Limits,
        listen: impl Fn(TcpListener) -> Listener,
    ) -> Site {
        Site::start(devices, limits, Shedding::default(), listen).await
    }

    async fn start(
        devices: &[&str],
        limits: Limits,
        shedding: Shedding,
        listen: impl Fn(TcpListener) -> Listener,
    ) -> Site {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let registry = Arc::new(Registry::open(&folder.path().join("registry.db")).unwrap());
        for id in devices {
            add(&registry, id);
        }
        Site::serve((folder, registry), TestLog::new(), NOW, limits, shedding, listen).await
    }

    /// What comes after a crash at this moment, which lasts so long: another gateway, on what is durable now.
    pub async fn after_a_crash(&self, down: Duration) -> Site {
        self.on(self.log.copy().await, down).await
    }

    /// Another gateway on this log, for the same devices.
    pub async fn on(&self, log: TestLog, later: Duration) -> Site {
        let now = Timestamp(self.time.load(Ordering::Relaxed)) + later;
        let place = (self.folder.clone(), self.registry.clone());
        Site::serve(place, log, now, self.limits.clone(), Shedding::default(), Listener::plain).await
    }

    async fn serve(
        (folder, registry): (Arc<TempDir>, Arc<Registry>),
        log: TestLog,
        now: Timestamp,
        limits: Limits,
        shedding: Shedding,
        listen: impl Fn(TcpListener) -> Listener,
    ) -> Site {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let framed = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let websocket = framed.local_addr().unwrap();
        let metrics = prometheus::Registry::new();
        let gateway_metrics = Arc::new(Metrics::register(&metrics).unwrap());
        let stop = CancellationToken::new();
        let time = Arc::new(AtomicI64::new(now.millis()));
        let told = time.clone();
        let clock: gateway::Clock = Arc::new(move || Timestamp(told.load(Ordering::Relaxed)));
        let fanout = Arc::new(Fanout::new(&limits, gateway_metrics.clone()));
        let running = tokio::spawn(gateway::run(
            vec![listen(listener), listen(framed).over_websocket()],
            Parts {
                log: log.clone(),
                store: Arc::new(log.clone()),
                registry: registry.clone(),
                fanout: fanout.clone(),
                clock,
                limits: limits.clone(),
                shedding,
                metrics: gateway_metrics,
            },
            stop.clone(),
        ));
        Site { address, websocket, log, registry, fanout, stop, running, metrics, folder, time, limits }
    }

    /// Sets the gateway's clock forward.
    pub fn advance(&self, by: Duration) {
        self.time.fetch_add(by.as_millis() as i64, Ordering::Relaxed);
    }

    /// A socket, with nothing said.
    pub async fn dial(&self) -> Wire {
        Wire(TcpStream::connect(self.address).await.unwrap())
    }

    /// A session whose client id is the device's id.
    pub async fn connect(&self, device: &str) -> Wire {
        self.connect_as(device, device, 0).await
    }

    pub async fn connect_as(&self, device: &str, client_id: &str, keep_alive: u16) -> Wire {
        let mut wire = self.dial().await;
        wire.send(&connect(client_id, keep_alive, device, PASSWORD)).await;
        wire.expect(&CONNACK).await;
        wire
    }

    /// The sum of a metric over the series that have `label` as a value; over all when it is empty.
    pub fn metric(&self, name: &str, label: &str) -> f64 {
        let families = self.metrics.gather();
        let series =
            families.iter().filter(|family| family.name() == name).flat_map(|family| family.get_metric());
        series
            .filter(|series| label.is_empty() || series.get_label().iter().any(|pair| pair.value() == label))
            .map(|series| series.get_counter().get_value() + series.get_gauge().get_value())
            .sum()
    }

    /// Waits until `is_so`.
    pub async fn until(&self, what: &str, is_so: impl Fn(&Site) -> bool) {
        let started = tokio::time::Instant::now();
        while !is_so(self) {
            assert!(started.elapsed() < PATIENCE, "waited too long until {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Stops the gateway, which must end well.
    pub async fn close(self) {
        self.stop.cancel();
        self.running.await.unwrap().unwrap();
    }
}

/// Adds a device whose password is [`PASSWORD`].
pub fn add(registry: &Registry, id: &str) {
    registry.add_with_password(new_device(id), PASSWORD, NOW).unwrap();
}

/// Adds a subscriber whose password is [`PASSWORD`].
pub fn add_subscriber(registry: &Registry, id: &str, filters: &[&str]) {
    let filters = filters.iter().map(|filter| (*filter).to_owned()).collect();
    let new = NewSubscriber { id: id.into(), label: "".into(), filters, areas: Vec::new() };
    registry.add_subscriber_with_password(&new, PASSWORD, NOW).unwrap();
}

pub fn new_device(id: &str) -> NewDevice {
    NewDevice {
        id: id.into(),
        family: Family::Air,
        label: "".into(),
        area: "north".into(),
        rank: 0,
        position: None,
        crs: Crs::Wgs84,
    }
}

/// The client's end of a connection.
pub struct Wire(pub TcpStream);

impl Wire {
    pub async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Exactly these bytes come next.
    pub async fn expect(&mut self, expected: &[u8]) {
        assert_eq!(self.read(expected.len()).await, expected);
    }

    /// The next bytes.
    pub async fn read(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let read = tokio::time::timeout(PATIENCE, self.0.read_exact(&mut bytes)).await;
        read.expect("an answer in time").expect("an answer");
        bytes
    }

    /// CONNACK of MQTT 5 that lets it in, whatever the terms are.
    pub async fn expect_connack_v5(&mut self) {
        let [kind, len, _, code] = self.read(4).await[..] else { panic!("four bytes") };
        assert_eq!((kind, code), (0x20, 0));
        self.read(usize::from(len) - 2).await;
    }

    /// Nothing comes for a while, and the connection stays open.
    pub async fn expect_silence(&mut self) {
        let mut byte = [0];
        let read = tokio::time::timeout(Duration::from_millis(60), self.0.read(&mut byte)).await;
        assert!(read.is_err(), "expected silence: {read:?} {byte:?}");
    }

    /// Nothing more comes, because the gateway has closed.
    pub async fn expect_closed(&mut self) {
        let mut rest = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(60), self.0.read_to_end(&mut rest)).await;
        // A reset is an ending too: the gateway closed over bytes that it didn't want to read.
        let _ = read.expect("closed in time");
        assert_eq!(rest, [0; 0]);
    }
}

pub const CONNACK: [u8; 4] = [0x20, 0x02, 0x00, 0x00];
pub const PINGREQ: [u8; 2] = [0xc0, 0x00];
pub const PINGRESP: [u8; 2] = [0xd0, 0x00];
pub const DISCONNECT: [u8; 2] = [0xe0, 0x00];

pub fn puback(id: u16) -> [u8; 4] {
    [0x40, 0x02, (id >> 8) as u8, id as u8]
}

/// CONNACK to a client that has come back to its session.
pub const PRESENT: [u8; 4] = [0x20, 0x02, 0x01, 0x00];

pub fn pubrec(id: u8) -> [u8; 4] {
    [0x50, 2, 0, id]
}

pub fn pubrel(id: u8) -> [u8; 4] {
    [0x62, 2, 0, id]
}

pub fn pubcomp(id: u8) -> [u8; 4] {
    [0x70, 2, 0, id]
}

/// CONNECT of MQTT 3.1.1 with a clean session.
pub fn connect(client_id: &str, keep_alive: u16, user: &str, password: &str) -> Vec<u8> {
    let mut body = vec![0, 4];
    body.extend(b"MQTT\x04\xc2");
    body.extend(keep_alive.to_be_bytes());
    for text in [client_id, user, password] {
        body.extend(string(text));
    }
    packet(0x10, &body)
}

/// PUBLISH at QoS 1, or at QoS 0 when there is no id.
pub fn publish(topic: &str, id: Option<u16>, payload: &[u8]) -> Vec<u8> {
    let mut body = string(topic);
    body.extend(id.iter().flat_map(|id| id.to_be_bytes()));
    body.extend(payload);
    packet(if id.is_some() { 0x32 } else { 0x30 }, &body)
}

/// PUBLISH at QoS 1 of a device's telemetry whose sequence is the packet id.
pub fn telemetry(device: &str, id: u16) -> Vec<u8> {
    publish(&format!("up/{device}/telemetry"), Some(id), &reading(u64::from(id)))
}

/// The same PUBLISH at QoS 2.
pub fn at_qos_2(publish: &[u8]) -> Vec<u8> {
    [&[0x34][..], &publish[1..]].concat()
}

/// A frame with one reading.
pub fn reading(sequence: u64) -> Vec<u8> {
    use firmware_protocol::{FrameContent, FrameQuantity, FrameReading, TelemetryFrame};
    let reading = FrameReading { quantity: FrameQuantity::from_name("pm2_5"), value: 35.5 };
    let content = FrameContent::Readings(vec![reading]);
    TelemetryFrame { sequence: Some(sequence), content, ..TelemetryFrame::default() }.to_cbor().unwrap()
}

pub fn string(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u16).to_be_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut rest = body.len();
    loop {
        let low = (rest & 0x7f) as u8;
        rest >>= 7;
        bytes.push(if rest > 0 { low | 0x80 } else { low });
        if rest == 0 {
            break;
        }
    }
    bytes.extend(body);
    bytes
}

/// SUBSCRIBE of MQTT 3.1.1 to one filter.
pub fn subscribe(id: u16, filter: &str, qos: u8) -> Vec<u8> {
    packet(0x82, &[&id.to_be_bytes()[..], &string(filter), &[qos]].concat())
}

/// PUBLISH of MQTT 3.1.1; no id at QoS 0.
pub fn publish_at(topic: &str, qos: u8, id: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = publish(topic, (qos > 0).then_some(id), payload);
    bytes[0] = 0x30 | qos << 1;
    bytes
}

/// PUBLISH of MQTT 5 at QoS 1 without properties.
pub fn publish_v5(topic: &str, id: u16, payload: &[u8]) -> Vec<u8> {
    packet(0x32, &[&string(topic)[..], &id.to_be_bytes(), &[0], payload].concat())
}

/// CONNECT of MQTT 3.1.1 without a clean session.
pub fn connect_lasting(client_id: &str, user: &str) -> Vec<u8> {
    let mut bytes = connect(client_id, 0, user, PASSWORD);
    let flags = bytes.iter().position(|byte| *byte == 0xc2).unwrap();
    bytes[flags] = 0xc0;
    bytes
}

/// CONNECT of MQTT 5 with a clean start.
pub fn connect_v5(client_id: &str, user: &str, properties: &[u8]) -> Vec<u8> {
    let mut body = string("MQTT");
    body.extend([5, 0xc2, 0, 0, properties.len() as u8]);
    body.extend(properties);
    for text in [client_id, user, PASSWORD] {
        body.extend(string(text));
    }
    packet(0x10, &body)
}
