//! Messages through sessions over loopback onto a log that costs nothing: what the gateway itself takes.
//!
//! The clients run in the same process on the same cores, so the whole path over loopback is in the figure.

mod support;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use firmware_protocol::{FrameContent, FrameQuantity, FrameReading, TelemetryFrame};
use gateway::{Fanout, Limits, Listener, Metrics, Parts, Registry, Shedding};
use records::Timestamp;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::{Nowhere, device};
use tokio_util::sync::CancellationToken;

const DEVICE: &str = "air-0101";
const PASSWORD: &str = "a bench's password";
const IN_FLIGHT: usize = 20;

fn sessions(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let registry = Arc::new(Registry::open(&folder.path().join("registry.db")).expect("a registry"));
    let now = Timestamp(1_800_000_000_000);
    registry.add_with_password(device(DEVICE), PASSWORD, now).expect("a device");
    let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0))).expect("a port");
    let address = listener.local_addr().expect("an address");
    let metrics = Arc::new(Metrics::register(&prometheus::Registry::new()).expect("new metrics"));
    let stop = CancellationToken::new();
    let clock: gateway::Clock = Arc::new(move || now);
    let running = runtime.spawn(gateway::run(
        vec![Listener::plain(listener)],
        Parts {
            log: Nowhere,
            store: Arc::new(Nowhere),
            registry,
            fanout: Arc::new(Fanout::new(&Limits::default(), metrics.clone())),
            clock,
            // All connections are one device's.
            limits: Limits { max_publish_rate: 0, ..Limits::default() },
            shedding: Shedding::default(),
            metrics,
        },
        stop.clone(),
    ));

    let mut group = criterion.benchmark_group("sessions");
    group.throughput(Throughput::Elements(1)).sample_size(10).measurement_time(Duration::from_secs(8));
    for (name, payload) in payloads() {
        for connections in [1, 20] {
            group.bench_function(format!("{name}, {connections} connections"), |bencher| {
                bencher.iter_custom(|messages| flood(address, &payload, connections, messages as usize));
            });
        }
    }
    group.finish();
    stop.cancel();
    runtime.block_on(running).expect("no panic").expect("a good end");
}

/// About 200 bytes on the wire as JSON; the same in CBOR is half of that.
fn payloads() -> [(&'static str, Vec<u8>); 2] {
    let values = [
        ("pm2_5", 35.5),
        ("pm10", 61.0),
        ("no2", 28.3),
        ("o3", 91.2),
        ("temperature", 21.4),
        ("humidity", 63.0),
    ];
    let reading = |(name, value)| FrameReading { quantity: FrameQuantity::from_name(name), value };
    let frame = TelemetryFrame {
        sequence: Some(4_811_223),
        time: Some(1_800_000_000_123),
        content: FrameContent::Readings(values.map(reading).into()),
        ..TelemetryFrame::default()
    };
    [("cbor", frame.to_cbor().expect("a valid frame")), ("json", frame.to_json())]
}

/// How long at least `messages` messages take over this many connections.
fn flood(address: SocketAddr, payload: &[u8], connections: usize, messages: usize) -> Duration {
    let rounds = messages.div_ceil(connections * IN_FLIGHT);
    let wires: Vec<_> = (0..connections).map(|index| connect(address, index)).collect();
    let window: Vec<u8> = (1..=IN_FLIGHT).flat_map(|id| publish(id, payload)).collect();
    let started = Instant::now();
    std::thread::scope(|scope| {
        for mut wire in wires {
            let window = &window;
            scope.spawn(move || {
                let mut pubacks = [0; IN_FLIGHT * 4];
                for _ in 0..rounds {
                    wire.write_all(window).expect("written");
                    wire.read_exact(&mut pubacks).expect("acknowledged");
                }
            });
        }
    });
    // In proportion: whole rounds may be more than was asked for.
    started.elapsed().mul_f64(messages as f64 / (rounds * connections * IN_FLIGHT) as f64)
}

fn connect(address: SocketAddr, index: usize) -> TcpStream {
    let mut wire = TcpStream::connect(address).expect("connected");
    wire.set_nodelay(true).expect("an option");
    let mut body = b"\0\x04MQTT\x04\xc2\0\0".to_vec();
    for text in [&format!("client-{index}"), DEVICE, PASSWORD] {
        body.extend((text.len() as u16).to_be_bytes());
        body.extend(text.as_bytes());
    }
    wire.write_all(&[&[0x10, body.len() as u8], &body[..]].concat()).expect("written");
    let mut connack = [0; 4];
    wire.read_exact(&mut connack).expect("an answer");
    assert_eq!(connack, [0x20, 2, 0, 0]);
    wire
}

fn publish(id: usize, payload: &[u8]) -> Vec<u8> {
    let topic = format!("up/{DEVICE}/telemetry");
    let len = 2 + topic.len() + 2 + payload.len();
    let head = match len {
        ..128 => vec![0x32, len as u8],
        _ => vec![0x32, len as u8 | 0x80, (len >> 7) as u8],
    };
    [&head, &[0, topic.len() as u8][..], topic.as_bytes(), &[0, id as u8], payload].concat()
}

criterion_group!(benches, sessions);
criterion_main!(benches);
