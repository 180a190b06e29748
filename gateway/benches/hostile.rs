//! Ten million packets of mutated sessions, while others go on with theirs: no panic, no memory that grows, nobody
//! disturbed, and every connection and message accounted for.
//!
//! `cargo bench -p gateway --bench hostile`, or with another number of packets behind `--`.

#![allow(clippy::unwrap_used, reason = "a bench's own scaffolding")]

#[path = "../tests/support/mod.rs"]
mod support;

use gateway::{Fanout, Limits, Listener, Metrics, Parts, Promise, Registry, SessionStore, Shedding};
use records::{
    AppendError, Batch, LogError, Note, Noted, Offset, Producer, Timestamp, Topic, TopicPartition,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::mutation::{Mutation, session, session_5};
use support::{
    CONNACK, NOW, PASSWORD, Wire, add, connect, new_device, puback, publish_at, subscribe, telemetry,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const PACKETS: u64 = 10_000_000;
/// Connections at a time.
const CLIENTS: u64 = 32;
/// Beyond what the first tenth of the packets took.
const MAX_GROWTH_BYTES: u64 = 64 << 20;

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Takes everything, and counts.
#[derive(Clone, Default)]
struct Counting(Arc<[AtomicU64; 2]>);

impl Producer for Counting {
    fn partitions(&self, _topic: Topic) -> u32 {
        4
    }

    async fn append(&self, batches: Vec<(TopicPartition, Batch)>) -> Result<Vec<Offset>, AppendError> {
        for (to, batch) in &batches {
            let place = usize::from(to.topic == Topic::Quarantine);
            self.0[place].fetch_add(batch.len() as u64, Ordering::Relaxed);
        }
        Ok(vec![0; batches.len()])
    }
}

impl SessionStore for Counting {
    fn append(
        &self,
        batches: Vec<(TopicPartition, Batch)>,
        _notes: Vec<Note>,
    ) -> Promise<Result<(), AppendError>> {
        let log = self.clone();
        Box::pin(async move { Producer::append(&log, batches).await.map(|_| ()) })
    }

    fn notes(&self, _prefix: &[u8]) -> Promise<Result<Noted, LogError>> {
        Box::pin(async { Ok(Noted::default()) })
    }

    fn made(&self) -> Timestamp {
        NOW
    }

    fn place(&self) -> String {
        "nowhere".to_owned()
    }
}

/// The same numbers for the same seed (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) as usize
    }

    fn below(&mut self, end: usize) -> usize {
        self.next() % end
    }

    fn mutation(&mut self) -> Mutation {
        let at = self.next();
        match self.below(15) {
            0..4 => Mutation::Set(at, self.next() as u8),
            4..8 => Mutation::FlipBit(at, self.below(8) as u8),
            8..10 => Mutation::Insert(at, (0..=self.below(7)).map(|_| self.next() as u8).collect()),
            10..12 => Mutation::Remove(at, 1 + self.below(7)),
            12..14 => Mutation::Repeat(at, 1 + self.below(79)),
            _ => Mutation::Cut(at),
        }
    }

    /// CONNECT, then any packets of a session in any order, with some of their bytes changed. Gives how many packets
    /// that were.
    fn said(&mut self, sessions: &[Vec<Vec<u8>>; 2]) -> (Vec<u8>, u64) {
        let session = &sessions[self.below(2)];
        let packets = 10 + self.below(30);
        let mut said = session[0].clone();
        for _ in 0..packets {
            // Rarely the last one, which is DISCONNECT.
            let last = session.len() - usize::from(self.below(8) > 0);
            said.extend(&session[1 + self.below(last - 1)]);
        }
        for _ in 0..=self.below(3) {
            self.mutation().apply(&mut said);
        }
        (said, 1 + packets as u64)
    }
}

fn main() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        usual(panic);
    }));
    let packets = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(PACKETS);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(soak(packets));
}

