//! Properties (MQTT 5, 2.2.2): which a packet may hold, and what they say.

use super::Violation;
use super::fields::Fields;

/// A property that a client may send, with its value. What nobody here acts on is checked and has no variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Property<'a> {
    /// The payload is UTF-8 text.
    PayloadFormat(bool),
    /// Seconds.
    SessionExpiry(u32),
    AuthenticationMethod(&'a str),
    MaximumPacketSize(u32),
    TopicAlias(u16),
    ReceiveMaximum(u16),
    SubscriptionId(u32),
    /// Seconds.
    MessageExpiry(u32),
    /// Seconds.
    WillDelay(u32),
    /// Checked, and without consequence for a packet that only comes in.
    Other,
}

/// Identifiers of properties as a set: bit n is identifier n.
#[derive(Clone, Copy)]
pub(super) struct Allowed(u64);

pub(super) const IN_CONNECT: Allowed = Allowed::of(&[
    SESSION_EXPIRY,
    AUTHENTICATION_METHOD,
    AUTHENTICATION_DATA,
    REQUEST_PROBLEM_INFORMATION,
    REQUEST_RESPONSE_INFORMATION,
    RECEIVE_MAXIMUM,
    TOPIC_ALIAS_MAXIMUM,
    USER_PROPERTY,
    MAXIMUM_PACKET_SIZE,
]);
pub(super) const IN_WILL: Allowed = Allowed::of(&[
    PAYLOAD_FORMAT,
    MESSAGE_EXPIRY,
    CONTENT_TYPE,
    RESPONSE_TOPIC,
    CORRELATION_DATA,
    WILL_DELAY,
    USER_PROPERTY,
]);
pub(super) const IN_PUBLISH: Allowed = Allowed::of(&[
    PAYLOAD_FORMAT,
    MESSAGE_EXPIRY,
    CONTENT_TYPE,
    RESPONSE_TOPIC,
    CORRELATION_DATA,
    TOPIC_ALIAS,
    USER_PROPERTY,
]);
pub(super) const IN_SUBSCRIBE: Allowed = Allowed::of(&[SUBSCRIPTION_ID, USER_PROPERTY]);
pub(super) const IN_UNSUBSCRIBE: Allowed = Allowed::of(&[USER_PROPERTY]);
pub(super) const IN_ANSWER: Allowed = Allowed::of(&[REASON_STRING, USER_PROPERTY]);
pub(super) const IN_DISCONNECT: Allowed = Allowed::of(&[SESSION_EXPIRY, REASON_STRING, USER_PROPERTY]);

const PAYLOAD_FORMAT: u32 = 0x01;
const MESSAGE_EXPIRY: u32 = 0x02;
const CONTENT_TYPE: u32 = 0x03;
const RESPONSE_TOPIC: u32 = 0x08;
const CORRELATION_DATA: u32 = 0x09;
const SUBSCRIPTION_ID: u32 = 0x0b;
const SESSION_EXPIRY: u32 = 0x11;
const AUTHENTICATION_METHOD: u32 = 0x15;
const AUTHENTICATION_DATA: u32 = 0x16;
const REQUEST_PROBLEM_INFORMATION: u32 = 0x17;
const WILL_DELAY: u32 = 0x18;
const REQUEST_RESPONSE_INFORMATION: u32 = 0x19;
const REASON_STRING: u32 = 0x1f;
const RECEIVE_MAXIMUM: u32 = 0x21;
const TOPIC_ALIAS_MAXIMUM: u32 = 0x22;
const TOPIC_ALIAS: u32 = 0x23;
const USER_PROPERTY: u32 = 0x26;
const MAXIMUM_PACKET_SIZE: u32 = 0x27;

impl Allowed {
    const fn of(ids: &[u32]) -> Allowed {
        let (mut set, mut index) = (0, 0);
        while index < ids.len() {
            set |= 1 << ids[index];
            index += 1;
        }
        Allowed(set)
    }

    const fn has(self, id: u32) -> bool {
        id < u64::BITS && self.0 >> id & 1 == 1
    }
}

/// Reads the properties at the front of `fields`, and gives each to `take`.
///
/// A property that the packet can't have is malformed; one that occurs twice is a protocol error, except a user
/// property, which may occur often.
pub(super) fn read<'a>(
    fields: &mut Fields<'a>,
    allowed: Allowed,
    mut take: impl FnMut(Property<'a>),
) -> Result<(), Violation> {
    let len = fields.variable()?;
    let mut properties = Fields::new(fields.take(len as usize)?);
    let mut seen = Allowed(0);
    while !properties.is_empty() {
        let id = properties.variable()?;
        if !allowed.has(id) {
            return Err(Violation::Malformed);
        }
        if seen.has(id) && id != USER_PROPERTY {
            return Err(Violation::Protocol);
        }
        seen.0 |= 1 << id;
        take(value(id, &mut properties)?);
    }
    // 3.1.2.11.10: data for a method that nobody named.
    if seen.has(AUTHENTICATION_DATA) && !seen.has(AUTHENTICATION_METHOD) {
        return Err(Violation::Protocol);
    }
    Ok(())
}

