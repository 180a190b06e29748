//! MQTT 3.1.1 packets in a stream of bytes.
//!
//! Rare packets are read by `rumqttc`'s codec. PUBLISH, of which there are millions, is read in place: the codec
//! needs the bytes in a buffer of its own and copies the topic name. The codec doesn't check everything that the
//! standard asks of a server; what it leaves out is checked here.

use bytes::Bytes;
use rumqttc::mqttbytes::{FixedHeader, Protocol, v4};

/// Longest packet that is not a PUBLISH. Nothing that a device has to say in one needs more.
const MAX_CONTROL: usize = 64 << 10;

/// A packet at the front of the stream, and how many bytes it takes.
#[derive(Debug, PartialEq)]
pub(crate) enum Front<'a> {
    /// All of it is there.
    Whole(Packet<'a>, usize),
    /// A PUBLISH with a payload over the limit; as much of the payload as is there. The length is the whole
    /// packet's, whether or not its bytes have come.
    TooLarge(Publish<'a>, usize),
    /// More bytes are needed.
    Partial,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Packet<'a> {
    Connect(&'a [u8]),
    Publish(Publish<'a>),
    Subscribe { packet_id: u16, filters: usize },
    Unsubscribe { packet_id: u16 },
    PingReq,
    Disconnect,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Publish<'a> {
    pub topic: &'a str,
    /// To be acknowledged under this number; `None` at QoS 0.
    pub packet_id: Option<u16>,
    pub payload: &'a [u8],
}

/// Why the connection has to be closed (MQTT 3.1.1, 4.8). Bounded: it is a metrics label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// Not a packet of MQTT 3.1.1, or cut in itself.
    Malformed,
    /// A packet other than PUBLISH of a length that none of them has.
    TooLong,
    /// An empty topic name, one with a wildcard, or one that is not UTF-8 text.
    TopicName,
    /// Packet identifier 0.
    PacketId,
    /// QoS 2, which is not served yet.
    QosTwo,
    /// The first packet was not CONNECT, or a later one was.
    Order,
    /// A packet that only answers what we never sent.
    Unexpected,
}

pub(crate) struct Header {
    kind: u8,
    flags: u8,
    /// Bytes of the header itself.
    len: usize,
    /// Bytes behind it.
    remaining: usize,
}

/// Looks at the front of `bytes`. `max_payload` bounds the payload of a PUBLISH.
#[inline]
pub(crate) fn front(bytes: &[u8], max_payload: usize) -> Result<Front<'_>, Violation> {
    let Some(header) = Header::read(bytes)? else { return Ok(Front::Partial) };
    let end = header.len + header.remaining;
    if header.kind == PUBLISH {
        return front_publish(bytes, &header, max_payload);
    }
    header.check_control()?;
    match bytes.get(..end) {
        Some(packet) => Ok(Front::Whole(control(packet, &header)?, end)),
        None => Ok(Front::Partial),
    }
}

const CONNECT: u8 = 1;
const PUBLISH: u8 = 3;
const SUBSCRIBE: u8 = 8;
const UNSUBSCRIBE: u8 = 10;
const PINGREQ: u8 = 12;
const DISCONNECT: u8 = 14;

impl Header {
    /// `None` when more bytes are needed.
    #[inline]
    fn read(bytes: &[u8]) -> Result<Option<Header>, Violation> {
        let [first, length @ ..] = bytes else { return Ok(None) };
        let mut remaining = 0;
        for (index, byte) in length.iter().take(4).enumerate() {
            remaining |= usize::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                return Ok(Some(Header { kind: first >> 4, flags: first & 0x0f, len: index + 2, remaining }));
            }
        }
        if length.len() < 4 { Ok(None) } else { Err(Violation::Malformed) }
    }

    /// Refuses what no client sends, before its bytes are waited for.
    fn check_control(&self) -> Result<(), Violation> {
        let reserved = if matches!(self.kind, SUBSCRIBE | UNSUBSCRIBE) { 0b0010 } else { 0 };
        match (self.kind, self.remaining) {
            (4..=7, _) => Err(Violation::Unexpected),
            _ if self.flags != reserved => Err(Violation::Malformed),
            (PINGREQ | DISCONNECT, 0) => Ok(()),
            (CONNECT | SUBSCRIBE | UNSUBSCRIBE, 1..=MAX_CONTROL) => Ok(()),
            (CONNECT | SUBSCRIBE | UNSUBSCRIBE, 1..) => Err(Violation::TooLong),
            _ => Err(Violation::Malformed),
        }
    }

    fn for_codec(&self) -> FixedHeader {
        FixedHeader::new(self.kind << 4 | self.flags, self.len - 1, self.remaining)
    }
}

