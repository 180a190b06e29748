//! MQTT 3.1.1 packets of a flood, ready to be copied.

use firmware_protocol::{Topic, UpKind, quantities};

/// A PUBLISH of QoS 1 with a telemetry frame of six readings, and the places in it that change.
#[derive(Clone, Debug)]
pub struct Template {
    bytes: Vec<u8>,
    packet: usize,
    payload: usize,
}

/// Where sequence, time and the first value stand in the frame.
const SEQUENCE: usize = 9;
const TIME: usize = 19;
const VALUE: usize = 31;

impl Template {
    /// The packet of that device.
    ///
    /// The frame is padded with readings under text keys whose value is null, which a host skips: it costs a
    /// host the bytes, not another reading.
    pub fn new(device: &str, epoch: u32, size: usize) -> Template {
        let topic = Topic::Up { device, kind: UpKind::Telemetry }.to_string();
        let frame = frame(epoch, size);
        let mut bytes = vec![0x32];
        remaining_length(&mut bytes, 2 + topic.len() + 2 + frame.len());
        text(&mut bytes, &topic);
        let packet = bytes.len();
        bytes.extend([0, 0]);
        let payload = bytes.len();
        bytes.extend(frame);
        Template { bytes, packet, payload }
    }

    /// Bytes of a payload.
    pub fn payload_len(&self) -> usize {
        self.bytes.len() - self.payload
    }

    /// Appends a packet.
    pub fn write(&self, out: &mut Vec<u8>, packet: u16, sequence: u64, time: i64) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        let mut put = |at: usize, bytes: &[u8]| {
            if let Some(place) = out.get_mut(start + at..start + at + bytes.len()) {
                place.copy_from_slice(bytes);
            }
        };
        put(self.packet, &packet.to_be_bytes());
        put(self.payload + SEQUENCE, &sequence.to_be_bytes());
        put(self.payload + TIME, &(time.max(0) as u64).to_be_bytes());
        put(self.payload + VALUE, &(20.0 + (sequence % 64) as f32 * 0.25).to_be_bytes());
    }
}

/// A frame of that size, or the least larger one; integers in full width, so that they can be written over.
fn frame(epoch: u32, size: usize) -> Vec<u8> {
    let mut frame = vec![0xa4, 1, 0x1a];
    frame.extend(epoch.to_be_bytes());
    frame.extend([2, 0x1b, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0x1b, 0, 0, 0, 0, 0, 0, 0, 0, 5]);
    let values = [
        (quantities::PM2_5, 20.0_f32),
        (quantities::PM10, 61.3),
        (quantities::NO2, 38.2),
        (quantities::O3, 71.9),
        (quantities::TEMPERATURE, 24.1),
        (quantities::HUMIDITY, 68.4),
    ];
    let mut readings = Vec::new();
    for (code, value) in values {
        readings.extend([code as u8, 0xfa]);
        readings.extend(value.to_be_bytes());
    }
    let missing = size.saturating_sub(frame.len() + 1 + readings.len() + 1);
    for (number, length) in padding(missing).into_iter().enumerate() {
        readings.extend(filler(number, length));
    }
    frame.push(0xbf);
    frame.extend(readings);
    frame.push(0xff);
    frame
}

/// Sizes of the fillers that make up `missing` bytes: each 6 to 67, all together `missing` or a little more.
fn padding(missing: usize) -> Vec<usize> {
    let (most, least) = (67, 6);
    match missing {
        0 => Vec::new(),
        _ if missing <= most => vec![missing.max(least)],
        _ => {
            let count = missing.div_ceil(most);
            (0..count).map(|n| missing / count + usize::from(n < missing % count)).collect()
        }
    }
}

/// A null reading of that many bytes under a name of its own; one more for 26, which no CBOR text gives.
fn filler(number: usize, length: usize) -> Vec<u8> {
    let name_length = if length <= 25 { length - 2 } else { (length - 3).max(24) };
    let mut name = format!("p{number:03x}");
    name.extend(std::iter::repeat_n('.', name_length.saturating_sub(name.len())));
    let mut bytes = match name.len() {
        short @ 0..24 => vec![0x60 | short as u8],
        long => vec![0x78, long as u8],
    };
    bytes.extend(name.bytes());
    bytes.push(0xf6);
    bytes
}

/// CONNECT with a clean session and 60 s keep alive.
pub fn connect(device: &str, password: Option<&str>) -> Vec<u8> {
    let flags = if password.is_some() { 0b1100_0010 } else { 0b0000_0010 };
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 4, flags, 0, 60];
    text(&mut body, device);
    if let Some(password) = password {
        text(&mut body, device);
        text(&mut body, password);
    }
    let mut bytes = vec![0x10];
    remaining_length(&mut bytes, body.len());
    bytes.extend(body);
    bytes
}

/// DISCONNECT.
pub const DISCONNECT: [u8; 2] = [0xe0, 0];
/// PINGREQ.
pub const PING: [u8; 2] = [0xc0, 0];

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u16).to_be_bytes());
    out.extend(text.bytes());
}

fn remaining_length(out: &mut Vec<u8>, mut length: usize) {
    while length >= 128 {
        out.push(length as u8 | 128);
        length >>= 7;
    }
    out.push(length as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use firmware_protocol::{FrameContent, TelemetryFrame};
    use rumqttc::mqttbytes::v4::Packet;

    fn check(size: usize) {
        let template = Template::new("load-7", 9, size);
        assert!(template.payload_len() >= size && template.payload_len() < size.max(65) + 6, "{size}");
        let mut bytes = Vec::new();
        template.write(&mut bytes, 513, 70_000, 1_764_000_000_000);
        template.write(&mut bytes, 514, 70_001, 1_764_000_000_001);
        let mut stream = bytes::BytesMut::from(&bytes[..]);
        for (packet, sequence, time) in [(513, 70_000, 1_764_000_000_000), (514, 70_001, 1_764_000_000_001)] {
            let Packet::Publish(publish) = Packet::read(&mut stream, 1 << 20).unwrap() else {
                panic!("a publish")
            };
            assert_eq!((publish.topic.as_str(), publish.pkid), ("up/load-7/telemetry", packet));
            let frame = TelemetryFrame::from_cbor(&publish.payload).unwrap();
            assert_eq!((frame.epoch, frame.sequence, frame.time), (9, Some(sequence), Some(time)));
            let FrameContent::Readings(readings) = frame.content else { panic!("readings") };
            assert_eq!(readings.len(), 6);
            assert_eq!(readings[0].value, 20.0 + (sequence % 64) as f64 * 0.25);
        }
        assert!(stream.is_empty());
    }

    #[test]
    fn packets_are_what_they_claim() {
        for size in (0..800).chain([2_000, 16_384, 17_000]) {
            check(size);
        }
        assert_eq!(Template::new("d", 1, 200).payload_len(), 200);
    }

    #[test]
    fn connects_are_what_they_claim() {
        for password in [None, Some("secret")] {
            let mut stream = bytes::BytesMut::from(&connect("load-7", password)[..]);
            let Packet::Connect(read) = Packet::read(&mut stream, 1_000).unwrap() else {
                panic!("a connect")
            };
            assert_eq!((read.client_id.as_str(), read.clean_session), ("load-7", true));
            let login = read.login.map(|login| (login.username, login.password));
            assert_eq!(login, password.map(|password| ("load-7".to_string(), password.to_string())));
        }
    }
}
