//! A message on its way to subscribers: one piece of memory, however many get it.

use crate::packet::{Publish, QoS, forwarded};
use bytes::{BufMut, Bytes, BytesMut};
use records::Timestamp;
use std::time::Duration;

/// Origin, time of expiry, number, flags, and two lengths in front of topic name, properties and payload. The router carries
/// it as opaque bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Publication(Bytes);

/// What a publication is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said<'a> {
    pub topic: &'a str,
    pub payload: &'a [u8],
    /// As they came, sound, and of MQTT 5; empty otherwise.
    pub properties: &'a [u8],
    pub qos: QoS,
    pub is_retained: bool,
    /// The mailbox of whoever said it, or [`NOBODY`].
    pub origin: u64,
}

impl<'a> Said<'a> {
    /// What a PUBLISH says.
    pub(crate) fn of(publish: &Publish<'a>, origin: u64) -> Said<'a> {
        let Publish { topic, payload, properties, qos, is_retained, .. } = *publish;
        Said { topic, payload, properties, qos, is_retained, origin }
    }
}

/// The origin of a message whose publisher does not subscribe.
pub(crate) const NOBODY: u64 = 0;

const ORIGIN: usize = 0;
const EXPIRES: usize = 8;
const NUMBER: usize = 16;
const FLAGS: usize = 24;
const TOPIC_LEN: usize = 25;
const PROPERTIES_LEN: usize = 27;
const HEAD: usize = 31;

const RETAINED: u8 = 0b100;

impl Publication {
    /// What was said at `now`. `number`: under which it is noted while it is on its way; 0 when it is not.
    pub(crate) fn new(said: &Said<'_>, number: u64, now: Timestamp) -> Publication {
        let (properties, expiry) = forwarded(said.properties);
        let expires = expiry.map_or(Timestamp::MAX, |seconds| now + Duration::from_secs(seconds.into()));
        let topic_len =
            u16::try_from(said.topic.len()).expect("a topic name came with a length of two bytes");
        let properties_len = u32::try_from(properties.len()).expect("a packet is shorter than that");
        let len = HEAD + said.topic.len() + properties.len() + said.payload.len();
        let mut to = BytesMut::with_capacity(len);
        to.put_u64(said.origin);
        to.put_i64(expires.millis());
        to.put_u64(number);
        to.put_u8(said.qos as u8 | if said.is_retained { RETAINED } else { 0 });
        to.put_u16(topic_len);
        to.put_u32(properties_len);
        to.put_slice(said.topic.as_bytes());
        to.put_slice(&properties);
        to.put_slice(said.payload);
        Publication(to.freeze())
    }

    /// Bytes that a publication was. `None` when they were none.
    pub(crate) fn from_bytes(bytes: Bytes) -> Option<Publication> {
        let publication = Publication(bytes);
        let is_sound = publication.0.len() >= HEAD
            && publication.payload_start() <= publication.0.len()
            && std::str::from_utf8(&publication.0[HEAD..publication.properties_start()]).is_ok();
        is_sound.then_some(publication)
    }

    /// Its bytes for another process, in which no mailbox is the one that it came from, and which is not on its way.
    pub(crate) fn noted(&self) -> Vec<u8> {
        let mut bytes = self.noted_on_its_way();
        bytes[NUMBER..FLAGS].copy_from_slice(&[0; 8]);
        bytes
    }

    /// The same, for one that is.
    pub(crate) fn noted_on_its_way(&self) -> Vec<u8> {
        let mut bytes = self.0.to_vec();
        bytes[ORIGIN..EXPIRES].copy_from_slice(&NOBODY.to_be_bytes());
        bytes
    }

    /// Under which it is noted while it is on its way to subscribers who must not miss it.
    pub(crate) fn number(&self) -> Option<u64> {
        let number = u64::from_be_bytes(self.array(NUMBER));
        (number > 0).then_some(number)
    }

    pub(crate) fn bytes(&self) -> &Bytes {
        &self.0
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn origin(&self) -> u64 {
        u64::from_be_bytes(self.array(ORIGIN))
    }

    /// Seconds for which it is still worth something at `now`, a begun one being a whole one; `None` for ever.
    pub(crate) fn seconds_left(&self, now: Timestamp) -> Option<u32> {
        let expires = i64::from_be_bytes(self.array(EXPIRES));
        let left = expires.saturating_sub(now.millis()).max(0).unsigned_abs().div_ceil(1000);
        (expires != Timestamp::MAX.millis()).then(|| u32::try_from(left).unwrap_or(u32::MAX))
    }

    pub(crate) fn qos(&self) -> QoS {
        QoS::from_code(self.0[FLAGS] & 0b11).expect("it was one")
    }

    /// It was published with RETAIN.
    pub(crate) fn is_retained(&self) -> bool {
        self.0[FLAGS] & RETAINED != 0
    }

    pub(crate) fn topic(&self) -> &str {
        std::str::from_utf8(&self.0[HEAD..self.properties_start()]).expect("it was checked")
    }

    /// Of MQTT 5, as they are sent on.
    pub(crate) fn properties(&self) -> &[u8] {
        &self.0[self.properties_start()..self.payload_start()]
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.0[self.payload_start()..]
    }

    fn properties_start(&self) -> usize {
        HEAD + usize::from(u16::from_be_bytes(self.array(TOPIC_LEN)))
    }

    fn payload_start(&self) -> usize {
        self.properties_start() + u32::from_be_bytes(self.array(PROPERTIES_LEN)) as usize
    }

    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        *self.0[at..].first_chunk().expect("the head is always there")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_comes_out() {
        let said = Said {
            topic: "up/é/telemetry",
            payload: b"22.5",
            properties: &[0x02, 0, 0, 0, 9, 0x01, 1],
            qos: QoS::ExactlyOnce,
            is_retained: true,
            origin: 77,
        };
        let made = Publication::new(&said, 5, Timestamp(1000));
        let it = Publication::from_bytes(made.bytes().clone()).unwrap();
        assert_eq!((it.topic(), it.payload(), it.properties()), (said.topic, said.payload, &[0x01, 1][..]));
        assert_eq!((it.qos(), it.is_retained(), it.origin(), it.number()), (said.qos, true, 77, Some(5)));
        let left = [1000, 1001, 9001, 10_000, 99_000].map(|now| it.seconds_left(Timestamp(now)));
        assert_eq!(left, [Some(9), Some(9), Some(1), Some(0), Some(0)]);
        let noted = Publication::from_bytes(made.noted().into()).unwrap();
        assert_eq!(noted.number(), None);
        assert_eq!(
            (noted.origin(), noted.topic(), noted.seconds_left(Timestamp(9001))),
            (NOBODY, said.topic, Some(1))
        );
        let lasting = Publication::new(&Said { properties: &[], ..said }, 0, Timestamp(0));
        assert_eq!(lasting.seconds_left(Timestamp(5)), None);
        for len in 0..HEAD + 14 {
            assert_eq!(Publication::from_bytes(made.bytes().slice(..len)), None, "{len}");
        }
    }
}
