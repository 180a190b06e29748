//! From notes to sessions, at a start.

use super::key::{self, About};
use super::{ALIVE, SessionRecord, SessionStore, subscription_of};
use crate::fanout::{Noted, Publication};
use crate::packet::Options;
use crate::session::Received;
use crate::sessions::Client;
use records::{LogError, Note, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What was found again.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    /// Whose connection ended first comes first.
    pub sessions: Vec<RestoredSession>,
    pub retained: Vec<Publication>,
    /// Messages on their way to subscribers, in their order.
    pub on_their_way: Vec<Publication>,
    /// The last number that was given.
    pub last_number: u64,
    /// What is to be noted of it: what is over, and whose these sessions are now.
    pub changes: Vec<Note>,
}

#[derive(Debug)]
pub(crate) struct RestoredSession {
    pub number: u64,
    pub client: Client,
    /// Seconds for which it is still kept.
    pub expiry: u32,
    pub received: Received,
    pub subscriptions: Vec<(String, Options, Option<u32>)>,
    /// What waits for the client, with its number, in its order.
    pub letters: Vec<(u64, Noted)>,
    gone: Timestamp,
}

/// What is found of one session while reading.
#[derive(Default)]
struct Found {
    record: Option<SessionRecord>,
    received: Vec<u16>,
    subscriptions: Vec<(String, Options, Option<u32>)>,
    letters: Vec<(u64, Noted)>,
}

/// Reads what was noted. What can't be read is named, and the session that it was of begins anew.
///
/// # Errors
/// The store can't be read.
pub(crate) async fn restore(store: &dyn SessionStore, now: Timestamp) -> Result<Restored, LogError> {
    let noted = store.notes(&[]).await?;
    let mut restored = Restored::default();
    let mut damaged: BTreeSet<u64> = BTreeSet::new();
    for key in &noted.damaged {
        tell(store, key, "does not match its checksum");
        match key::session_of(key) {
            Some(session) => drop(damaged.insert(session)),
            None => restored.changes.push(Note::Remove { key: key.clone() }),
        }
    }
    let mut sessions: BTreeMap<u64, Found> = BTreeMap::new();
    let (mut alive, mut made) = (None, None);
    for (key, value) in &noted.pairs {
        match About::of(key) {
            Some(About::Alive) => alive = key::time_of(value),
            Some(About::Store) => made = key::time_of(value),
            Some(About::Retained) => match Publication::from_bytes(value.clone().into()) {
                Some(publication) => restored.retained.push(publication),
                None => {
                    tell(store, key, "is no message");
                    restored.changes.push(Note::Remove { key: key.clone() });
                }
            },
            Some(About::Session(number)) => match SessionRecord::decode(value) {
                Some(record) => sessions.entry(number).or_default().record = Some(record),
                None => {
                    tell(store, key, "is no session");
                    damaged.insert(number);
                }
            },
            Some(About::OnItsWay(_)) => match Publication::from_bytes(value.clone().into()) {
                Some(publication) => restored.on_their_way.push(publication),
                None => {
                    tell(store, key, "is no message");
                    restored.changes.push(Note::Remove { key: key.clone() });
                }
            },
            Some(About::Subscription { session, filter }) => match subscription_of(value) {
                Some((options, identifier)) => {
                    let subscription = (filter.to_owned(), options, identifier);
                    sessions.entry(session).or_default().subscriptions.push(subscription);
                }
                None => {
                    tell(store, key, "is no subscription");
                    damaged.insert(session);
                }
            },
            Some(About::Letter { session, number }) => match Noted::read(value, number) {
                Some(letter) => sessions.entry(session).or_default().letters.push((number, letter)),
                None => {
                    tell(store, key, "is no message");
                    damaged.insert(session);
                }
            },
            Some(About::Received { session, packet_id }) => {
                sessions.entry(session).or_default().received.push(packet_id);
            }
            None => {}
        }
    }
    restored.last_number = sessions.keys().chain(&damaged).max().copied().unwrap_or(0);
    restored.changes.push(Note::Put { key: key::STORE.to_vec(), value: key::time(store.made()) });
    if made.is_some_and(|made| made != store.made()) {
        // What a copy remembers of packet ids was right when it was made: a new message could pass for an old one.
        tracing::warn!(place = store.place(), "a copy of an older log: the sessions in it begin anew");
        restored.changes.push(Note::RemoveUnder { prefix: key::SESSIONS.to_vec() });
        restored.changes.extend(restored.on_their_way.drain(..).filter_map(|it| super::arrived(&it)));
        return Ok(restored);
    }
    // It was noted at the beginning of a period that may have been lived through.
    let alive = alive.map(|at| (at + ALIVE).min(now));
    restored.take(sessions, &damaged, now, alive);
    Ok(restored)
}

fn tell(store: &dyn SessionStore, key: &[u8], what: &str) {
    let note = key.escape_ascii().to_string();
    tracing::error!(
        place = store.place(),
        note,
        "a note {what}: what it says is lost, and its session begins anew"
    );
}

impl Restored {
    fn take(
        &mut self,
        sessions: BTreeMap<u64, Found>,
        damaged: &BTreeSet<u64>,
        now: Timestamp,
        alive: Option<Timestamp>,
    ) {
        let mut newest: HashMap<Client, (u64, SessionRecord, Found)> = HashMap::new();
        let mut over: BTreeSet<u64> = damaged.clone();
        // Numbers go up, and the newest is the one that counts.
        for (number, mut found) in sessions {
            let Some(record) = found.record.take().filter(|_| !damaged.contains(&number)) else {
                over.insert(number);
                continue;
            };
            let client = Client { device: record.device.clone(), id: record.client_id.clone() };
            let older = newest.insert(client, (number, record, found));
            over.extend(older.map(|(number, ..)| number));
        }
        for (client, (number, record, found)) in newest {
            match record.seconds_left(now, alive) {
                Some(expiry) => {
                    let gone = Timestamp(record.at_ms);
                    let Found { received, subscriptions, letters, .. } = found;
                    let received = Received::of_durable(received);
                    self.sessions.push(RestoredSession {
                        number,
                        client,
                        expiry,
                        received,
                        subscriptions,
                        letters,
                        gone,
                    });
                }
                None => drop(over.insert(number)),
            }
        }
        self.sessions.sort_by_key(|session| (session.gone, session.number));
        let removals = over.into_iter().map(|number| Note::RemoveUnder { prefix: key::session(number) });
        self.changes.extend(removals);
    }
}
