//! A message for one subscriber, with how it is to be sent.

use super::Publication;
use crate::packet::QoS;
use bytes::{BufMut, Bytes};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Letter {
    pub publication: Publication,
    pub qos: QoS,
    pub is_retained: bool,
    /// Of the subscriptions that it matched.
    pub identifiers: Box<[u32]>,
    /// Under which it is noted; 0: it is not.
    pub number: u64,
    /// An earlier process may have sent it.
    pub is_again: bool,
}

/// A letter that outlives the process, with how far its sending has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Noted {
    /// It waits; what its packet id was, if it had one, means nothing.
    Waits(Letter),
    /// Of QoS 2, under this packet id; whoever has received it knows it by that.
    Sent(u16, Letter),
    /// PUBREC came, and PUBCOMP is still to come.
    Released(u16),
}

const RETAINED: u8 = 0b100;
const RELEASED: u8 = 0b1000;

impl Letter {
    /// For another process: flags, packet id, a count of identifiers, these, and the publication.
    pub(crate) fn noted(&self, packet_id: u16) -> Vec<u8> {
        let mut bytes = vec![self.qos as u8 | if self.is_retained { RETAINED } else { 0 }];
        bytes.put_u16(packet_id);
        bytes.put_u16(u16::try_from(self.identifiers.len()).expect("a session has fewer subscriptions"));
        self.identifiers.iter().for_each(|identifier| bytes.put_u32(*identifier));
        bytes.extend(self.publication.noted());
        bytes
    }
}

/// What is noted of a letter of which nothing but its packet id is still of use.
pub(crate) fn released(packet_id: u16) -> Vec<u8> {
    let [high, low] = packet_id.to_be_bytes();
    vec![RELEASED, high, low]
}

impl Noted {
    /// The reverse; `None` when these bytes are neither.
    pub(crate) fn read(bytes: &[u8], number: u64) -> Option<Noted> {
        let (&[flags, high, low], rest) = bytes.split_first_chunk()?;
        let packet_id = u16::from_be_bytes([high, low]);
        if flags == RELEASED && rest.is_empty() {
            return Some(Noted::Released(packet_id));
        }
        let (count, rest) = rest.split_first_chunk()?;
        let (identifiers, publication) =
            rest.split_at_checked(4 * usize::from(u16::from_be_bytes(*count)))?;
        let (identifiers, _) = identifiers.as_chunks();
        let letter = Letter {
            publication: Publication::from_bytes(Bytes::copy_from_slice(publication))?,
            qos: QoS::from_code(flags & 0b11)?,
            is_retained: flags & RETAINED != 0,
            identifiers: identifiers.iter().map(|bytes| u32::from_be_bytes(*bytes)).collect(),
            number,
            is_again: true,
        };
        Some(if packet_id > 0 { Noted::Sent(packet_id, letter) } else { Noted::Waits(letter) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{NOBODY, Said};
    use super::*;
    use records::Timestamp;

    #[test]
    fn a_letter_comes_out_as_it_was_noted() {
        let qos = QoS::ExactlyOnce;
        let said =
            Said { topic: "a/b", payload: b"c", properties: &[], qos, is_retained: true, origin: NOBODY };
        let publication = Publication::new(&said, 0, Timestamp(0));
        let letter = Letter {
            publication,
            qos,
            is_retained: true,
            identifiers: Box::new([7, 70_000]),
            number: 9,
            is_again: true,
        };
        assert_eq!(Noted::read(&letter.noted(0), 9), Some(Noted::Waits(letter.clone())));
        assert_eq!(Noted::read(&letter.noted(513), 9), Some(Noted::Sent(513, letter.clone())));
        assert_eq!(Noted::read(&released(513), 9), Some(Noted::Released(513)));
        for len in 0..letter.noted(0).len() - 4 {
            assert_eq!(Noted::read(&letter.noted(0)[..len], 9), None, "{len}");
        }
    }
}
