//! MQTT packets in a stream of bytes: 3.1.1 and 5.
//!
//! Both versions are read by the same few functions, in place, and what one of them asks of a server is checked
//! where it is read: reserved flags, lengths, U+0000, ranges, properties where they don't belong.

mod answer;
mod connect;
mod fields;
mod property;
mod publish;
mod reason;
mod subscribe;

pub(crate) use answer::{
    Acknowledgement, Delivery, ReturnCode, Terms, accept, acknowledge, deliver, disconnect, pingresp,
    refuse_v5, refuse_v311, suback, unsuback,
};
pub(crate) use connect::{Connect, Greeting, Version, Will, greeting};
pub(crate) use property::forwarded;
pub(crate) use publish::{Publish, QoS};
pub(crate) use reason::ReasonCode;
pub(crate) use subscribe::{Options, RetainHandling, Subscribe, Unsubscribe};

use fields::Fields;
use property::Property;

/// Longest packet that is not a PUBLISH. Nothing that a device has to say in one needs more.
pub(crate) const MAX_CONTROL: usize = 64 << 10;

/// A packet at the front of the stream, and how many bytes it takes.
#[derive(Debug, PartialEq)]
pub(crate) enum Front<'a> {
    /// All of it is there.
    Whole(Packet<'a>, usize),
    /// A PUBLISH of MQTT 3.1.1 with a payload over the limit; as much of the payload as is there. The length is the
    /// whole packet's, whether or not its bytes have come.
    TooLarge(Publish<'a>, usize),
    /// More bytes are needed.
    Partial,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Packet<'a> {
    Connect(&'a [u8]),
    Publish(Publish<'a>),
    Subscribe(Subscribe<'a>),
    Unsubscribe(Unsubscribe<'a>),
    /// What the client says of a message that it was sent.
    Answer(Answer),
    /// The client has done with a message of QoS 2.
    Pubrel {
        packet_id: u16,
    },
    PingReq,
    Disconnect(Farewell),
}

/// PUBACK, PUBREC or PUBCOMP from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub what: Acknowledgement,
    pub packet_id: u16,
    /// It did not take the message.
    pub is_refusal: bool,
}

/// DISCONNECT from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Farewell {
    /// The session expiry that it sets, if any.
    pub session_expiry: Option<u32>,
    /// It wants its will to be published all the same (MQTT 5, code 0x04).
    pub with_will: bool,
}

/// Why the connection has to be closed (MQTT 3.1.1, 4.8; MQTT 5, 4.13). Bounded: it is a metrics label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// Not a packet of this version of MQTT, or cut in itself.
    Malformed,
    /// Well formed, and not allowed: a property twice, a value out of its range, an authentication nobody began.
    Protocol,
    /// Longer than any packet of its kind, or than the client was told.
    TooLong,
    /// An empty topic name, one with a wildcard, or one that is not UTF-8 text.
    TopicName,
    /// A topic name that is longer, or has more levels, than may be.
    TopicLimit,
    /// A topic alias of 0, above the maximum, or that nothing was assigned to.
    TopicAlias,
    /// Packet identifier 0.
    PacketId,
    /// More unacknowledged messages than the client was told, or more of QoS 2 than anybody may have.
    ReceiveMaximum,
    /// More messages than its device may publish.
    Rate,
    /// A will that is not the text that it is said to be.
    PayloadFormat,
    /// The first packet was not CONNECT, or a later one was.
    Order,
    /// A packet that answers what was never sent.
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

/// Bounds of what may come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Bytes of a payload.
    pub payload: usize,
    /// Bytes of a packet of MQTT 5.
    pub packet: usize,
}

/// Looks at the front of `bytes`.
#[inline]
pub(crate) fn front(bytes: &[u8], version: Version, room: Room) -> Result<Front<'_>, Violation> {
    let Some(header) = Header::read(bytes)? else { return Ok(Front::Partial) };
    let end = header.len + header.remaining;
    if version == Version::V5 && end > room.packet {
        return Err(Violation::TooLong);
    }
    if header.kind == PUBLISH {
        return publish::front(bytes, &header, version, room.payload);
    }
    header.check_control(version)?;
    match bytes.get(header.len..end) {
        Some(_) if header.kind == CONNECT => Ok(Front::Whole(Packet::Connect(&bytes[..end]), end)),
        Some(body) => Ok(Front::Whole(control(Fields::new(body), &header, version)?, end)),
        None => Ok(Front::Partial),
    }
}

const CONNECT: u8 = 1;
const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;
const PUBREC: u8 = 5;
const PUBREL: u8 = 6;
const PUBCOMP: u8 = 7;
const SUBSCRIBE: u8 = 8;
const UNSUBSCRIBE: u8 = 10;
const PINGREQ: u8 = 12;
const DISCONNECT: u8 = 14;
const AUTH: u8 = 15;

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
    fn check_control(&self, version: Version) -> Result<(), Violation> {
        let reserved = if matches!(self.kind, PUBREL | SUBSCRIBE | UNSUBSCRIBE) { 0b0010 } else { 0 };
        match (self.kind, self.remaining) {
            _ if self.flags != reserved => Err(Violation::Malformed),
            (PUBACK | PUBREC | PUBREL | PUBCOMP, 2) => Ok(()),
            (PUBACK | PUBREC | PUBREL | PUBCOMP, 3..=MAX_CONTROL) if version == Version::V5 => Ok(()),
            (PINGREQ | DISCONNECT, 0) => Ok(()),
            (CONNECT | SUBSCRIBE | UNSUBSCRIBE, 1..=MAX_CONTROL) => Ok(()),
            (DISCONNECT, 1..=MAX_CONTROL) if version == Version::V5 => Ok(()),
            (CONNECT | SUBSCRIBE | UNSUBSCRIBE | DISCONNECT, 1..) => Err(Violation::TooLong),
            // No authentication that has more packets than CONNECT is ever begun.
            (AUTH, _) if version == Version::V5 => Err(Violation::Protocol),
            _ => Err(Violation::Malformed),
        }
    }
}

