//! CONNECT, in which a client says which MQTT it speaks.

use super::fields::Fields;
use super::property::{self, Property};
use super::publish::topic_name;
use super::{Header, QoS, Violation};

/// The versions that are served, by which everything after CONNECT is read and answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// MQTT 3.1.1, protocol level 4.
    V311,
    /// MQTT 5.0, protocol level 5.
    V5,
}

/// What a CONNECT packet says.
#[derive(Debug, PartialEq)]
pub(crate) struct Connect<'a> {
    pub clean_start: bool,
    /// Seconds; 0 for none.
    pub keep_alive: u16,
    /// May be empty.
    pub client_id: &'a str,
    pub will: Option<Will<'a>>,
    pub user: Option<&'a str>,
    pub password: Option<&'a [u8]>,
    /// Seconds that the session should outlive its connection.
    pub session_expiry: u32,
    /// The longest packet that may be sent to the client.
    pub maximum_packet_size: u32,
    /// Messages of QoS above 0 that may be sent to it before it has acknowledged one.
    pub receive_maximum: u16,
    /// It asks for an authentication by several packets.
    pub has_method: bool,
}

/// What is to be published when the client is gone without a word.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Will<'a> {
    pub topic: &'a str,
    pub payload: &'a [u8],
    pub qos: QoS,
    pub is_retained: bool,
    /// As they stand, and sound; empty in MQTT 3.1.1.
    pub properties: &'a [u8],
    /// Seconds from the end of the connection; less when the session ends before.
    pub delay: u32,
}

/// Which MQTT a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Greeting {
    Served(Version),
    /// Older than 3.1.1: it reads a return code of two bytes.
    TooOld,
    /// Newer than 5: it is told in the words of 5.
    TooNew,
}

/// Which version a whole CONNECT packet is of. Nothing else of it is looked at.
pub(crate) fn greeting(packet: &[u8]) -> Result<Greeting, Violation> {
    let mut fields = body(packet)?;
    match (fields.binary()?, fields.byte()?) {
        (b"MQTT", 4) => Ok(Greeting::Served(Version::V311)),
        (b"MQTT", 5) => Ok(Greeting::Served(Version::V5)),
        (b"MQTT", 6..) => Ok(Greeting::TooNew),
        (b"MQTT" | b"MQIsdp", _) => Ok(Greeting::TooOld),
        _ => Err(Violation::Malformed),
    }
}

impl<'a> Connect<'a> {
    /// Reads a whole CONNECT packet whose [`greeting`] was `version`.
    pub(crate) fn read(packet: &'a [u8], version: Version) -> Result<Connect<'a>, Violation> {
        let mut fields = body(packet)?;
        fields.binary()?;
        fields.byte()?;
        let flags = Flags(fields.byte()?);
        flags.check(version)?;
        let mut connect = Connect {
            clean_start: flags.has(CLEAN_START),
            keep_alive: fields.two()?,
            client_id: "",
            will: None,
            user: None,
            password: None,
            session_expiry: 0,
            maximum_packet_size: u32::MAX,
            receive_maximum: u16::MAX,
            has_method: false,
        };
        match version {
            Version::V5 => property::read(&mut fields, property::IN_CONNECT, |it| connect.note(it))?,
            // 3.1.1 knows two kinds of sessions: those that end with the connection, and those that never do.
            Version::V311 if !connect.clean_start => connect.session_expiry = u32::MAX,
            Version::V311 => {}
        }
        connect.read_payload(fields, flags, version)?;
        Ok(connect)
    }

    fn note(&mut self, property: Property<'_>) {
        match property {
            Property::SessionExpiry(seconds) => self.session_expiry = seconds,
            Property::ReceiveMaximum(packets) => self.receive_maximum = packets,
            Property::MaximumPacketSize(bytes) => self.maximum_packet_size = bytes,
            Property::AuthenticationMethod(_) => self.has_method = true,
            _ => {}
        }
    }

    fn read_payload(
        &mut self,
        mut from: Fields<'a>,
        flags: Flags,
        version: Version,
    ) -> Result<(), Violation> {
        self.client_id = from.text()?;
        if flags.has(WILL) {
            self.will = Some(read_will(&mut from, flags, version)?);
        }
        if flags.has(USER_NAME) {
            self.user = Some(from.text()?);
        }
        if flags.has(PASSWORD) {
            self.password = Some(from.binary()?);
        }
        if from.is_empty() { Ok(()) } else { Err(Violation::Malformed) }
    }
}

fn read_will<'a>(from: &mut Fields<'a>, flags: Flags, version: Version) -> Result<Will<'a>, Violation> {
    let (mut is_text, mut delay, mut properties) = (false, 0, &[][..]);
    if version == Version::V5 {
        let mut there = *from;
        property::read(from, property::IN_WILL, |it| match it {
            Property::PayloadFormat(said) => is_text = said,
            Property::WillDelay(seconds) => delay = seconds,
            _ => {}
        })?;
        let len = there.variable()?;
        properties = there.take(len as usize)?;
    }
    let topic = topic_name(from.binary()?)?;
    let payload = from.binary()?;
    if is_text && std::str::from_utf8(payload).is_err() {
        return Err(Violation::PayloadFormat);
    }
    let qos = QoS::from_code(flags.will_qos()).ok_or(Violation::Malformed)?;
    Ok(Will { topic, payload, qos, is_retained: flags.has(WILL_RETAIN), properties, delay })
}