fn value<'a>(id: u32, from: &mut Fields<'a>) -> Result<Property<'a>, Violation> {
    match id {
        PAYLOAD_FORMAT => return flag(from).map(Property::PayloadFormat),
        SESSION_EXPIRY => return from.four().map(Property::SessionExpiry),
        AUTHENTICATION_METHOD => return from.text().map(Property::AuthenticationMethod),
        MAXIMUM_PACKET_SIZE => return nonzero(from.four()?).map(Property::MaximumPacketSize),
        TOPIC_ALIAS => return from.two().map(Property::TopicAlias),
        REQUEST_PROBLEM_INFORMATION | REQUEST_RESPONSE_INFORMATION => flag(from).map(drop)?,
        MESSAGE_EXPIRY => return from.four().map(Property::MessageExpiry),
        WILL_DELAY => return from.four().map(Property::WillDelay),
        CONTENT_TYPE | REASON_STRING => from.text().map(drop)?,
        RESPONSE_TOPIC => super::publish::topic_name(from.binary()?).map(drop)?,
        CORRELATION_DATA | AUTHENTICATION_DATA => from.binary().map(drop)?,
        SUBSCRIPTION_ID => return nonzero(from.variable()?).map(Property::SubscriptionId),
        RECEIVE_MAXIMUM => {
            let packets = from.two()?;
            nonzero(packets.into())?;
            return Ok(Property::ReceiveMaximum(packets));
        }
        TOPIC_ALIAS_MAXIMUM => from.two().map(drop)?,
        USER_PROPERTY => from.text().and_then(|_| from.text()).map(drop)?,
        _ => return Err(Violation::Malformed),
    }
    Ok(Property::Other)
}

/// Of the properties of a PUBLISH or a will those that go on to subscribers unchanged (3.3.2.3), as they stand, and
/// the seconds after which the message is worth nothing. `raw` was read before, and is sound.
pub(crate) fn forwarded(raw: &[u8]) -> (Vec<u8>, Option<u32>) {
    let (mut kept, mut expiry) = (Vec::new(), None);
    let mut rest = Fields::new(raw);
    while !rest.is_empty() {
        let before = rest.rest();
        let Some((id, property)) = next(&mut rest) else { break };
        match (id, property) {
            (_, Property::MessageExpiry(seconds)) => expiry = Some(seconds),
            (PAYLOAD_FORMAT | CONTENT_TYPE | RESPONSE_TOPIC | CORRELATION_DATA | USER_PROPERTY, _) => {
                kept.extend_from_slice(&before[..before.len() - rest.rest().len()]);
            }
            _ => {}
        }
    }
    (kept, expiry)
}

fn next<'a>(from: &mut Fields<'a>) -> Option<(u32, Property<'a>)> {
    let id = from.variable().ok()?;
    Some((id, value(id, from).ok()?))
}

/// 0 or 1: any other value is a protocol error wherever the standard has a flag as a property.
fn flag(from: &mut Fields<'_>) -> Result<bool, Violation> {
    match from.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Violation::Protocol),
    }
}

fn nonzero(value: u32) -> Result<u32, Violation> {
    if value == 0 { Err(Violation::Protocol) } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(allowed: Allowed, bytes: &[u8], expected: Result<Vec<Property<'_>>, Violation>) {
        let mut told = Vec::new();
        let read = read(&mut Fields::new(bytes), allowed, |property| told.push(property));
        assert_eq!(read.map(|()| told), expected, "{bytes:02x?}");
    }

    #[test]
    fn each_once_where_it_belongs() {
        check(IN_CONNECT, &[0], Ok(vec![]));
        check(IN_CONNECT, &[5, 0x11, 0, 0, 0, 9], Ok(vec![Property::SessionExpiry(9)]));
        check(IN_PUBLISH, &[5, 0x11, 0, 0, 0, 9], Err(Violation::Malformed));
        check(IN_PUBLISH, &[6, 0x23, 0, 1, 0x23, 0, 1], Err(Violation::Protocol));
        check(
            IN_PUBLISH,
            &[14, 0x26, 0, 1, b'a', 0, 1, b'b', 0x26, 0, 1, b'a', 0, 1, b'b'],
            Ok(vec![Property::Other; 2]),
        );
        check(IN_PUBLISH, &[1, 0x7f], Err(Violation::Malformed));
        check(IN_PUBLISH, &[2, 0x01, 1], Ok(vec![Property::PayloadFormat(true)]));
    }

    #[test]
    fn what_concerns_subscribers_goes_on() {
        let user = [0x26, 0, 1, b'a', 0, 1, b'b'];
        let raw = [&[0x01, 1, 0x02, 0, 0, 0, 9][..], &user, &[0x23, 0, 1], &user].concat();
        let expected = [&[0x01, 1][..], &user, &user].concat();
        assert_eq!(forwarded(&raw), (expected, Some(9)));
        assert_eq!(forwarded(&[]), (vec![], None));
    }

    #[test]
    fn values_keep_to_their_ranges() {
        check(IN_PUBLISH, &[2, 0x01, 2], Err(Violation::Protocol));
        check(IN_CONNECT, &[3, 0x21, 0, 0], Err(Violation::Protocol));
        check(IN_CONNECT, &[5, 0x27, 0, 0, 0, 0], Err(Violation::Protocol));
        check(IN_CONNECT, &[4, 0x16, 0, 1, 7], Err(Violation::Protocol));
        check(IN_SUBSCRIBE, &[2, 0x0b, 0], Err(Violation::Protocol));
        check(IN_PUBLISH, &[4, 0x08, 0, 1, b'#'], Err(Violation::TopicName));
        check(IN_PUBLISH, &[3, 0x23, 0], Err(Violation::Malformed));
        check(IN_PUBLISH, &[9, 0x23, 0, 1], Err(Violation::Malformed));
    }
}
