//! Subscribers whose sessions outlive the gateway: what they are owed is still there after a crash, once.

mod support;

use gateway::Limits;
use std::time::Duration;
use support::*;

const READER: &str = "reader";
const TOPIC: &str = "up/d-1/telemetry";
const AT_ONCE: Duration = Duration::ZERO;

fn value(n: u16) -> Vec<u8> {
    format!(r#"{{"t": {n}}}"#).into_bytes()
}

fn again(mut publish: Vec<u8>) -> Vec<u8> {
    publish[0] |= 0b1000;
    publish
}

async fn open() -> Site {
    let site = Site::open_with(&["d-1"], Limits::default()).await;
    add_subscriber(&site.registry, READER, &["up/#"]);
    site
}

async fn come(site: &Site, connack: [u8; 4]) -> Wire {
    let mut reader = site.dial().await;
    reader.send(&connect_lasting("r", READER)).await;
    reader.expect(&connack).await;
    reader
}

async fn subscribed(site: &Site, qos: u8) -> Wire {
    let mut reader = come(site, CONNACK).await;
    reader.send(&subscribe(1, "up/#", qos)).await;
    reader.expect(&[0x90, 3, 0, 1, qos]).await;
    reader
}

/// Publishes at QoS 1.
async fn say(device: &mut Wire, n: u16) {
    device.send(&publish_at(TOPIC, 1, n, &value(n))).await;
    device.expect(&puback(n)).await;
}

#[tokio::test]
async fn what_waits_for_a_subscriber_that_is_away_waits_through_a_crash() {
    let site = open().await;
    let mut device = site.connect("d-1").await;
    drop(subscribed(&site, 1).await);
    site.until("it is away", |site| site.metric("sluice_gateway_kept_sessions", "") == 1.0).await;
    for n in 1..=5 {
        say(&mut device, n).await;
    }
    // One that is still on its way at the crash is sent for the first time after it.
    site.until("they are its own", |site| on_their_way(site) == 0).await;
    let site = site.after_a_crash(AT_ONCE).await;
    let mut device = site.connect("d-1").await;
    say(&mut device, 6).await;
    let mut reader = come(&site, PRESENT).await;
    // MQTT 3.3.1-1: what an earlier process may have sent is said to come again.
    for n in 1..=5 {
        reader.expect(&again(publish_at(TOPIC, 1, n, &value(n)))).await;
    }
    reader.expect(&publish_at(TOPIC, 1, 6, &value(6))).await;
    for n in 1..=4 {
        reader.send(&puback(n)).await;
    }
    reader.send(&PINGREQ).await;
    reader.expect(&PINGRESP).await;
    site.until("four are gone", |site| letters(site) == 2).await;
    site.until("the sixth is its own", |site| on_their_way(site) == 0).await;
    // Those that were acknowledged do not come again, and the others do.
    let site = site.after_a_crash(AT_ONCE).await;
    let mut reader = come(&site, PRESENT).await;
    for (id, n) in [(1, 5), (2, 6)] {
        reader.expect(&again(publish_at(TOPIC, 1, id, &value(n)))).await;
        reader.send(&puback(id)).await;
    }
    site.until("all are gone", |site| letters(site) == 0).await;
    site.close().await;
}

/// How many messages are noted for subscribers.
fn letters(site: &Site) -> usize {
    let is_letter = |key: &[u8]| key[0] == b's' && key.get(9) == Some(&b'l');
    site.log.noted().iter().filter(|(key, _)| is_letter(key)).count() + on_their_way(site)
}

/// How many of them are no subscriber's yet.
fn on_their_way(site: &Site) -> usize {
    site.log.noted().iter().filter(|(key, _)| key[0] == b'p').count()
}

/// A crash at any moment between PUBACK and delivery: on its way or delivered, and never both or neither.
#[tokio::test]
async fn a_message_that_was_acknowledged_reaches_its_subscriber_once() {
    let site = open().await;
    let mut device = site.connect("d-1").await;
    drop(subscribed(&site, 1).await);
    site.until("it is away", |site| site.metric("sluice_gateway_kept_sessions", "") == 1.0).await;
    for n in 1..=20 {
        say(&mut device, n).await;
        for _ in 0..n % 4 {
            tokio::task::yield_now().await;
        }
        let crashed = site.after_a_crash(AT_ONCE).await;
        let mut reader = come(&crashed, PRESENT).await;
        for n in 1..=n {
            // It comes again when it had been delivered, and for the first time when it was on its way.
            let expected = publish_at(TOPIC, 1, n, &value(n));
            let come = reader.read(expected.len()).await;
            assert_eq!((come[0] & !0b1000, &come[1..]), (expected[0], &expected[1..]));
        }
        reader.send(&PINGREQ).await;
        reader.expect(&PINGRESP).await;
        reader.expect_silence().await;
        crashed.close().await;
    }
    site.close().await;
}

#[tokio::test]
async fn a_message_of_qos_2_keeps_its_packet_id_through_a_crash() {
    let site = open().await;
    let mut device = site.connect("d-1").await;
    let mut reader = subscribed(&site, 2).await;
    device.send(&publish_at(TOPIC, 2, 9, &value(1))).await;
    device.expect(&[0x50, 2, 0, 9]).await;
    reader.expect(&publish_at(TOPIC, 2, 1, &value(1))).await;

    let site = site.after_a_crash(AT_ONCE).await;
    let mut reader = come(&site, PRESENT).await;
    reader.expect(&again(publish_at(TOPIC, 2, 1, &value(1)))).await;
    reader.send(&[0x50, 2, 0, 1]).await;
    reader.expect(&[0x62, 2, 0, 1]).await;

    let site = site.after_a_crash(AT_ONCE).await;
    let mut reader = come(&site, PRESENT).await;
    reader.expect(&[0x62, 2, 0, 1]).await;
    reader.send(&[0x70, 2, 0, 1]).await;
    site.until("nothing is left", |site| letters(site) == 0).await;

    let site = site.after_a_crash(AT_ONCE).await;
    let mut reader = come(&site, PRESENT).await;
    reader.expect_silence().await;
    site.close().await;
}

#[tokio::test]
async fn subscriptions_come_back_as_they_were() {
    let site = open().await;
    let mut reader = subscribed(&site, 1).await;
    reader.send(&subscribe(2, "up/d-1/state", 0)).await;
    reader.expect(&[0x90, 3, 0, 2, 0]).await;
    reader.send(&packet(0xa2, &[&[0, 3][..], &string("up/#")].concat())).await;
    reader.expect(&[0xb0, 2, 0, 3]).await;
    let site = site.after_a_crash(AT_ONCE).await;
    let mut reader = come(&site, PRESENT).await;
    let mut device = site.connect("d-1").await;
    say(&mut device, 1).await;
    reader.expect_silence().await;
    let state = br#"{"firmware": "1.2"}"#;
    device.send(&publish_at("up/d-1/state", 1, 2, state)).await;
    reader.expect(&publish_at("up/d-1/state", 0, 0, state)).await;
    site.close().await;
}

#[tokio::test]
async fn a_subscription_is_answered_when_it_is_durable() {
    let site = open().await;
    let mut reader = come(&site, CONNACK).await;
    site.until("it is noted", |site| site.log.noted().iter().any(|(key, _)| key[0] == b's')).await;
    site.log.set(Mood::Waits);
    reader.send(&subscribe(1, "up/#", 1)).await;
    reader.expect_silence().await;
    site.log.set(Mood::Takes);
    reader.expect(&[0x90, 3, 0, 1, 1]).await;
    site.close().await;
}
