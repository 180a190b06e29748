//! A fleet that comes back at once: 10,000 devices connect with their passwords, first to a gateway that has never
//! seen them, then again.
//!
//! Clients and gateway share the machine. Half of the connections stay open until the last one is through.

mod support;

use gateway::{Fanout, Limits, Listener, Metrics, NewDevice, Parts, Registry, Shedding};
use records::{MemoryLog, Timestamp};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const DEVICES: usize = 10_000;
const CLIENTS: usize = 100;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(storm());
}

async fn storm() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = Arc::new(Registry::open(&folder.path().join("registry.db")).expect("a registry"));
    let now = Timestamp(1_800_000_000_000);
    let devices: Vec<NewDevice> =
        (0..DEVICES).map(|number| support::device(&format!("d-{number}"))).collect();
    let passwords = registry.add_all(&devices, now).expect("new devices");
    let fleet: Vec<(String, String)> = devices
        .iter()
        .zip(passwords)
        .map(|(device, password)| (device.id.to_string(), password.to_string()))
        .collect();
    let fleet = Arc::new(fleet);

    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let metrics = Arc::new(Metrics::register(&prometheus::Registry::new()).expect("new metrics"));
    let stop = CancellationToken::new();
    let (log, clock): (_, gateway::Clock) = (MemoryLog::new(|_| 4), Arc::new(move || now));
    let running = tokio::spawn(gateway::run(
        vec![Listener::plain(listener)],
        Parts {
            log,
            store: Arc::new(support::Nowhere),
            registry,
            fanout: Arc::new(Fanout::new(&Limits::default(), metrics.clone())),
            clock,
            limits: Limits::default(),
            shedding: Shedding::default(),
            metrics,
        },
        stop.clone(),
    ));
    // The gateway accepts once all entries stand on the log; this one is in neither figure.
    drop(connect(address, &fleet[0]).await);
    for name in ["never seen before", "seen before"] {
        let started = Instant::now();
        let clients = (0..CLIENTS).map(|client| tokio::spawn(connect_share(address, fleet.clone(), client)));
        for client in clients.collect::<Vec<_>>() {
            client.await.expect("all are let in");
        }
        println!("{DEVICES} devices, passwords {name}: {:.2} s", started.elapsed().as_secs_f64());
    }
    stop.cancel();
    running.await.expect("no panic").expect("a good end");
}

async fn connect_share(address: SocketAddr, fleet: Arc<Vec<(String, String)>>, client: usize) {
    let mut open = Vec::new();
    for (index, device) in fleet.iter().enumerate().skip(client).step_by(CLIENTS) {
        let stream = connect(address, device).await;
        if index % 2 == 0 {
            open.push(stream);
        }
    }
}

async fn connect(address: SocketAddr, (id, password): &(String, String)) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let mut body = b"\0\x04MQTT\x04\xc2\0\x3c".to_vec();
    for text in [id, id, password] {
        body.extend(u16::try_from(text.len()).expect("a short text").to_be_bytes());
        body.extend(text.as_bytes());
    }
    let mut packet = vec![0x10, u8::try_from(body.len()).expect("below 128")];
    packet.extend(body);
    stream.write_all(&packet).await.expect("the gateway reads");
    let mut connack = [0; 4];
    stream.read_exact(&mut connack).await.expect("the gateway answers");
    assert_eq!(connack, [0x20, 2, 0, 0], "{id} is let in");
    stream
}
