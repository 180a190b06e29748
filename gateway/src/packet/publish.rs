//! PUBLISH, read in place.

use super::fields::Fields;
use super::property::{self, Property};
use super::{Front, Header, Packet, Version, Violation};

/// Quality of service (4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::enum_variant_names, reason = "these are the words of the standard")]
pub(crate) enum QoS {
    AtMostOnce,
    AtLeastOnce,
    ExactlyOnce,
}

impl QoS {
    pub(crate) const fn from_code(code: u8) -> Option<QoS> {
        match code {
            0 => Some(QoS::AtMostOnce),
            1 => Some(QoS::AtLeastOnce),
            2 => Some(QoS::ExactlyOnce),
            _ => None,
        }
    }
}

/// A message from a client.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Publish<'a> {
    /// Empty when `alias` alone names it.
    pub topic: &'a str,
    pub qos: QoS,
    /// To be acknowledged under this number; `None` at QoS 0.
    pub packet_id: Option<u16>,
    pub is_retained: bool,
    /// A number for the topic name.
    pub alias: Option<u16>,
    /// The client says that the payload is UTF-8.
    pub is_text: bool,
    /// As they stand, and sound; empty in MQTT 3.1.1.
    pub properties: &'a [u8],
    pub payload: &'a [u8],
}

/// `max_payload` holds for MQTT 3.1.1: what is larger is known before it is there. A client of MQTT 5 was told
/// how long a packet may be.
#[inline]
pub(super) fn front<'a>(
    bytes: &'a [u8],
    header: &Header,
    version: Version,
    max_payload: usize,
) -> Result<Front<'a>, Violation> {
    let end = header.len + header.remaining;
    let there = bytes.len().min(end);
    if there < end && (version == Version::V5 || header.remaining <= max_payload) {
        return Ok(Front::Partial);
    }
    let Some((publish, head)) = read(&bytes[header.len..there], header, version)? else {
        return if there < end { Ok(Front::Partial) } else { Err(Violation::Malformed) };
    };
    if version == Version::V311 && header.remaining - head > max_payload {
        Ok(Front::TooLarge(publish, end))
    } else if there < end {
        Ok(Front::Partial)
    } else {
        Ok(Front::Whole(Packet::Publish(publish), end))
    }
}

/// The PUBLISH whose variable header begins at `body`, and that header's length; `None` when `body` ends within it.
#[inline]
fn read<'a>(
    body: &'a [u8],
    header: &Header,
    version: Version,
) -> Result<Option<(Publish<'a>, usize)>, Violation> {
    let qos = match (header.flags >> 1 & 0b11, header.flags & 0b1000 != 0) {
        (0, false) => QoS::AtMostOnce,
        (1, _) => QoS::AtLeastOnce,
        (2, _) => QoS::ExactlyOnce,
        _ => return Err(Violation::Malformed),
    };
    let Some((length, rest)) = body.split_first_chunk::<2>() else { return Ok(None) };
    let Some((topic, mut rest)) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))) else {
        // Not even the packet's announced end leaves room for it.
        let is_hopeless = usize::from(u16::from_be_bytes(*length)) + 2 > header.remaining;
        return if is_hopeless { Err(Violation::Malformed) } else { Ok(None) };
    };
    let mut publish = Publish {
        topic: if version == Version::V5 && topic.is_empty() { "" } else { topic_name(topic)? },
        qos,
        packet_id: None,
        is_retained: header.flags & 1 == 1,
        alias: None,
        is_text: false,
        properties: &[],
        payload: rest,
    };
    if qos != QoS::AtMostOnce {
        let Some((id, behind)) = rest.split_first_chunk::<2>() else { return Ok(None) };
        publish.packet_id = Some(super::packet_id(u16::from_be_bytes(*id))?);
        rest = behind;
    }
    publish.payload = match version {
        Version::V311 => rest,
        Version::V5 => publish.read_properties(rest)?,
    };
    Ok(Some((publish, body.len() - publish.payload.len())))
}

impl<'a> Publish<'a> {
    /// What stands behind the properties.
    fn read_properties(&mut self, behind_id: &'a [u8]) -> Result<&'a [u8], Violation> {
        let mut fields = Fields::new(behind_id);
        property::read(&mut fields, property::IN_PUBLISH, |property| match property {
            Property::TopicAlias(alias) => self.alias = Some(alias),
            Property::PayloadFormat(is_text) => self.is_text = is_text,
            _ => {}
        })?;
        if self.topic.is_empty() && self.alias.is_none() {
            return Err(Violation::TopicName);
        }
        let mut there = Fields::new(behind_id);
        let len = there.variable()?;
        self.properties = there.take(len as usize)?;
        Ok(fields.rest())
    }
}

/// MQTT 3.1.1 and 5, 4.7.1 and 4.7.3.
pub(super) fn topic_name(bytes: &[u8]) -> Result<&str, Violation> {
    if bytes.is_empty() || bytes.iter().any(|byte| matches!(byte, b'+' | b'#' | 0)) {
        return Err(Violation::TopicName);
    }
    std::str::from_utf8(bytes).map_err(|_| Violation::TopicName)
}

#[cfg(test)]
mod tests {
    use super::super::{Room, forwarded, front as front_of};
    use super::{Front, Packet, Publish, QoS, Version, Violation};
    use proptest::prelude::*;
    use rumqttc::mqttbytes::v4;
    use rumqttc::v5::mqttbytes::v5;