#[inline]
fn front_publish<'a>(bytes: &'a [u8], header: &Header, max_payload: usize) -> Result<Front<'a>, Violation> {
    let end = header.len + header.remaining;
    let there = bytes.len().min(end);
    if there < end && header.remaining <= max_payload {
        return Ok(Front::Partial);
    }
    let Some((publish, head)) = read_publish(&bytes[header.len..there], header)? else {
        return if there < end { Ok(Front::Partial) } else { Err(Violation::Malformed) };
    };
    if header.remaining - head > max_payload {
        Ok(Front::TooLarge(publish, end))
    } else if there < end {
        Ok(Front::Partial)
    } else {
        Ok(Front::Whole(Packet::Publish(publish), end))
    }
}

/// The PUBLISH whose variable header begins at `body`, and that header's length; `None` when `body` ends within it.
#[inline]
fn read_publish<'a>(body: &'a [u8], header: &Header) -> Result<Option<(Publish<'a>, usize)>, Violation> {
    let has_id = match (header.flags >> 1 & 0b11, header.flags & 0b1000 != 0) {
        (0, false) => false,
        (1, _) => true,
        (2, _) => return Err(Violation::QosTwo),
        _ => return Err(Violation::Malformed),
    };
    let Some((length, rest)) = body.split_first_chunk::<2>() else { return Ok(None) };
    let Some((topic, rest)) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))) else {
        // Not even the packet's announced end leaves room for it.
        let is_hopeless = usize::from(u16::from_be_bytes(*length)) + 2 > header.remaining;
        return if is_hopeless { Err(Violation::Malformed) } else { Ok(None) };
    };
    let topic = topic_name(topic)?;
    if !has_id {
        return Ok(Some((Publish { topic, packet_id: None, payload: rest }, body.len() - rest.len())));
    }
    let Some((id, payload)) = rest.split_first_chunk::<2>() else { return Ok(None) };
    let packet_id = Some(packet_id(u16::from_be_bytes(*id))?);
    Ok(Some((Publish { topic, packet_id, payload }, body.len() - payload.len())))
}

/// MQTT 3.1.1, 4.7.1 and 4.7.3.
fn topic_name(bytes: &[u8]) -> Result<&str, Violation> {
    if bytes.is_empty() || bytes.iter().any(|byte| matches!(byte, b'+' | b'#' | 0)) {
        return Err(Violation::TopicName);
    }
    std::str::from_utf8(bytes).map_err(|_| Violation::TopicName)
}

fn packet_id(id: u16) -> Result<u16, Violation> {
    if id == 0 { Err(Violation::PacketId) } else { Ok(id) }
}

/// A whole packet whose header has passed [`Header::check_control`].
fn control<'a>(packet: &'a [u8], header: &Header) -> Result<Packet<'a>, Violation> {
    match header.kind {
        CONNECT => Ok(Packet::Connect(packet)),
        PINGREQ => Ok(Packet::PingReq),
        DISCONNECT => Ok(Packet::Disconnect),
        SUBSCRIBE => subscribe(packet, header),
        UNSUBSCRIBE => unsubscribe(packet, header),
        _ => Err(Violation::Malformed),
    }
}