fn packet_id(id: u16) -> Result<u16, Violation> {
    if id == 0 { Err(Violation::PacketId) } else { Ok(id) }
}

/// The body of a whole packet whose header has passed [`Header::check_control`].
fn control<'a>(body: Fields<'a>, header: &Header, version: Version) -> Result<Packet<'a>, Violation> {
    match header.kind {
        PINGREQ => Ok(Packet::PingReq),
        DISCONNECT => read_disconnect(body),
        PUBREL => read_answer(body).map(|(packet_id, _)| Packet::Pubrel { packet_id }),
        PUBACK => answer(Acknowledgement::Puback, body),
        PUBREC => answer(Acknowledgement::Pubrec, body),
        PUBCOMP => answer(Acknowledgement::Pubcomp, body),
        SUBSCRIBE => Subscribe::read(body, version).map(Packet::Subscribe),
        UNSUBSCRIBE => Unsubscribe::read(body, version).map(Packet::Unsubscribe),
        _ => Err(Violation::Malformed),
    }
}

fn answer<'a>(what: Acknowledgement, body: Fields<'_>) -> Result<Packet<'a>, Violation> {
    let (packet_id, code) = read_answer(body)?;
    Ok(Packet::Answer(Answer { what, packet_id, is_refusal: code >= 0x80 }))
}

/// Packet id and code. What is left out at its end is 0 (MQTT 5, 3.4.2 and 3.6.2). A PUBREL releases its message
/// whatever its code is.
fn read_answer(mut body: Fields<'_>) -> Result<(u16, u8), Violation> {
    let packet_id = packet_id(body.two()?)?;
    let code = if body.is_empty() { 0 } else { body.byte()? };
    if !body.is_empty() {
        property::read(&mut body, property::IN_ANSWER, |_| ())?;
    }
    if body.is_empty() { Ok((packet_id, code)) } else { Err(Violation::Malformed) }
}

/// What is left out at its end is 0 (MQTT 5, 3.14.2). Of the codes only one changes what is done here.
fn read_disconnect<'a>(mut body: Fields<'_>) -> Result<Packet<'a>, Violation> {
    const WITH_WILL: u8 = 0x04;
    let mut farewell = Farewell { session_expiry: None, with_will: false };
    if !body.is_empty() {
        farewell.with_will = body.byte()? == WITH_WILL;
    }
    if !body.is_empty() {
        property::read(&mut body, property::IN_DISCONNECT, |property| {
            if let Property::SessionExpiry(seconds) = property {
                farewell.session_expiry = Some(seconds);
            }
        })?;
    }
    if body.is_empty() { Ok(Packet::Disconnect(farewell)) } else { Err(Violation::Malformed) }
}

impl Violation {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Violation::Malformed => "malformed",
            Violation::Protocol => "protocol",
            Violation::TooLong => "too_long",
            Violation::TopicName => "topic_name",
            Violation::TopicLimit => "topic_limit",
            Violation::TopicAlias => "topic_alias",
            Violation::PacketId => "packet_id",
            Violation::ReceiveMaximum => "receive_maximum",
            Violation::Rate => "rate",
            Violation::PayloadFormat => "payload_format",
            Violation::Order => "order",
            Violation::Unexpected => "unexpected",
        }
    }

    /// What a client of MQTT 5 is told.
    pub(crate) const fn code(self) -> ReasonCode {
        match self {
            Violation::Malformed => ReasonCode::MalformedPacket,
            Violation::Protocol | Violation::PacketId | Violation::Order | Violation::Unexpected => {
                ReasonCode::ProtocolError
            }
            Violation::TooLong => ReasonCode::PacketTooLarge,
            Violation::TopicName | Violation::TopicLimit => ReasonCode::TopicNameInvalid,
            Violation::TopicAlias => ReasonCode::TopicAliasInvalid,
            Violation::ReceiveMaximum => ReasonCode::ReceiveMaximumExceeded,
            Violation::Rate => ReasonCode::QuotaExceeded,
            Violation::PayloadFormat => ReasonCode::PayloadFormatInvalid,
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

    proptest! {
        /// Any bytes are a packet, the start of one, or refused; and no packet is longer than what is there.
        #[test]
        fn any_bytes_do(bytes in prop::collection::vec(any::<u8>(), 0..80), kind in 0u8..16, max in 0usize..60) {
            let mut bytes = bytes;
            if let [first, length, ..] = &mut bytes[..] {
                *first = kind << 4 | (*first & 0x0f);
                *length %= 80;
            }
            for version in [Version::V311, Version::V5] {
                match front(&bytes, version, Room { payload: max, packet: 2 * max }) {
                    Ok(Front::Whole(Packet::Connect(packet), len)) => {
                        prop_assert_eq!(packet.len(), len);
                        let _ = greeting(packet);
                        let _ = Connect::read(packet, version);
                    }
                    Ok(Front::Whole(_, len)) => prop_assert!(len <= bytes.len()),
                    Ok(Front::TooLarge(_, len)) => prop_assert!(len > max),
                    Ok(Front::Partial) | Err(_) => {}
                }
            }
        }
    }
}
