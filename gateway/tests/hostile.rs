//! Mutated sessions: whatever comes, the gateway stands, and nobody else notices.

#![allow(clippy::unwrap_used, reason = "a test's own scaffolding")]

mod support;

use bytes::BytesMut;
use proptest::prelude::*;
use proptest::sample::Index;
use records::{Record, Topic};
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;
use std::cell::Cell;
use std::time::Duration;
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Mutex;

const CASES: u32 = 2000;

/// What is done to the bytes of a session.
#[derive(Clone, Debug)]
enum Mutation {
    Set(Index, u8),
    FlipBit(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
    Cut(Index),
}

fn mutations() -> impl Strategy<Value = Mutation> {
    let at = any::<Index>;
    prop_oneof![
        4 => (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        4 => (at(), 0u8..8).prop_map(|(at, bit)| Mutation::FlipBit(at, bit)),
        2 => (at(), prop::collection::vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        2 => (at(), 1usize..8).prop_map(|(at, len)| Mutation::Remove(at, len)),
        2 => (at(), 1usize..80).prop_map(|(at, len)| Mutation::Repeat(at, len)),
        1 => at().prop_map(Mutation::Cut),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    if bytes.is_empty() {
        return;
    }
    let end = |at: usize, len: &usize| (at + len).min(bytes.len());
    match mutation {
        Mutation::Set(at, byte) => *at.get_mut(bytes) = *byte,
        Mutation::FlipBit(at, bit) => *at.get_mut(bytes) ^= 1 << bit,
        Mutation::Insert(at, new) => {
            let at = at.index(bytes.len());
            bytes.splice(at..at, new.iter().copied());
        }
        Mutation::Remove(at, len) => {
            let at = at.index(bytes.len());
            bytes.drain(at..end(at, len));
        }
        Mutation::Repeat(at, len) => {
            let at = at.index(bytes.len());
            let again = bytes[at..end(at, len)].to_vec();
            bytes.splice(at..at, again);
        }
        Mutation::Cut(at) => bytes.truncate(at.index(bytes.len())),
    }
}

/// A session with a bit of everything.
fn session(password: &str) -> Vec<u8> {
    let subscribe = packet(0x82, &[&[0, 9], &string("up/d-1/#")[..], &[1]].concat());
    let parts = [
        connect("d-1", 60, "d-1", password),
        telemetry("d-1", 1),
        publish("up/d-1/telemetry", None, br#"{"pm2_5": 1.5, "seq": 7}"#),
        PINGREQ.to_vec(),
        subscribe,
        publish("up/d-1/state", Some(2), br#"{"firmware": "1"}"#),
        publish("up/d-1/telemetry", Some(3), &[b'x'; 600]),
        [&[0x34][..], &telemetry("d-1", 8)[1..]].concat(),
        packet(0x62, &[0, 8]),
        telemetry("d-1", 4),
        DISCONNECT.to_vec(),
    ];
    parts.concat()
}

/// The same in MQTT 5, with properties wherever there may be some.
fn session_5(password: &str) -> Vec<u8> {
    let connect_properties = [18, 0x11, 0, 0, 0, 9, 0x21, 0, 5, 0x17, 1, 0x22, 0, 7, 0x26, 0, 0, 0, 0];
    let hello = [
        &string("MQTT")[..],
        &[5, 0xc2, 0, 60],
        &connect_properties,
        &string("d-1")[..],
        &string("d-1"),
        &string(password),
    ];
    let message = |topic: &str, id: u8, properties: &[u8], payload: &[u8]| {
        packet(0x32, &[&string(topic)[..], &[0, id, properties.len() as u8], properties, payload].concat())
    };
    let parts = [
        packet(0x10, &hello.concat()),
        message("up/d-1/telemetry", 1, &[0x23, 0, 3], &reading(1)),
        message("", 2, &[0x23, 0, 3, 0x02, 0, 0, 0, 60], &reading(2)),
        PINGREQ.to_vec(),
        packet(0x82, &[&[0, 9, 2, 0x0b, 4], &string("up/d-1/#")[..], &[0x29]].concat()),
        message("up/d-1/state", 3, &[0x01, 1, 0x03, 0, 1, b'j'], br#"{"firmware": "1"}"#),
        message("up/d-1/telemetry", 4, &[0x08, 0, 1, b'r', 0x09, 0, 2, 1, 2], &[b'x'; 600]),
        message("up/d-2/telemetry", 5, &[], &reading(1)),
        [&[0x34][..], &message("up/d-1/telemetry", 6, &[], &reading(1))[1..]].concat(),
        packet(0x62, &[0, 6, 0, 0]),
        packet(0xe0, &[0, 5, 0x11, 0, 0, 0, 7]),
    ];
    parts.concat()
}

/// Sends, closes its own side, and returns all that comes back.
async fn talk(site: &Site, said: &[u8], pieces: usize) -> Vec<u8> {
    let mut wire = site.dial().await.0;
    for piece in said.chunks(said.len().div_ceil(pieces).max(1)) {
        // The gateway may hang up in the middle.
        if wire.write_all(piece).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let _ = wire.shutdown().await;
    let mut answer = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(10), wire.read_to_end(&mut answer)).await;
    let _ = end.expect("the gateway ends a connection that its client has closed");
    answer
}

/// Counts the PUBACKs of what was taken; everything the gateway says is whole packets of one version.
fn pubacks(answer: &[u8]) -> usize {
    // A CONNACK of 5 has properties, or at least their length.
    let pubacks = if answer.get(1) == Some(&2) { pubacks_of_3_1_1(answer) } else { pubacks_of_5(answer) };
    pubacks.unwrap_or_else(|| panic!("{answer:02x?}"))
}

fn pubacks_of_3_1_1(answer: &[u8]) -> Option<usize> {
    let mut bytes = BytesMut::from(answer);
    let mut pubacks = 0;
    while !bytes.is_empty() {
        let packet = v4::Packet::read(&mut bytes, 1000).ok()?;
        pubacks += usize::from(matches!(packet, v4::Packet::PubAck(_)));
    }
    Some(pubacks)
}

/// A refusal of one message is not a promise.
fn pubacks_of_5(answer: &[u8]) -> Option<usize> {
    let mut bytes = BytesMut::from(answer);
    let mut pubacks = 0;
    while !bytes.is_empty() {
        let packet = v5::Packet::read(&mut bytes, None).ok()?;
        let is_kept = |puback: &v5::PubAck| puback.reason != v5::PubAckReason::NotAuthorized;
        pubacks += usize::from(matches!(packet, v5::Packet::PubAck(puback) if is_kept(&puback)));
    }
    Some(pubacks)
}

#[test]
fn mutated_sessions_disturb_nobody() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let limits = gateway::Limits { max_payload: 500, ..gateway::Limits::default() };
    let site = runtime.block_on(Site::open_with(&["d-2"], limits));
    // A random password is cheap to check, and mutated ones are checked a lot.
    let password = site.registry.add(new_device("d-1"), NOW).unwrap();
    let bystander = Mutex::new(runtime.block_on(site.connect("d-2")));
    let whole = [session(password.as_str()), session_5(password.as_str())];
    let (acknowledged, sessions) = (Cell::new(0), Cell::new(2));

    for whole in &whole {
        let intact = runtime.block_on(talk(&site, whole, 1));
        assert_eq!(pubacks(&intact), 4, "{intact:02x?}");
    }

    proptest!(ProptestConfig::with_cases(CASES), |(
        changes in prop::collection::vec(mutations(), 1..4),
        pieces in 1usize..5,
        version in 0usize..2,
    )| {
        let mut said = whole[version].clone();
        changes.iter().for_each(|change| mutate(&mut said, change));
        acknowledged.set(acknowledged.get() + pubacks(&runtime.block_on(talk(&site, &said, pieces))));
        sessions.set(sessions.get() + 1);
        runtime.block_on(async {
            let (id, mut bystander) = (sessions.get(), bystander.lock().await);
            bystander.send(&telemetry("d-2", id)).await;
            bystander.expect(&puback(id)).await;
        });
    });
    assert!(acknowledged.get() > 0, "no mutated session got anywhere");

    // No task died on the way: each connection was counted at its end.
    runtime.block_on(site.until("all are gone", |site| site.metric("sluice_gateway_connections", "") == 1.0));
    let refused = site.metric("sluice_gateway_refused_connections_total", "");
    let ended = site.metric("sluice_gateway_sessions_ended_total", "");
    assert!(refused > 0.0 && ended > 0.0);
    assert_eq!(refused + ended, f64::from(sessions.get()));
    // The sums balance: what is durable is what was counted.
    let counted = |outcome| site.metric("sluice_gateway_messages_total", outcome) as usize;
    let is_observation = |record: &Record| matches!(record, Record::Observation(_));
    let observations = site.log.records(Topic::Telemetry).iter().filter(|(_, it)| is_observation(it)).count();
    assert_eq!(observations, counted("accepted"));
    assert_eq!(site.log.records(Topic::Quarantine).len(), counted("quarantined"));
    assert!(acknowledged.get() <= observations + counted("quarantined"));
    assert_eq!(counted("abandoned"), 0);
    runtime.block_on(site.close());
}