    fn front(bytes: &[u8], version: Version, payload: usize) -> Result<Front<'_>, Violation> {
        front_of(bytes, version, Room { payload, packet: 2 * payload })
    }

    fn told(topic: &str, packet_id: Option<u16>, payload: &'static [u8]) -> Publish<'static> {
        assert_eq!(topic, "a");
        Publish {
            topic: "a",
            qos: QoS::AtLeastOnce,
            packet_id,
            is_retained: false,
            alias: None,
            is_text: false,
            properties: &[],
            payload,
        }
    }

    #[test]
    fn a_large_payload_is_known_before_it_is_there() {
        const FILL: [u8; 1027] = [b'x'; 1027];
        let front = |bytes: &'static [u8], max| front(bytes, Version::V311, max);
        static HEAD: [u8; 8] = [0x32, 0x88, 0x08, 0, 1, b'a', 0, 7];
        static BEGUN: [u8; 10] = [0x32, 0x88, 0x08, 0, 1, b'a', 0, 7, b'x', b'y'];
        let large = |payload| Ok(Front::TooLarge(told("a", Some(7), payload), 1035));
        assert_eq!(front(&HEAD, 1027), Ok(Front::Partial));
        assert_eq!(front(&HEAD[..7], 1026), Ok(Front::Partial));
        assert_eq!(front(&HEAD, 1026), large(&[]));
        assert_eq!(front(&BEGUN, 1026), large(b"xy"));
        let whole: &'static [u8] = Vec::leak([&HEAD[..], &FILL, b"behind"].concat());
        assert_eq!(front(whole, 1027), Ok(Front::Whole(Packet::Publish(told("a", Some(7), &FILL)), 1035)));
        assert_eq!(front(whole, 1026), large(&FILL));
    }

    fn parts() -> impl Strategy<Value = (String, (QoS, u16), bool, Vec<u8>)> {
        let qos = prop_oneof![
            Just((QoS::AtMostOnce, 0)),
            (1..u16::MAX).prop_map(|id| (QoS::AtLeastOnce, id)),
            (1..u16::MAX).prop_map(|id| (QoS::ExactlyOnce, id)),
        ];
        ("[a-zé/]{1,40}", qos, any::<bool>(), prop::collection::vec(any::<u8>(), 0..300))
    }

    /// Bytes of the properties below without those that may be left out.
    const PROPERTIES: usize = 5 + 4 + 5 + 14 + 4;

    proptest! {
        /// What another codec writes, we read, with whatever stands behind it.
        #[test]
        fn reads_3_1_1_as_another_codec_does((topic, (qos, id), retain, payload) in parts(), behind in prop::collection::vec(any::<u8>(), 0..20)) {
            let mut written = v4::Publish::new(topic.clone(), rumqttc::qos(qos as u8).unwrap(), payload.clone());
            (written.pkid, written.retain) = (id, retain);
            let mut bytes = bytes::BytesMut::new();
            let len = written.write(&mut bytes).unwrap();
            bytes.extend_from_slice(&behind);
            let expected = Publish {
                topic: &topic,
                qos,
                packet_id: (id > 0).then_some(id),
                is_retained: retain,
                alias: None,
                is_text: false,
                properties: &[],
                payload: &payload,
            };
            prop_assert_eq!(front(&bytes, Version::V311, 1000), Ok(Front::Whole(Packet::Publish(expected), len)));
            for cut in 0..len {
                prop_assert_eq!(front(&bytes[..cut], Version::V311, 1000), Ok(Front::Partial));
            }
        }

        #[test]
        fn reads_5_as_another_codec_does((topic, (qos, id), retain, payload) in parts(), alias in prop::option::of(any::<u16>()), is_text in any::<bool>()) {
            let properties = v5::PublishProperties {
                payload_format_indicator: is_text.then_some(1),
                message_expiry_interval: Some(60),
                topic_alias: alias,
                response_topic: Some("r".into()),
                correlation_data: Some(vec![1, 2].into()),
                user_properties: vec![("a".into(), "b".into()), ("a".into(), "c".into())],
                content_type: Some("t".into()),
                ..Default::default()
            };
            let mut written = v5::Publish::new(topic.clone(), rumqttc::v5::mqttbytes::qos(qos as u8).unwrap(), payload.clone(), Some(properties));
            (written.pkid, written.retain) = (id, retain);
            let mut bytes = bytes::BytesMut::new();
            let len = written.write(&mut bytes).unwrap();
            let expected = Publish {
                topic: &topic,
                qos,
                packet_id: (id > 0).then_some(id),
                is_retained: retain,
                alias,
                is_text,
                properties: &bytes[len - payload.len() - PROPERTIES - if alias.is_some() { 3 } else { 0 } - if is_text { 2 } else { 0 }..len - payload.len()],
                payload: &payload,
            };
            prop_assert_eq!(forwarded(expected.properties).1, Some(60));
            prop_assert_eq!(front(&bytes, Version::V5, 1000), Ok(Front::Whole(Packet::Publish(expected), len)));
            for cut in 0..len {
                prop_assert_eq!(front(&bytes[..cut], Version::V5, 1000), Ok(Front::Partial));
            }
        }
    }
}
