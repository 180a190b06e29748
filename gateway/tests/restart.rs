//! A gateway that comes back: what of sessions is still there, and what must not be.

mod support;

use gateway::Limits;
use std::time::Duration;
use support::*;

const PRESENT: [u8; 4] = [0x20, 2, 1, 0];
const AT_ONCE: Duration = Duration::ZERO;

/// CONNECT of MQTT 3.1.1 whose session outlives the connection.
fn lasting(client_id: &str) -> Vec<u8> {
    let mut bytes = connect(client_id, 0, "d-1", PASSWORD);
    bytes[9] &= !0x02;
    bytes
}

fn message(id: u8) -> Vec<u8> {
    [&[0x34][..], &telemetry("d-1", id.into())[1..]].concat()
}

fn pubrec(id: u8) -> [u8; 4] {
    [0x50, 2, 0, id]
}

fn pubrel(id: u8) -> [u8; 4] {
    [0x62, 2, 0, id]
}

fn pubcomp(id: u8) -> [u8; 4] {
    [0x70, 2, 0, id]
}

async fn greet(site: &Site, hello: &[u8], connack: [u8; 4]) -> Wire {
    let mut wire = site.dial().await;
    wire.send(hello).await;
    wire.expect(&connack).await;
    wire
}

#[tokio::test]
async fn a_message_of_qos_2_is_known_after_a_crash_until_it_was_released() {
    let site = Site::open(&["d-1"]).await;
    let mut wire = greet(&site, &lasting("c"), CONNACK).await;
    wire.send(&message(7)).await;
    wire.expect(&pubrec(7)).await;

    let site = site.after_a_crash(AT_ONCE).await;
    let mut wire = greet(&site, &lasting("c"), PRESENT).await;
    wire.send(&message(7)).await;
    wire.expect(&pubrec(7)).await;
    assert_eq!(site.log.sequences("d-1"), [7]);
    wire.send(&pubrel(7)).await;
    wire.expect(&pubcomp(7)).await;

    let site = site.after_a_crash(AT_ONCE).await;
    let mut wire = greet(&site, &lasting("c"), PRESENT).await;
    wire.send(&pubrel(7)).await;
    wire.expect(&pubcomp(7)).await;
    // The number is free, and the next message under it another one.
    wire.send(&message(7)).await;
    wire.expect(&pubrec(7)).await;
    assert_eq!(site.log.sequences("d-1"), [7, 7]);
    site.close().await;
}

#[tokio::test]
async fn pubcomp_waits_until_nothing_is_known_of_the_message_any_more() {
    let site = Site::open(&["d-1"]).await;
    let mut wire = greet(&site, &lasting("c"), CONNACK).await;
    wire.send(&message(7)).await;
    wire.expect(&pubrec(7)).await;
    site.log.set(Mood::Waits);
    wire.send(&pubrel(7)).await;
    wire.expect_silence().await;
    let crashed = site.after_a_crash(AT_ONCE).await;
    let mut late = greet(&crashed, &lasting("c"), PRESENT).await;
    late.send(&[&message(7)[..], &pubrel(7)].concat()).await;
    late.expect(&pubrec(7)).await;
    late.expect(&pubcomp(7)).await;
    assert_eq!(crashed.log.sequences("d-1"), [7]);
    site.log.set(Mood::Takes);
    wire.expect(&pubcomp(7)).await;
    site.close().await;
}

/// The log has it and says that it failed: it is offered again, and stands there once.
#[tokio::test]
async fn an_append_in_doubt_is_carried_out_once() {
    let site = Site::open(&["d-1"]).await;
    let mut wire = greet(&site, &lasting("c"), CONNACK).await;
    wire.send(&PINGREQ).await;
    wire.expect(&PINGRESP).await;
    site.until("the session is noted", |site| site.log.noted().iter().any(|(key, _)| key[0] == b's')).await;
    site.log.set(Mood::Doubts);
    wire.send(&[message(7), message(8)].concat()).await;
    wire.expect(&pubrec(7)).await;
    wire.expect(&pubrec(8)).await;
    assert_eq!(site.log.sequences("d-1"), [7, 8]);
    site.log.set(Mood::Takes);
    site.close().await;
}

