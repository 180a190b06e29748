//! A client that says anything: what comes before CONNECT, and, behind a CONNECT that is right, the rest of a session.
//! The gateway must end its connection, and must not panic or grow.

#![no_main]

#[path = "../../benches/support/mod.rs"]
mod support;

use gateway::{Fanout, Limits, Listener, Metrics, Parts, Registry, Shedding};
use libfuzzer_sys::fuzz_target;
use records::Timestamp;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use support::{Nowhere, device};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// A gateway, and its only device's CONNECT in both versions.
struct Site {
    runtime: Runtime,
    address: SocketAddr,
    hello: [Vec<u8>; 2],
}

static SITE: LazyLock<Site> = LazyLock::new(Site::open);

impl Site {
    fn open() -> Site {
        // A panic in a task of the gateway's would otherwise end that task alone.
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            told(panic);
            std::process::abort();
        }));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let folder = tempfile::tempdir().expect("a folder").keep();
        let registry = Arc::new(Registry::open(&folder.join("registry.db")).expect("a registry"));
        let password = registry.add(device("d-1"), NOW).expect("a device");
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).expect("a port");
        let address = listener.local_addr().expect("an address");
        let metrics = Arc::new(Metrics::register(&prometheus::Registry::new()).expect("metrics"));
        let limits = Limits { max_payload: 500, max_publish_rate: 0, ..Limits::default() };
        runtime.spawn(gateway::run(
            vec![Listener::plain(listener)],
            Parts {
                log: Nowhere,
                store: Arc::new(Nowhere),
                registry,
                fanout: Arc::new(Fanout::new(&limits, metrics.clone())),
                clock: Arc::new(|| NOW),
                limits,
                shedding: Shedding::default(),
                metrics,
            },
            CancellationToken::new(),
        ));
        let hello = [4, 5].map(|version| hello(version, password.as_str()));
        Site { runtime, address, hello }
    }

    async fn talk(&self, said: &[u8]) {
        let mut wire = TcpStream::connect(self.address).await.expect("it listens");
        let _ = wire.write_all(said).await;
        let _ = wire.shutdown().await;
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(20), wire.read_to_end(&mut answer)).await;
        let _ = ended.expect("the gateway ends a connection that its client has closed");
    }
}

/// CONNECT with a clean start.
fn hello(version: u8, password: &str) -> Vec<u8> {
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', version, 0xc2, 0, 60];
    body.extend((version == 5).then_some(0));
    for text in ["d-1", "d-1", password] {
        body.extend((text.len() as u16).to_be_bytes());
        body.extend(text.as_bytes());
    }
    [&[0x10, body.len() as u8][..], &body].concat()
}

fuzz_target!(|said: &[u8]| {
    let Some((kind, rest)) = said.split_first() else { return };
    let hello = match kind % 3 {
        0 => &[][..],
        1 => &SITE.hello[0],
        _ => &SITE.hello[1],
    };
    SITE.runtime.block_on(SITE.talk(&[hello, rest].concat()));
});
