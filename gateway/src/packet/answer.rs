//! What the gateway says, written straight into what waits for the socket.

use super::{QoS, ReasonCode, Version};
use bytes::{BufMut, BytesMut};

/// Return code of MQTT 3.1.1 for a CONNECT (table 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ReturnCode {
    UnacceptableProtocolVersion = 1,
    IdentifierRejected = 2,
    ServerUnavailable = 3,
    BadUserNameOrPassword = 4,
    NotAuthorized = 5,
}

/// What a client of MQTT 5 is told with its CONNACK.
#[derive(Debug, Default)]
pub(crate) struct Terms<'a> {
    /// Where it differs from what was asked for.
    pub session_expiry: Option<u32>,
    /// Messages that may be unacknowledged.
    pub receive_maximum: u16,
    /// Bytes of a packet.
    pub maximum_packet_size: u32,
    pub topic_alias_maximum: u16,
    /// The name of a client that had none.
    pub assigned_client_id: Option<&'a str>,
    /// Where it differs from what was asked for.
    pub keep_alive: Option<u16>,
}

/// CONNACK of a connection that is accepted.
pub(crate) fn accept(to: &mut BytesMut, version: Version, is_session_present: bool, terms: &Terms<'_>) {
    let flags = u8::from(is_session_present);
    match version {
        Version::V311 => to.put_slice(&[CONNACK, 2, flags, 0]),
        Version::V5 => {
            let properties = terms.properties();
            to.put_slice(&[CONNACK]);
            put_variable(to, 2 + variable_len(properties.len()) + properties.len());
            to.put_slice(&[flags, ReasonCode::Success as u8]);
            put_variable(to, properties.len());
            to.put_slice(&properties);
        }
    }
}

/// CONNACK of MQTT 3.1.1 that refuses.
pub(crate) fn refuse_v311(code: ReturnCode) -> BytesMut {
    BytesMut::from(&[CONNACK, 2, 0, code as u8][..])
}

/// CONNACK of MQTT 5 that refuses.
pub(crate) fn refuse_v5(code: ReasonCode) -> BytesMut {
    BytesMut::from(&[CONNACK, 3, 0, code as u8, 0][..])
}

/// What is said of a message under its packet id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Acknowledgement {
    Puback = 0x40,
    Pubrec = 0x50,
    /// Its two lowest bits are reserved.
    Pubrel = 0x62,
    Pubcomp = 0x70,
}

/// An acknowledgement. The code is for MQTT 5 alone.
pub(crate) fn acknowledge(
    to: &mut BytesMut,
    version: Version,
    what: Acknowledgement,
    packet_id: u16,
    code: ReasonCode,
) {
    let [high, low] = packet_id.to_be_bytes();
    match (version, code) {
        (Version::V311, _) | (Version::V5, ReasonCode::Success) => {
            to.put_slice(&[what as u8, 2, high, low]);
        }
        (Version::V5, code) => to.put_slice(&[what as u8, 3, high, low, code as u8]),
    }
}

/// SUBACK, with a code for each filter.
pub(crate) fn suback(to: &mut BytesMut, version: Version, packet_id: u16, codes: &[u8]) {
    for_filters(to, SUBACK, version, packet_id, codes);
}

/// UNSUBACK, in MQTT 5 with a code for each filter.
pub(crate) fn unsuback(to: &mut BytesMut, version: Version, packet_id: u16, codes: &[u8]) {
    for_filters(to, UNSUBACK, version, packet_id, if version == Version::V5 { codes } else { &[] });
}

fn for_filters(to: &mut BytesMut, kind: u8, version: Version, packet_id: u16, codes: &[u8]) {
    let properties: &[u8] = if version == Version::V5 { &[0] } else { &[] };
    to.put_u8(kind);
    put_variable(to, 2 + properties.len() + codes.len());
    to.put_u16(packet_id);
    to.put_slice(properties);
    to.put_slice(codes);
}

/// What a subscriber is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivery<'a> {
    pub topic: &'a str,
    pub payload: &'a [u8],
    /// As they were published, but for the expiry.
    pub properties: &'a [u8],
    /// Seconds that the message is still worth something.
    pub expiry: Option<u32>,
    /// Of the subscriptions because of which it is sent.
    pub identifiers: &'a [u32],
    pub qos: QoS,
    /// 0 at QoS 0.
    pub packet_id: u16,
    pub is_dup: bool,
    pub is_retained: bool,
}

/// PUBLISH. `false`, and nothing written, when it would be longer than `max` bytes.
pub(crate) fn deliver(to: &mut BytesMut, version: Version, max: usize, it: &Delivery<'_>) -> bool {
    let start = to.len();
    let (properties, len_of_properties) = match version {
        Version::V311 => (0, 0),
        Version::V5 => (it.properties_len(), variable_len(it.properties_len())),
    };
    let id = if it.qos == QoS::AtMostOnce { 0 } else { 2 };
    let remaining = 2 + it.topic.len() + id + len_of_properties + properties + it.payload.len();
    if 1 + variable_len(remaining) + remaining > max {
        return false;
    }
    to.reserve(5 + remaining);
    to.put_u8(PUBLISH | u8::from(it.is_dup) << 3 | (it.qos as u8) << 1 | u8::from(it.is_retained));
    put_variable(to, remaining);
    to.put_u16(u16::try_from(it.topic.len()).expect("a topic name came with a length of two bytes"));
    to.put_slice(it.topic.as_bytes());
    if id > 0 {
        to.put_u16(it.packet_id);
    }
    if version == Version::V5 {
        put_variable(to, properties);
        it.put_properties(to);
    }
    to.put_slice(it.payload);
    debug_assert_eq!(to.len() - start, 1 + variable_len(remaining) + remaining);
    true
}

