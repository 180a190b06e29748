//! QoS 2: once on the log, whatever happens to connections on the way.

mod support;

use gateway::Limits;
use std::time::Duration;
use support::*;

/// CONNECT of MQTT 5 whose session outlives the connection for that many seconds.
fn lasting_5(seconds: u32) -> Vec<u8> {
    let body = [&string("MQTT")[..], &[5, 0xc0, 0, 0, 5, 0x11], &seconds.to_be_bytes()].concat();
    packet(0x10, &[body, string("d-1"), string("d-1"), string(PASSWORD)].concat())
}

#[tokio::test]
async fn a_message_sent_again_over_another_connection_is_the_same() {
    let site = Site::open(&["d-1"]).await;
    let message = at_qos_2(&telemetry("d-1", 7));
    let mut wire = site.dial().await;
    wire.send(&[connect_lasting("c", "d-1"), message.clone()].concat()).await;
    wire.expect(&CONNACK).await;
    wire.expect(&pubrec(7)).await;
    for _ in 0..3 {
        // The connection goes before the client has seen PUBREC.
        wire = site.dial().await;
        wire.send(&[connect_lasting("c", "d-1"), message.clone()].concat()).await;
        wire.expect(&PRESENT).await;
        wire.expect(&pubrec(7)).await;
    }
    assert_eq!(site.log.sequences("d-1"), [7]);
    wire.send(&pubrel(7)).await;
    wire.expect(&pubcomp(7)).await;
    // And PUBREL, when PUBCOMP was lost.
    wire.send(&pubrel(7)).await;
    wire.expect(&pubcomp(7)).await;
    // The number is free, and the next message under it another one.
    wire.send(&message).await;
    wire.expect(&pubrec(7)).await;
    assert_eq!(site.log.sequences("d-1"), [7, 7]);
    assert_eq!(site.metric("sluice_gateway_messages_total", "accepted"), 2.0);
    assert_eq!(site.metric("sluice_gateway_messages_total", "repeated"), 3.0);
    site.close().await;
}

#[tokio::test]
async fn nothing_is_received_before_it_is_durable() {
    let site = Site::open(&["d-1"]).await;
    let message = at_qos_2(&telemetry("d-1", 7));
    let mut wire = site.dial().await;
    wire.send(&connect_lasting("c", "d-1")).await;
    wire.expect(&CONNACK).await;
    site.log.set(Mood::Waits);
    // The second is the first again, and PUBREL comes far too early.
    wire.send(&[&message[..], &message, &pubrel(7)].concat()).await;
    wire.expect_silence().await;
    site.log.set(Mood::Takes);
    wire.expect(&pubrec(7)).await;
    wire.expect(&pubcomp(7)).await;
    wire.send(&message).await;
    wire.expect(&pubrec(7)).await;
    assert_eq!(site.log.sequences("d-1"), [7]);
    site.close().await;
}

#[tokio::test]
async fn who_takes_over_goes_on_where_the_older_was() {
    let site = Site::open(&["d-1"]).await;
    let message = at_qos_2(&telemetry("d-1", 7));
    let mut older = site.dial().await;
    older.send(&connect_lasting("c", "d-1")).await;
    older.expect(&CONNACK).await;
    site.log.set(Mood::Waits);
    older.send(&message).await;
    older.expect_silence().await;
    let mut newer = site.dial().await;
    newer.send(&[connect_lasting("c", "d-1"), message].concat()).await;
    newer.expect_silence().await;
    site.log.set(Mood::Takes);
    older.expect(&pubrec(7)).await;
    newer.expect(&PRESENT).await;
    newer.expect(&pubrec(7)).await;
    assert_eq!(site.log.sequences("d-1"), [7]);
    site.close().await;
}

#[tokio::test]
async fn sessions_of_other_names_and_clean_ones_know_nothing() {
    let site = Site::open(&["d-1"]).await;
    let message = at_qos_2(&telemetry("d-1", 7));
    for hello in [
        connect_lasting("a", "d-1"),
        connect_lasting("b", "d-1"),
        connect("a", 0, "d-1", PASSWORD),
        connect_lasting("a", "d-1"),
    ] {
        let mut wire = site.dial().await;
        wire.send(&[hello, message.clone()].concat()).await;
        wire.expect(&CONNACK).await;
        wire.expect(&pubrec(7)).await;
    }
    assert_eq!(site.log.sequences("d-1"), [7; 4]);
    site.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_of_5_is_kept_as_long_as_it_asks_for_and_may() {
    let site = Site::open_with(&["d-1"], Limits { max_session_expiry: 60, ..Limits::default() }).await;
    let check = async |hello: Vec<u8>, is_present: bool, is_told: bool| {
        let mut wire = site.dial().await;
        wire.send(&hello).await;
        let connack = wire.read(5).await;
        assert_eq!(connack[2], u8::from(is_present));
        assert_eq!(wire.read(5).await == [0x11, 0, 0, 0, 60], is_told);
        wire
    };
    drop(check(lasting_5(20), false, false).await);
    tokio::time::sleep(Duration::from_secs(18)).await;
    let wire = check(lasting_5(20), true, false).await;
    // Time counts from the end of the connection.
    tokio::time::sleep(Duration::from_secs(100)).await;
    drop(wire);
    tokio::time::sleep(Duration::from_secs(22)).await;
    drop(check(lasting_5(u32::MAX), false, true).await);
    tokio::time::sleep(Duration::from_secs(58)).await;
    let mut wire = check(lasting_5(20), true, false).await;
    // A client that goes may shorten it.
    wire.send(&packet(0xe0, &[0, 5, 0x11, 0, 0, 0, 0])).await;
    site.until("it is gone", |site| site.metric("sluice_gateway_connections", "") == 0.0).await;
    drop(check(lasting_5(20), false, false).await);
    site.until("it is kept", |site| site.metric("sluice_gateway_kept_sessions", "") == 1.0).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(site.metric("sluice_gateway_kept_sessions", ""), 0.0);
    site.close().await;
}

#[tokio::test]
async fn nobody_leaves_more_unreleased_than_it_may() {
    let site = Site::open_with(&["d-1"], Limits { max_in_flight: 3, ..Limits::default() }).await;
    let mut wire = site.connect("d-1").await;
    for id in 1..=3 {
        wire.send(&at_qos_2(&telemetry("d-1", id.into()))).await;
        wire.expect(&pubrec(id)).await;
    }
    wire.send(&at_qos_2(&telemetry("d-1", 2))).await;
    wire.expect(&pubrec(2)).await;
    wire.send(&telemetry("d-1", 4)).await;
    wire.expect(&puback(4)).await;
    wire.send(&at_qos_2(&telemetry("d-1", 5))).await;
    wire.expect_closed().await;
    assert_eq!(site.metric("sluice_gateway_sessions_ended_total", "receive_maximum"), 1.0);
    assert_eq!(site.log.sequences("d-1"), [1, 2, 3, 4]);
    site.close().await;
}
