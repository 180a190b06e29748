//! QoS 2 through `kill -9` at random: every message stands on the log once, and so it does in observations.

mod support;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use embedded::{Log, Metrics, Options};
use records::{Consumer, Record, Topic};
use support::device::{connect, publish};
use support::outcome::Outcome;
use support::sluice::Folder;

const DEVICE: &str = "m-1";
const MESSAGES: usize = 4000;
const KILLS: usize = 8;
/// Packet ids that are in use at once. They come again and again, which a forgotten release would not survive.
const IDS: usize = 10;
const PATIENCE: Duration = Duration::from_secs(240);

/// Where one packet id is in its exchange (MQTT 3.1.1, figure 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Published,
    Released,
}

/// A client that keeps to the standard: after each loss of the connection it sends again what is not through, under the
/// same packet ids, and goes on.
struct Client {
    password: String,
    payloads: Vec<Vec<u8>>,
    next: usize,
    /// By packet id, in the order of their first sending.
    in_flight: Vec<(u16, usize, Step)>,
    is_known: bool,
}

impl Client {
    /// Until all messages are through, or the connection breaks.
    fn session(&mut self, address: SocketAddr, done: &AtomicUsize) -> std::io::Result<()> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_millis(500))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let mut hello = connect(DEVICE, &self.password);
        // Without a clean session.
        hello[9] &= !0x02;
        stream.write_all(&hello)?;
        let mut connack = [0; 4];
        stream.read_exact(&mut connack)?;
        assert_eq!([connack[0], connack[1], connack[3]], [0x20, 2, 0], "it is welcome");
        // Once an exchange was answered, its session is there for ever.
        assert!(connack[2] == 1 || !self.is_known, "the session is lost");
        let mut burst = Vec::new();
        for (id, index, step) in &self.in_flight {
            self.write(&mut burst, *id, *index, *step, true);
        }
        stream.write_all(&burst)?;
        loop {
            let mut burst = Vec::new();
            while self.next < self.payloads.len() && self.in_flight.len() < IDS {
                let id = self.free_id();
                self.write(&mut burst, id, self.next, Step::Published, false);
                self.in_flight.push((id, self.next, Step::Published));
                self.next += 1;
            }
            stream.write_all(&burst)?;
            if self.in_flight.is_empty() {
                return Ok(());
            }
            let mut answer = [0; 4];
            stream.read_exact(&mut answer)?;
            self.is_known = true;
            let id = u16::from_be_bytes([answer[2], answer[3]]);
            let place = self.in_flight.iter().position(|(known, ..)| *known == id);
            match (answer[0], place) {
                (0x50, Some(place)) => {
                    self.in_flight[place].2 = Step::Released;
                    stream.write_all(&[0x62, 2, answer[2], answer[3]])?;
                }
                (0x70, Some(place)) => {
                    self.in_flight.remove(place);
                    done.fetch_add(1, Ordering::Relaxed);
                }
                _ => panic!("what is this: {answer:?}"),
            }
        }
    }

    fn write(&self, burst: &mut Vec<u8>, id: u16, index: usize, step: Step, is_again: bool) {
        let [high, low] = id.to_be_bytes();
        match step {
            Step::Released => burst.extend([0x62, 2, high, low]),
            Step::Published => {
                let start = burst.len();
                publish(burst, &format!("up/{DEVICE}/telemetry"), id, &self.payloads[index]);
                burst[start] = if is_again { 0x3c } else { 0x34 };
            }
        }
    }

    fn free_id(&self) -> u16 {
        (1..).find(|id| self.in_flight.iter().all(|(used, ..)| used != id)).expect("few are in flight")
    }
}

/// How often each sequence of the device stands on `telemetry`.
#[tokio::main]
async fn on_telemetry(data: &Path) -> BTreeMap<u64, u32> {
    let metrics = Metrics::register(&prometheus::Registry::new()).expect("an empty registry takes all");
    let log = Log::open(&data.join("log"), Options::default(), deploy::clock::shared(), metrics);
    let log = log.expect("the log opens");
    let mut consumer = log.consumer("judge", &[Topic::Telemetry]);
    let mut counts = BTreeMap::new();
    while let Ok(fetched) = tokio::time::timeout(Duration::from_secs(2), consumer.poll()).await {
        let fetched = fetched.expect("the log reads").expect("the log is open");
        for (_, _, value) in fetched.records() {
            if let Record::Observation(observation) = Record::decode(value).expect("every record decodes") {
                *counts.entry(observation.sequence.expect("it counts")).or_default() += 1;
            }
        }
    }
    log.close().await;
    counts
}

#[test]
fn every_message_of_qos_2_is_there_once_whenever_the_process_is_killed() {
    let folder = Folder::new("");
    let password = folder.add_device(DEVICE, "machine", &["--area", "plant/line-1"]);
    let start = deploy::clock::now().millis() - 3_600_000;
    let payload = |n: usize| {
        let time = start + 100 * n as i64;
        format!(r#"{{"epoch": 1, "sequence": {n}, "time": {time}, "vibration": 2.5}}"#).into_bytes()
    };
    let payloads = (0..MESSAGES).map(payload).collect();
    let mut sluice = folder.start();
    let address = Arc::new(Mutex::new(sluice.address("mqtt")));
    let done = Arc::new(AtomicUsize::new(0));
    let thread = std::thread::spawn({
        let (address, done) = (address.clone(), done.clone());
        let mut client = Client { password, payloads, next: 0, in_flight: Vec::new(), is_known: false };
        move || {
            let deadline = Instant::now() + PATIENCE;
            loop {
                assert!(Instant::now() < deadline, "only {} are through", done.load(Ordering::Relaxed));
                let to = *address.lock().expect("no panic while it is held");
                match client.session(to, &done) {
                    Ok(()) => return,
                    Err(_) => std::thread::sleep(Duration::from_millis(10)),
                }
            }
        }
    });
    for kill in 1..=KILLS {
        while done.load(Ordering::Relaxed) < MESSAGES * kill / (KILLS + 2) && !thread.is_finished() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_micros(RandomState::new().hash_one(kill) % 20_000));
        assert!(done.load(Ordering::Relaxed) < MESSAGES, "kill {kill} came when all was done");
        sluice.kill();
        sluice = folder.start();
        *address.lock().expect("no panic while it is held") = sluice.address("mqtt");
    }
    thread.join().expect("the client is done");
    // The stream has caught up when it has put out as many.
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(sluice.stop(), Some(0), "its log:\n{}", folder.log());
    let expected: BTreeMap<u64, u32> = (0..MESSAGES as u64).map(|n| (n, 1)).collect();
    assert_eq!(on_telemetry(&folder.data()), expected);
    let observations = Outcome::read(&folder.data(), 4).observations;
    assert_eq!(
        observations.into_iter().map(|((_, n), count)| (n, count)).collect::<BTreeMap<_, _>>(),
        expected
    );
    assert!(folder.command(&["log", "verify"]).status.success());
}