/// The connection ends while nobody knows whether its append will be durable, and the store is asked.
#[tokio::test]
async fn an_append_that_was_given_up_is_looked_for() {
    let drain_timeout = Duration::from_millis(100);
    for (mood, sequences) in [(Mood::Doubts, &[7][..]), (Mood::Fails, &[7][..])] {
        let site = Site::open_with(&["d-1"], Limits { drain_timeout, ..Limits::default() }).await;
        let mut wire = greet(&site, &lasting("c"), CONNACK).await;
        site.until("the session is noted", |site| site.log.noted().len() >= 2).await;
        site.log.set(Mood::Waits);
        wire.send(&message(7)).await;
        wire.expect_silence().await;
        drop(wire);
        tokio::time::sleep(drain_timeout / 2).await;
        site.log.set(mood);
        site.until("it is kept", |site| site.metric("sluice_gateway_kept_sessions", "") == 1.0).await;
        site.log.set(Mood::Takes);
        let mut wire = greet(&site, &lasting("c"), PRESENT).await;
        wire.send(&[&message(7)[..], &pubrel(7)].concat()).await;
        wire.expect(&pubrec(7)).await;
        wire.expect(&pubcomp(7)).await;
        assert_eq!(site.log.sequences("d-1"), sequences, "{mood:?}");
        site.close().await;
    }
}

#[tokio::test]
async fn time_goes_on_while_nobody_is_there() {
    let limits = Limits { max_session_expiry: 60, ..Limits::default() };
    let site = Site::open_with(&["d-1"], limits).await;
    let mut gone = greet(&site, &lasting("gone"), CONNACK).await;
    gone.send(&DISCONNECT).await;
    site.until("it is kept", |site| site.metric("sluice_gateway_kept_sessions", "") == 1.0).await;
    site.advance(Duration::from_secs(40));
    let _connected = greet(&site, &lasting("connected"), CONNACK).await;
    site.until("both are noted", |site| site.log.noted().len() >= 3).await;
    let down = site.after_a_crash(Duration::from_secs(15)).await;
    greet(&down, &lasting("gone"), PRESENT).await;
    let down = site.after_a_crash(Duration::from_secs(25)).await;
    // 65 seconds are too many for the one, and 25 or less are not for the other.
    greet(&down, &lasting("gone"), CONNACK).await;
    greet(&down, &lasting("connected"), PRESENT).await;
    down.close().await;
    site.close().await;
}

#[tokio::test]
async fn what_a_client_has_ended_does_not_come_back() {
    let site = Site::open(&["d-1"]).await;
    for hello in [lasting("c"), connect("c", 0, "d-1", PASSWORD), lasting("c")] {
        let mut wire = greet(&site, &hello, CONNACK).await;
        wire.send(&message(7)).await;
        wire.expect(&pubrec(7)).await;
        if hello == connect("c", 0, "d-1", PASSWORD) {
            let crashed = site.after_a_crash(AT_ONCE).await;
            let mut wire = greet(&crashed, &lasting("c"), CONNACK).await;
            wire.send(&message(7)).await;
            wire.expect(&pubrec(7)).await;
            assert_eq!(crashed.log.sequences("d-1"), [7, 7, 7]);
            crashed.close().await;
        }
    }
    site.close().await;
}

#[tokio::test]
async fn sessions_of_an_older_log_and_damaged_ones_begin_anew() {
    let site = Site::open(&["d-1"]).await;
    for client in ["a", "b"] {
        let mut wire = greet(&site, &lasting(client), CONNACK).await;
        wire.send(&message(7)).await;
        wire.expect(&pubrec(7)).await;
    }
    let mut older = site.log.copy().await;
    older.made = older.made + Duration::from_secs(1);
    let restored = site.on(older, AT_ONCE).await;
    greet(&restored, &lasting("a"), CONNACK).await;
    restored.close().await;

    let spoilt = site.log.copy().await;
    let of_a = spoilt.noted().into_iter().find(|(key, _)| key[0] == b's' && key.len() > 9).unwrap().0;
    spoilt.spoil(&of_a);
    let spoilt = site.on(spoilt, AT_ONCE).await;
    greet(&spoilt, &lasting("a"), CONNACK).await;
    greet(&spoilt, &lasting("b"), PRESENT).await;
    spoilt.close().await;
    site.close().await;
}

#[tokio::test]
async fn a_session_that_ends_with_its_connection_costs_no_note() {
    let site = Site::open(&["d-1"]).await;
    let mut wire = site.connect("d-1").await;
    let before = site.log.noted();
    wire.send(&message(7)).await;
    wire.expect(&pubrec(7)).await;
    wire.send(&[telemetry("d-1", 8), pubrel(7).to_vec()].concat()).await;
    wire.expect(&puback(8)).await;
    wire.expect(&pubcomp(7)).await;
    assert_eq!(site.log.noted(), before);
    site.close().await;
}