fn subscribe<'a>(packet: &[u8], header: &Header) -> Result<Packet<'a>, Violation> {
    let subscribe = v4::Subscribe::read(header.for_codec(), Bytes::copy_from_slice(packet))
        .map_err(|_| Violation::Malformed)?;
    Ok(Packet::Subscribe { packet_id: packet_id(subscribe.pkid)?, filters: subscribe.filters.len() })
}

fn unsubscribe<'a>(packet: &[u8], header: &Header) -> Result<Packet<'a>, Violation> {
    let unsubscribe = v4::Unsubscribe::read(header.for_codec(), Bytes::copy_from_slice(packet))
        .map_err(|_| Violation::Malformed)?;
    if unsubscribe.topics.is_empty() {
        return Err(Violation::Malformed);
    }
    Ok(Packet::Unsubscribe { packet_id: packet_id(unsubscribe.pkid)? })
}

/// What a CONNECT packet says.
#[derive(Debug)]
pub(crate) enum Greeting {
    /// MQTT 3.1.1.
    V4(v4::Connect),
    /// A version that is not served: to be answered with return code 1.
    OtherVersion,
}

/// Reads a whole CONNECT packet, as [`Packet::Connect`] holds it.
pub(crate) fn greeting(packet: &[u8]) -> Result<Greeting, Violation> {
    let header = Header::read(packet)?.ok_or(Violation::Malformed)?;
    match &packet[header.len..] {
        [0, 4, b'M', b'Q', b'T', b'T', 4, flags, ..] if are_connect_flags_valid(*flags) => {}
        [0, 4, b'M', b'Q', b'T', b'T', 4, ..] => return Err(Violation::Malformed),
        [0, 4, b'M', b'Q', b'T', b'T', ..] | [0, 6, b'M', b'Q', b'I', b's', b'd', b'p', ..] => {
            return Ok(Greeting::OtherVersion);
        }
        _ => return Err(Violation::Malformed),
    }
    match v4::Connect::read(header.for_codec(), Bytes::copy_from_slice(packet)) {
        Ok(connect) if connect.protocol == Protocol::V4 && !has_null(&connect) => Ok(Greeting::V4(connect)),
        _ => Err(Violation::Malformed),
    }
}

/// The reserved bit is 0, and there is no password without a user name (MQTT 3.1.1, 3.1.2.3 and 3.1.2.9).
fn are_connect_flags_valid(flags: u8) -> bool {
    let (has_user, has_password) = (flags & 0x80 != 0, flags & 0x40 != 0);
    flags & 1 == 0 && (has_user || !has_password)
}

/// U+0000 has no place in an MQTT string (1.5.3).
fn has_null(connect: &v4::Connect) -> bool {
    connect.client_id.contains('\0')
        || connect.login.as_ref().is_some_and(|login| login.username.contains('\0'))
        || connect.last_will.as_ref().is_some_and(|will| will.topic.contains('\0'))
}

impl Violation {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Violation::Malformed => "malformed",
            Violation::TooLong => "too_long",
            Violation::TopicName => "topic_name",
            Violation::PacketId => "packet_id",
            Violation::QosTwo => "qos_2",
            Violation::Order => "order",
            Violation::Unexpected => "unexpected",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths() {
        let check = |bytes: &[u8], expected: Result<Option<(usize, usize)>, Violation>| {
            let header =
                Header::read(bytes).map(|header| header.map(|header| (header.len, header.remaining)));
            assert_eq!(header, expected, "{bytes:02x?}");
        };
        check(&[], Ok(None));
        check(&[0x30], Ok(None));
        check(&[0x30, 0], Ok(Some((2, 0))));
        check(&[0x30, 0x7f], Ok(Some((2, 127))));
        check(&[0x30, 0x80], Ok(None));
        check(&[0x30, 0x80, 0x01], Ok(Some((3, 128))));
        check(&[0x30, 0xff, 0xff, 0x7f], Ok(Some((4, 2_097_151))));
        check(&[0x30, 0xff, 0xff, 0xff], Ok(None));
        check(&[0x30, 0xff, 0xff, 0xff, 0x7f], Ok(Some((5, 268_435_455))));
        check(&[0x30, 0xff, 0xff, 0xff, 0xff], Err(Violation::Malformed));
    }

