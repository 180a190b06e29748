//! What notes are called.
//!
//! | key | value |
//! |---|---|
//! | `a` | when the gateway lived last, while sessions were connected |
//! | `i` | when the store was made that these sessions are of |
//! | `p`, number | a message on its way to subscribers ([`Publication`](crate::fanout::Publication)) |
//! | `r`, topic name | what is retained ([`Publication`](crate::fanout::Publication)) |
//! | `s`, number | a session ([`SessionRecord`](super::SessionRecord)) |
//! | `s`, number, `q`, packet id | a message of QoS 2 that was received and not released: when it came, and its count |
//! | `s`, number, `f`, filter | a subscription: its options as in SUBSCRIBE, and its identifier or 0 |
//! | `s`, number, `l`, number | a message for the client ([`Noted`](crate::fanout::Noted)) |
//!
//! Numbers, packet ids and times are big-endian, of 8, 2 and 8 bytes (milliseconds since 1970); identifiers have 4. A session's number is given
//! once, so what is removed of an older session of the same name can't be a newer one's.

use records::Timestamp;

pub(crate) const ALIVE: &[u8] = b"a";
pub(crate) const STORE: &[u8] = b"i";
/// In front of every session's.
pub(crate) const SESSIONS: &[u8] = b"s";

const ON_ITS_WAY: &[u8] = b"p";
const RETAINED: &[u8] = b"r";
const RECEIVED: u8 = b'q';
const SUBSCRIPTION: u8 = b'f';
const LETTER: u8 = b'l';

/// What a note is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About<'a> {
    Alive,
    Store,
    OnItsWay(u64),
    Retained,
    Session(u64),
    Received { session: u64, packet_id: u16 },
    Subscription { session: u64, filter: &'a str },
    Letter { session: u64, number: u64 },
}

impl<'a> About<'a> {
    /// `None`: of somebody who knows more than we do.
    pub(crate) fn of(key: &'a [u8]) -> Option<About<'a>> {
        match key {
            ALIVE => Some(About::Alive),
            STORE => Some(About::Store),
            [b'p', number @ ..] => Some(About::OnItsWay(u64::from_be_bytes(number.try_into().ok()?))),
            [b'r', ..] => Some(About::Retained),
            [b's', rest @ ..] => {
                let (number, rest) = rest.split_first_chunk()?;
                let session = u64::from_be_bytes(*number);
                match rest {
                    [] => Some(About::Session(session)),
                    [RECEIVED, high, low] => {
                        Some(About::Received { session, packet_id: u16::from_be_bytes([*high, *low]) })
                    }
                    [SUBSCRIPTION, filter @ ..] => {
                        Some(About::Subscription { session, filter: std::str::from_utf8(filter).ok()? })
                    }
                    [LETTER, number @ ..] => {
                        Some(About::Letter { session, number: u64::from_be_bytes(number.try_into().ok()?) })
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// Of a message on its way to subscribers.
pub(crate) fn on_its_way(number: u64) -> Vec<u8> {
    [ON_ITS_WAY, &number.to_be_bytes()].concat()
}

/// Of what is retained under a topic name.
pub(crate) fn retained(topic: &str) -> Vec<u8> {
    [RETAINED, topic.as_bytes()].concat()
}

/// Of the session itself, and in front of all that belongs to it.
pub(crate) fn session(number: u64) -> Vec<u8> {
    [SESSIONS, &number.to_be_bytes()].concat()
}

/// In front of the messages of QoS 2 that it has received.
pub(crate) fn all_received(session: u64) -> Vec<u8> {
    [SESSIONS, &session.to_be_bytes(), &[RECEIVED]].concat()
}

/// Of one of these.
pub(crate) fn received(session: u64, packet_id: u16) -> Vec<u8> {
    [SESSIONS, &session.to_be_bytes(), &[RECEIVED], &packet_id.to_be_bytes()].concat()
}

/// Of one of its subscriptions.
pub(crate) fn subscription(session: u64, filter: &str) -> Vec<u8> {
    [SESSIONS, &session.to_be_bytes(), &[SUBSCRIPTION], filter.as_bytes()].concat()
}

/// Of a message for its client.
pub(crate) fn letter(session: u64, number: u64) -> Vec<u8> {
    [SESSIONS, &session.to_be_bytes(), &[LETTER], &number.to_be_bytes()].concat()
}

/// The number in the key of something that belongs to a session.
pub(crate) fn session_of(key: &[u8]) -> Option<u64> {
    let number = key.strip_prefix(SESSIONS)?.first_chunk()?;
    Some(u64::from_be_bytes(*number))
}

pub(crate) fn time(at: Timestamp) -> Vec<u8> {
    at.millis().to_be_bytes().to_vec()
}

pub(crate) fn time_of(value: &[u8]) -> Option<Timestamp> {
    Some(Timestamp(i64::from_be_bytes(value.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_say_what_they_are_about() {
        let check = |key: &[u8], expected| assert_eq!(About::of(key), expected, "{key:?}");
        check(ALIVE, Some(About::Alive));
        check(STORE, Some(About::Store));
        check(&retained("up/d/state"), Some(About::Retained));
        check(&session(7), Some(About::Session(7)));
        let of_message = About::Received { session: 7 << 40, packet_id: 0x0102 };
        check(&received(7 << 40, 0x0102), Some(of_message));
        check(&on_its_way(9), Some(About::OnItsWay(9)));
        check(&subscription(7, "a/#"), Some(About::Subscription { session: 7, filter: "a/#" }));
        check(&letter(7, 9), Some(About::Letter { session: 7, number: 9 }));
        check(b"s123", None);
        check(&[session(7), vec![9]].concat(), None);
        assert!(received(7, 9).starts_with(&all_received(7)) && all_received(7).starts_with(&session(7)));
        assert_eq!(session_of(&received(7, 9)), Some(7));
        assert_eq!(time_of(&time(Timestamp(-5))), Some(Timestamp(-5)));
    }
}
