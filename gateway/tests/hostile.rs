//! Mutated sessions: whatever comes, the gateway stands, and nobody else notices. `benches/hostile.rs` does it millions
//! of times.

#![allow(clippy::unwrap_used, reason = "a test's own scaffolding")]

mod support;

use bytes::BytesMut;
use proptest::prelude::*;
use records::{Record, Topic};
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;
use std::cell::Cell;
use std::time::Duration;
use support::mutation::{Mutation, session, session_5};
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Mutex;

const CASES: u32 = 2000;

fn mutations() -> impl Strategy<Value = Mutation> {
    let at = any::<usize>;
    prop_oneof![
        4 => (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        4 => (at(), 0u8..8).prop_map(|(at, bit)| Mutation::FlipBit(at, bit)),
        2 => (at(), prop::collection::vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        2 => (at(), 1usize..8).prop_map(|(at, len)| Mutation::Remove(at, len)),
        2 => (at(), 1usize..80).prop_map(|(at, len)| Mutation::Repeat(at, len)),
        1 => at().prop_map(Mutation::Cut),
    ]
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
    let whole = [session(password.as_str()).concat(), session_5(password.as_str()).concat()];
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
        changes.iter().for_each(|change| change.apply(&mut said));
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