    #[test]
    fn a_large_payload_is_known_before_it_is_there() {
        let head = [0x32, 0x88, 0x08, 0, 1, b'a', 0, 7];
        let publish = |payload| Publish { topic: "a", packet_id: Some(7), payload };
        let large = |payload| Ok(Front::TooLarge(publish(payload), 1035));
        assert_eq!(front(&head, 1027), Ok(Front::Partial));
        assert_eq!(front(&head[..7], 1026), Ok(Front::Partial));
        assert_eq!(front(&head, 1026), large(&[]));
        assert_eq!(front(&[&head[..], b"xy"].concat(), 1026), large(b"xy"));
        let whole = [&head[..], &[b'x'; 1027], b"behind"].concat();
        assert_eq!(front(&whole, 1027), Ok(Front::Whole(Packet::Publish(publish(&[b'x'; 1027])), 1035)));
        assert_eq!(front(&whole, 1026), large(&[b'x'; 1027]));
    }

    fn publishes() -> impl Strategy<Value = v4::Publish> {
        let qos = prop_oneof![
            Just((rumqttc::QoS::AtMostOnce, 0)),
            (1..u16::MAX).prop_map(|id| (rumqttc::QoS::AtLeastOnce, id))
        ];
        ("[a-zé/]{1,40}", qos, prop::collection::vec(any::<u8>(), 0..300)).prop_map(
            |(topic, (qos, id), payload)| {
                let mut publish = v4::Publish::new(topic, qos, payload);
                publish.pkid = id;
                publish
            },
        )
    }

    proptest! {
        /// What the codec writes, we read, with whatever stands behind it.
        #[test]
        fn reads_a_publish_as_the_codec_does(publish in publishes(), behind in prop::collection::vec(any::<u8>(), 0..20)) {
            let mut bytes = bytes::BytesMut::new();
            let len = publish.write(&mut bytes).unwrap();
            bytes.extend_from_slice(&behind);
            let expected = Publish {
                topic: &publish.topic,
                packet_id: (publish.pkid > 0).then_some(publish.pkid),
                payload: &publish.payload,
            };
            prop_assert_eq!(front(&bytes, 1000), Ok(Front::Whole(Packet::Publish(expected), len)));
            for cut in 0..len {
                prop_assert_eq!(front(&bytes[..cut], 1000), Ok(Front::Partial));
            }
        }

        /// Any bytes are a packet, the start of one, or refused; and no packet is longer than what is there.
        #[test]
        fn any_bytes_do(bytes in prop::collection::vec(any::<u8>(), 0..80), kind in 0u8..16, max in 0usize..60) {
            let mut bytes = bytes;
            if let [first, length, ..] = &mut bytes[..] {
                *first = kind << 4 | (*first & 0x0f);
                *length %= 80;
            }
            match front(&bytes, max) {
                Ok(Front::Whole(Packet::Connect(packet), len)) => {
                    prop_assert_eq!(packet.len(), len);
                    let _ = greeting(packet);
                }
                Ok(Front::Whole(_, len)) => prop_assert!(len <= bytes.len()),
                Ok(Front::TooLarge(_, len)) => prop_assert!(len > max),
                Ok(Front::Partial) | Err(_) => {}
            }
        }

        /// A mutated CONNECT is a greeting or refused.
        #[test]
        fn mutated_greetings_do(at in 0usize..41, byte in any::<u8>(), cut in 0usize..41) {
            let mut connect = v4::Connect::new("client");
            connect.set_login("d-1", "password").keep_alive = 7;
            connect.last_will = Some(v4::LastWill::new("w", "x", rumqttc::QoS::AtLeastOnce, false));
            let mut bytes = bytes::BytesMut::new();
            let len = connect.write(&mut bytes).unwrap();
            bytes[at % len] = byte;
            let _ = greeting(&bytes);
            let _ = greeting(&bytes[..cut.min(len)]);
        }
    }
}