/// The variable header and payload.
fn body(packet: &[u8]) -> Result<Fields<'_>, Violation> {
    let header = Header::read(packet)?.ok_or(Violation::Malformed)?;
    Ok(Fields::new(&packet[header.len..]))
}

#[derive(Clone, Copy)]
struct Flags(u8);

const RESERVED: u8 = 0x01;
const CLEAN_START: u8 = 0x02;
const WILL: u8 = 0x04;
const WILL_RETAIN: u8 = 0x20;
const PASSWORD: u8 = 0x40;
const USER_NAME: u8 = 0x80;

impl Flags {
    fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }

    fn will_qos(self) -> u8 {
        self.0 >> 3 & 0b11
    }

    /// What of a will that isn't there is 0, and 3.1.1 has no password without a user name.
    fn check(self, version: Version) -> Result<(), Violation> {
        let is_will_sound = if self.has(WILL) { self.will_qos() < 3 } else { self.0 & 0x38 == 0 };
        let is_login_sound = version == Version::V5 || self.has(USER_NAME) || !self.has(PASSWORD);
        if is_will_sound && is_login_sound && !self.has(RESERVED) {
            Ok(())
        } else {
            Err(Violation::Malformed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use proptest::prelude::*;
    use rumqttc::mqttbytes::v4;
    use rumqttc::v5::mqttbytes::v5;

    fn written_v4() -> BytesMut {
        let mut connect = v4::Connect::new("client");
        connect.set_login("d-1", "password").keep_alive = 7;
        connect.last_will = Some(v4::LastWill::new("w", "x", rumqttc::QoS::AtLeastOnce, true));
        let mut bytes = BytesMut::new();
        connect.write(&mut bytes).unwrap();
        bytes
    }

    fn written_v5() -> BytesMut {
        let properties = v5::ConnectProperties {
            session_expiry_interval: Some(60),
            receive_maximum: Some(9),
            max_packet_size: Some(1000),
            topic_alias_max: Some(3),
            request_response_info: Some(1),
            request_problem_info: Some(0),
            user_properties: vec![("a".into(), "b".into())],
            authentication_method: None,
            authentication_data: None,
        };
        let connect = v5::Connect {
            keep_alive: 7,
            client_id: "client".into(),
            clean_start: false,
            properties: Some(properties),
        };
        let will = v5::LastWill::new("w", "x", rumqttc::v5::mqttbytes::QoS::AtLeastOnce, true, None);
        let login = v5::Login { username: "d-1".into(), password: "password".into() };
        let mut bytes = BytesMut::new();
        connect.write(&Some(will), &Some(login), &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn reads_what_another_codec_writes() {
        let expected = |session_expiry, maximum_packet_size, receive_maximum, clean_start| Connect {
            clean_start,
            keep_alive: 7,
            client_id: "client",
            will: Some(Will {
                topic: "w",
                payload: b"x",
                qos: QoS::AtLeastOnce,
                is_retained: true,
                properties: &[],
                delay: 0,
            }),
            user: Some("d-1"),
            password: Some(b"password"),
            session_expiry,
            maximum_packet_size,
            receive_maximum,
            has_method: false,
        };
        let (v4, v5) = (written_v4(), written_v5());
        assert_eq!(greeting(&v4), Ok(Greeting::Served(Version::V311)));
        assert_eq!(Connect::read(&v4, Version::V311), Ok(expected(0, u32::MAX, u16::MAX, true)));
        assert_eq!(greeting(&v5), Ok(Greeting::Served(Version::V5)));
        assert_eq!(Connect::read(&v5, Version::V5), Ok(expected(60, 1000, 9, false)));
    }

    proptest! {
        /// A mutated CONNECT is one or refused.
        #[test]
        fn mutated_ones_do(at in 0usize..100, byte in any::<u8>(), cut in 0usize..100) {
            for (mut bytes, version) in [(written_v4(), Version::V311), (written_v5(), Version::V5)] {
                let len = bytes.len();
                bytes[at % len] = byte;
                let _ = greeting(&bytes);
                let _ = Connect::read(&bytes, version);
                prop_assert!(Connect::read(&bytes[..cut % len], version).is_err());
            }
        }
    }
}