async fn soak(packets: u64) {
    let folder = tempfile::tempdir().unwrap();
    let registry = Arc::new(Registry::open(&folder.path().join("registry.db")).unwrap());
    let password = registry.add(new_device("d-1"), NOW).unwrap();
    add(&registry, "d-2");
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let shown = prometheus::Registry::new();
    let metrics = Arc::new(Metrics::register(&shown).unwrap());
    let limits = Limits { max_payload: 500, max_publish_rate: 0, ..Limits::default() };
    let (stop, log) = (CancellationToken::new(), Counting::default());
    let running = tokio::spawn(gateway::run(
        vec![Listener::plain(listener)],
        Parts {
            log: log.clone(),
            store: Arc::new(log.clone()),
            registry,
            fanout: Arc::new(Fanout::new(&limits, metrics.clone())),
            clock: Arc::new(|| NOW),
            limits,
            shedding: Shedding::default(),
            metrics,
        },
        stop.clone(),
    ));

    let done = CancellationToken::new();
    let bystander = tokio::spawn(go_on(address, done.clone()));
    let sessions = Arc::new([session(password.as_str()), session_5(password.as_str())]);
    let (sent, talks) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let started = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|seed| {
            let (sessions, sent, talks) = (sessions.clone(), sent.clone(), talks.clone());
            tokio::spawn(async move {
                let mut chance = Chance(seed << 32);
                while sent.load(Ordering::Relaxed) < packets {
                    let (said, count) = chance.said(&sessions);
                    talk(address, &said, 1 + chance.below(3)).await;
                    sent.fetch_add(count, Ordering::Relaxed);
                    talks.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let growth = watch_memory(&sent, packets).await;
    for client in clients {
        client.await.unwrap();
    }
    let took = started.elapsed();
    done.cancel();
    let (messages, slowest) = bystander.await.unwrap();

    let metric = |name: &str, label: &str| {
        let families = shown.gather();
        let series = families.iter().filter(|it| it.name() == name).flat_map(|it| it.get_metric());
        let series =
            series.filter(|it| label.is_empty() || it.get_label().iter().any(|pair| pair.value() == label));
        series.map(|it| it.get_counter().get_value() + it.get_gauge().get_value()).sum::<f64>() as u64
    };
    stop.cancel();
    running.await.unwrap().unwrap();
    let (sent, talks) = (sent.load(Ordering::Relaxed), talks.load(Ordering::Relaxed));
    println!("{sent} packets in {talks} mutated sessions, {took:.1?}; memory grew by {} MiB", growth >> 20);
    println!(
        "beside them {messages} messages of another device and to its subscriber, the slowest {slowest:.1?}"
    );
    let outcome = |name| metric("sluice_gateway_messages_total", name);
    println!(
        "accepted {}, quarantined {}, forbidden {}, repeated {}, cleared {}",
        outcome("accepted"),
        outcome("quarantined"),
        outcome("forbidden"),
        outcome("repeated"),
        outcome("cleared")
    );
    assert_eq!(PANICS.load(Ordering::Relaxed), 0, "something panicked");
    assert!(growth < MAX_GROWTH_BYTES, "memory grew by {growth} bytes");
    let over = metric("sluice_gateway_refused_connections_total", "")
        + metric("sluice_gateway_sessions_ended_total", "");
    assert_eq!(over, talks + 2, "a connection is not accounted for");
    assert_eq!(log.0[1].load(Ordering::Relaxed), outcome("quarantined"));
    assert_eq!(outcome("abandoned"), 0);
}

/// Says it, closes its own side, and reads to the end, which must come.
async fn talk(address: SocketAddr, said: &[u8], pieces: usize) {
    let mut wire = TcpStream::connect(address).await.unwrap();
    for piece in said.chunks(said.len().div_ceil(pieces).max(1)) {
        // The gateway may hang up in the middle.
        if wire.write_all(piece).await.is_err() {
            break;
        }
    }
    let _ = wire.shutdown().await;
    let mut answer = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(20), wire.read_to_end(&mut answer)).await;
    let _ = end.expect("the gateway ends a connection that its client has closed");
}

/// A device and a subscriber to what it says, in lockstep: each message is acknowledged and delivered once, in its
/// turn. Gives how many that were, and the longest that one took.
async fn go_on(address: SocketAddr, done: CancellationToken) -> (u64, Duration) {
    let (mut device, mut subscriber) = (dial(address, "device").await, dial(address, "subscriber").await);
    subscriber.send(&subscribe(1, "up/d-2/#", 0)).await;
    subscriber.expect(&[0x90, 3, 0, 1, 0]).await;
    let (mut messages, mut slowest) = (0, Duration::ZERO);
    while !done.is_cancelled() {
        let id = (messages % 60_000) as u16 + 1;
        let said = telemetry("d-2", id);
        let started = Instant::now();
        device.send(&said).await;
        device.expect(&puback(id)).await;
        subscriber.expect(&publish_at("up/d-2/telemetry", 0, 0, &support::reading(id.into()))).await;
        slowest = slowest.max(started.elapsed());
        messages += 1;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    (messages, slowest)
}

async fn dial(address: SocketAddr, client_id: &str) -> Wire {
    let mut wire = Wire(TcpStream::connect(address).await.unwrap());
    wire.send(&connect(client_id, 0, "d-2", PASSWORD)).await;
    wire.expect(&CONNACK).await;
    wire
}

/// Bytes by which the process has grown since a tenth of the packets was through.
async fn watch_memory(sent: &AtomicU64, packets: u64) -> u64 {
    let mut first = None;
    let mut growth = 0;
    while sent.load(Ordering::Relaxed) < packets {
        if first.is_none() && sent.load(Ordering::Relaxed) >= packets / 10 {
            first = Some(resident());
        }
        growth = first.map_or(0, |first| resident().saturating_sub(first)).max(growth);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    growth
}

/// Bytes of this process in memory (proc(5)).
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|it| it.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()).unwrap_or(0) << 10
}