impl Delivery<'_> {
    fn properties_len(&self) -> usize {
        let identifiers: usize = self.identifiers.iter().map(|id| 1 + variable_len(*id as usize)).sum();
        self.properties.len() + identifiers + self.expiry.map_or(0, |_| 5)
    }

    fn put_properties(&self, to: &mut BytesMut) {
        to.put_slice(self.properties);
        if let Some(seconds) = self.expiry {
            to.put_u8(0x02);
            to.put_u32(seconds);
        }
        for id in self.identifiers {
            to.put_u8(0x0b);
            put_variable(to, *id as usize);
        }
    }
}

pub(crate) fn pingresp(to: &mut BytesMut) {
    to.put_slice(&[0xd0, 0]);
}

/// DISCONNECT, which only MQTT 5 has from a server. The length of its properties could be left out, and there are
/// clients that miss it.
pub(crate) fn disconnect(to: &mut BytesMut, code: ReasonCode) {
    to.put_slice(&[0xe0, 2, code as u8, 0]);
}

const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const SUBACK: u8 = 0x90;
const UNSUBACK: u8 = 0xb0;

impl Terms<'_> {
    fn properties(&self) -> BytesMut {
        let mut to = BytesMut::new();
        if let Some(seconds) = self.session_expiry {
            to.put_u8(0x11);
            to.put_u32(seconds);
        }
        to.put_u8(0x21);
        to.put_u16(self.receive_maximum);
        to.put_u8(0x27);
        to.put_u32(self.maximum_packet_size);
        if let Some(id) = self.assigned_client_id {
            to.put_u8(0x12);
            to.put_u16(u16::try_from(id.len()).expect("an id that we made is short"));
            to.put_slice(id.as_bytes());
        }
        to.put_u8(0x22);
        to.put_u16(self.topic_alias_maximum);
        if let Some(seconds) = self.keep_alive {
            to.put_u8(0x13);
            to.put_u16(seconds);
        }
        to
    }
}

fn variable_len(value: usize) -> usize {
    match value {
        ..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

fn put_variable(to: &mut BytesMut, mut value: usize) {
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        to.put_u8(if value > 0 { low | 0x80 } else { low });
        if value == 0 {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, Packet};

    #[test]
    fn another_codec_reads_the_terms() {
        let terms = Terms {
            session_expiry: Some(0),
            receive_maximum: 9,
            maximum_packet_size: 1000,
            topic_alias_maximum: 7,
            assigned_client_id: Some("auto-1"),
            keep_alive: Some(60),
        };
        let mut bytes = BytesMut::new();
        accept(&mut bytes, Version::V5, true, &terms);
        let Ok(Packet::ConnAck(connack)) = Packet::read(&mut bytes, None) else { panic!("no CONNACK") };
        assert_eq!((connack.code, connack.session_present), (ConnectReturnCode::Success, true));
        let told = connack.properties.unwrap();
        assert_eq!((told.session_expiry_interval, told.receive_max, told.max_qos), (Some(0), Some(9), None));
        assert_eq!((told.retain_available, told.max_packet_size), (None, Some(1000)));
        assert_eq!(
            (told.assigned_client_identifier.as_deref(), told.topic_alias_max),
            (Some("auto-1"), Some(7))
        );
        assert_eq!((told.server_keep_alive, told.shared_subscription_available), (Some(60), None));
        assert!(bytes.is_empty());
    }

    #[test]
    fn another_codec_reads_a_delivery() {
        let delivery = Delivery {
            topic: "a/b",
            payload: b"x",
            properties: &[0x01, 1],
            expiry: Some(7),
            identifiers: &[1, 300],
            qos: QoS::AtLeastOnce,
            packet_id: 9,
            is_dup: true,
            is_retained: true,
        };
        let mut bytes = BytesMut::new();
        assert!(!deliver(&mut bytes, Version::V5, 22, &delivery) && bytes.is_empty());
        assert!(deliver(&mut bytes, Version::V5, 23, &delivery));
        let Ok(Packet::Publish(read)) = Packet::read(&mut bytes, None) else { panic!("no PUBLISH") };
        assert_eq!((&read.topic[..], &read.payload[..], read.pkid), (&b"a/b"[..], &b"x"[..], 9));
        assert!(read.dup && read.retain);
        let told = read.properties.unwrap();
        assert_eq!(told.subscription_identifiers, [1, 300]);
        assert_eq!((told.payload_format_indicator, told.message_expiry_interval), (Some(1), Some(7)));
        let mut bytes = BytesMut::new();
        assert!(deliver(&mut bytes, Version::V311, 100, &Delivery { qos: QoS::AtMostOnce, ..delivery }));
        assert_eq!(bytes[..], [0x39, 6, 0, 3, b'a', b'/', b'b', b'x']);
    }

    #[test]
    fn lengths_take_as_many_bytes_as_they_need() {
        for value in [0, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455] {
            let mut bytes = BytesMut::new();
            put_variable(&mut bytes, value);
            assert_eq!(bytes.len(), variable_len(value), "{value}");
        }
    }
}
