//! A device that insists: it keeps a window of QoS 1 messages in flight, and after any loss of the connection it
//! connects again and sends every message again that was not acknowledged. Hand-written bytes, so that the
//! gateway's codec is not its own judge.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// What to publish, and as whom.
pub struct Device {
    pub id: String,
    pub password: String,
    pub in_flight: usize,
    /// At most so many a second, counted from the first; `None`: as fast as it goes.
    pub per_second: Option<f64>,
}

impl Device {
    /// Publishes all payloads in order, telling `acknowledged` the index of each at its PUBACK. `address` is asked
    /// again at every connect. Panics when it is not done by `deadline`.
    pub fn publish_all(
        &self,
        address: impl Fn() -> SocketAddr,
        payloads: &[Vec<u8>],
        deadline: Instant,
        mut acknowledged: impl FnMut(usize),
    ) {
        let mut done = 0;
        let began = Instant::now();
        while done < payloads.len() {
            assert!(Instant::now() < deadline, "{}: only {done} of {} acknowledged", self.id, payloads.len());
            if self.session(address(), payloads, began, &mut done, &mut acknowledged).is_err() {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// One connection: sends from the first message that is not acknowledged, until all are or it breaks.
    fn session(
        &self,
        address: SocketAddr,
        payloads: &[Vec<u8>],
        began: Instant,
        done: &mut usize,
        acknowledged: &mut impl FnMut(usize),
    ) -> std::io::Result<()> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_millis(500))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.write_all(&connect(&self.id, &self.password))?;
        let mut connack = [0; 4];
        stream.read_exact(&mut connack)?;
        assert_eq!(connack, [0x20, 2, 0, 0], "{} is welcome", self.id);

        let topic = format!("up/{}/telemetry", self.id);
        let mut pending = VecDeque::new();
        let mut next = *done;
        loop {
            let mut burst = Vec::new();
            let due = self.due(began).min(payloads.len());
            while next < due && pending.len() < self.in_flight {
                let packet_id = u16::try_from(next % 60_000).expect("below 60,000") + 1;
                publish(&mut burst, &topic, packet_id, &payloads[next]);
                pending.push_back((packet_id, next));
                next += 1;
            }
            stream.write_all(&burst)?;
            let Some((expected, index)) = pending.pop_front() else {
                if next == payloads.len() {
                    return Ok(());
                }
                std::thread::sleep(Duration::from_millis(5));
                continue;
            };
            let mut puback = [0; 4];
            stream.read_exact(&mut puback)?;
            let [id_high, id_low] = expected.to_be_bytes();
            assert_eq!(puback, [0x40, 2, id_high, id_low], "PUBACKs come in order");
            *done = index + 1;
            acknowledged(index);
        }
    }
}

impl Device {
    /// How many messages may have been sent by now.
    fn due(&self, began: Instant) -> usize {
        self.per_second.map_or(usize::MAX, |rate| (began.elapsed().as_secs_f64() * rate) as usize + 1)
    }
}

/// CONNECT of MQTT 3.1.1 with a clean session, user name and password.
pub fn connect(id: &str, password: &str) -> Vec<u8> {
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 4, 0b1100_0010, 0, 60];
    for text in [id, id, password] {
        string(&mut body, text);
    }
    packet(0x10, &body)
}

/// Publishes all payloads with QoS 0 and DISCONNECT, and returns when the gateway has read them.
pub fn shout(mqtt: SocketAddr, id: &str, password: &str, payloads: impl Iterator<Item = Vec<u8>>) {
    let mut stream = TcpStream::connect(mqtt).expect("the gateway listens");
    stream.write_all(&connect(id, password)).expect("the gateway reads");
    let mut connack = [0; 4];
    stream.read_exact(&mut connack).expect("it answers");
    assert_eq!(connack, [0x20, 2, 0, 0], "{id} is welcome");
    for payload in payloads {
        let mut body = Vec::with_capacity(payload.len() + 64);
        string(&mut body, &format!("up/{id}/telemetry"));
        body.extend_from_slice(&payload);
        stream.write_all(&packet(0x30, &body)).expect("the gateway reads");
    }
    stream.write_all(&[0xe0, 0]).expect("the gateway reads");
    let rest = stream.read(&mut connack).expect("it closes");
    assert_eq!(rest, 0, "nothing is answered");
}

/// PUBLISH with QoS 1.
pub fn publish(out: &mut Vec<u8>, topic: &str, packet_id: u16, payload: &[u8]) {
    let mut body = Vec::with_capacity(topic.len() + 4 + payload.len());
    string(&mut body, topic);
    body.extend_from_slice(&packet_id.to_be_bytes());
    body.extend_from_slice(payload);
    out.extend_from_slice(&packet(0x32, &body));
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    let mut length = body.len();
    loop {
        let low = u8::try_from(length % 128).expect("below 128");
        length /= 128;
        bytes.push(if length > 0 { low | 128 } else { low });
        if length == 0 {
            break;
        }
    }
    bytes.extend_from_slice(body);
    bytes
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&u16::try_from(text.len()).expect("a short text").to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Publishes one reading of vibration at `time` and waits for its PUBACK.
pub fn say(mqtt: SocketAddr, id: &str, password: &str, time: i64) {
    use std::io::{Read, Write};
    let mut stream = TcpStream::connect(mqtt).expect("the gateway listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket takes a timeout");
    let mut bytes = connect(id, password);
    let payload = format!(r#"{{"time": {time}, "vibration": 8.25}}"#);
    publish(&mut bytes, &format!("up/{id}/telemetry"), 1, payload.as_bytes());
    stream.write_all(&bytes).expect("the gateway reads");
    let mut answer = [0; 8];
    stream.read_exact(&mut answer).expect("CONNACK and PUBACK come");
    assert_eq!(answer, [0x20, 2, 0, 0, 0x40, 2, 0, 1]);
}
