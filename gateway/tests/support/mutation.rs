//! Sessions that are right, and what is done to their bytes.

use super::{DISCONNECT, PINGREQ, connect, packet, publish, reading, string, telemetry};

/// What is done to the bytes of a session. Places are counted around them.
#[derive(Clone, Debug)]
pub enum Mutation {
    Set(usize, u8),
    FlipBit(usize, u8),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    Repeat(usize, usize),
    Cut(usize),
}

impl Mutation {
    pub fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let place = |at: usize| at % bytes.len();
        let range = |at: usize, len: usize| place(at)..(place(at) + len).min(bytes.len());
        match self {
            Mutation::Set(at, byte) => {
                let at = place(*at);
                bytes[at] = *byte;
            }
            Mutation::FlipBit(at, bit) => {
                let at = place(*at);
                bytes[at] ^= 1 << bit;
            }
            Mutation::Insert(at, new) => {
                let at = place(*at);
                bytes.splice(at..at, new.iter().copied());
            }
            Mutation::Remove(at, len) => {
                let range = range(*at, *len);
                bytes.drain(range);
            }
            Mutation::Repeat(at, len) => {
                let range = range(*at, *len);
                let again = bytes[range.clone()].to_vec();
                bytes.splice(range.start..range.start, again);
            }
            Mutation::Cut(at) => bytes.truncate(place(*at)),
        }
    }
}

/// A session with a bit of everything.
pub fn session(password: &str) -> Vec<Vec<u8>> {
    let subscribe = packet(0x82, &[&[0, 9], &string("up/d-1/#")[..], &[1]].concat());
    vec![
        connect("d-1", 60, "d-1", password),
        telemetry("d-1", 1),
        publish("up/d-1/telemetry", None, br#"{"pm2_5": 1.5, "seq": 7}"#),
        PINGREQ.to_vec(),
        subscribe,
        publish("up/d-1/state", Some(2), br#"{"firmware": "1"}"#),
        publish("up/d-1/telemetry", Some(3), &[b'x'; 600]),
        [&[0x34][..], &telemetry("d-1", 8)[1..]].concat(),
        packet(0x62, &[0, 8]),
        telemetry("d-1", 4),
        DISCONNECT.to_vec(),
    ]
}

/// The same in MQTT 5, with properties wherever there may be some.
pub fn session_5(password: &str) -> Vec<Vec<u8>> {
    let connect_properties = [18, 0x11, 0, 0, 0, 9, 0x21, 0, 5, 0x17, 1, 0x22, 0, 7, 0x26, 0, 0, 0, 0];
    let hello = [
        &string("MQTT")[..],
        &[5, 0xc2, 0, 60],
        &connect_properties,
        &string("d-1")[..],
        &string("d-1"),
        &string(password),
    ];
    let message = |topic: &str, id: u8, properties: &[u8], payload: &[u8]| {
        packet(0x32, &[&string(topic)[..], &[0, id, properties.len() as u8], properties, payload].concat())
    };
    vec![
        packet(0x10, &hello.concat()),
        message("up/d-1/telemetry", 1, &[0x23, 0, 3], &reading(1)),
        message("", 2, &[0x23, 0, 3, 0x02, 0, 0, 0, 60], &reading(2)),
        PINGREQ.to_vec(),
        packet(0x82, &[&[0, 9, 2, 0x0b, 4], &string("up/d-1/#")[..], &[0x29]].concat()),
        message("up/d-1/state", 3, &[0x01, 1, 0x03, 0, 1, b'j'], br#"{"firmware": "1"}"#),
        message("up/d-1/telemetry", 4, &[0x08, 0, 1, b'r', 0x09, 0, 2, 1, 2], &[b'x'; 600]),
        message("up/d-2/telemetry", 5, &[], &reading(1)),
        [&[0x34][..], &message("up/d-1/telemetry", 6, &[], &reading(1))[1..]].concat(),
        packet(0x62, &[0, 6, 0, 0]),
        packet(0xe0, &[0, 5, 0x11, 0, 0, 0, 7]),
    ]
}
