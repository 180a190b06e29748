//! Subscribers over real sockets, by the byte: what was published and is durable reaches those who want it.

mod support;

use gateway::Limits;
use std::time::Duration;
use support::*;
use tokio::time::Instant;

/// Who may subscribe to everything that devices say.
const READER: &str = "reader";

async fn open(limits: Limits) -> Site {
    let site = Site::open_with(&["d-1", "d-2"], limits).await;
    add_subscriber(&site.registry, READER, &["up/#", "$SYS/#"]);
    site
}

const LIVE: &[u8] = br#"{"t": 1}"#;

#[tokio::test]
async fn what_is_durable_is_delivered_at_the_lower_qos() {
    let site = open(Limits::default()).await;
    let mut device = site.connect("d-1").await;
    for (granted, published, expected) in
        [(0, 0, 0), (0, 1, 0), (0, 2, 0), (1, 0, 0), (1, 1, 1), (1, 2, 1), (2, 0, 0), (2, 1, 1), (2, 2, 2)]
    {
        let mut reader = site.connect_as(READER, "r", 0).await;
        reader.send(&subscribe(7, "up/+/telemetry", granted)).await;
        reader.expect(&[0x90, 3, 0, 7, granted]).await;
        site.log.set(Mood::Waits);
        device.send(&publish_at("up/d-1/telemetry", published, 9, LIVE)).await;
        reader.expect_silence().await;
        site.log.set(Mood::Takes);
        reader.expect(&publish_at("up/d-1/telemetry", expected, 1, LIVE)).await;
        if published == 1 {
            device.expect(&puback(9)).await;
        } else if published == 2 {
            device.expect(&[0x50, 2, 0, 9]).await;
            device.send(&[0x62, 2, 0, 9]).await;
            device.expect(&[0x70, 2, 0, 9]).await;
        }
        if expected == 2 {
            reader.send(&[0x50, 2, 0, 1]).await;
            reader.expect(&[0x62, 2, 0, 1]).await;
            reader.send(&[0x70, 2, 0, 1]).await;
        }
        reader.send(&DISCONNECT).await;
        reader.expect_closed().await;
    }
    site.close().await;
}

#[tokio::test]
async fn nobody_gets_what_is_not_theirs() {
    let site = open(Limits::default()).await;
    let mut device = site.connect("d-1").await;
    let refused =
        ["#", "+/d-1/#", "up/d-2/telemetry", "down/d-2/#", "up/+/telemetry", "$share/g/#", "a/#/b", "a+"];
    for filter in refused {
        device.send(&subscribe(1, filter, 1)).await;
        device.expect(&[0x90, 3, 0, 1, 0x80]).await;
    }
    device.send(&subscribe(1, "down/d-1/#", 1)).await;
    device.expect(&[0x90, 3, 0, 1, 1]).await;
    // A subscriber publishes nothing, under whatever name.
    let mut reader = site.connect(READER).await;
    reader.send(&publish("up/reader/telemetry", Some(1), LIVE)).await;
    reader.expect_closed().await;
    assert_eq!(site.metric("sluice_gateway_messages_total", "forbidden"), 1.0);
    site.close().await;
}

#[tokio::test]
async fn a_subscriber_that_is_away_gets_it_later() {
    let site = open(Limits::default()).await;
    let mut device = site.connect("d-1").await;
    let mut reader = site.dial().await;
    reader.send(&connect_lasting("r", READER)).await;
    reader.expect(&CONNACK).await;
    reader.send(&subscribe(1, "up/#", 2)).await;
    reader.expect(&[0x90, 3, 0, 1, 2]).await;
    for qos in [1, 2] {
        device.send(&publish_at("up/d-1/telemetry", qos, u16::from(qos), LIVE)).await;
        reader.expect(&publish_at("up/d-1/telemetry", qos, u16::from(qos), LIVE)).await;
    }
    // The second is received, and not released; the first was never acknowledged.
    reader.send(&[0x50, 2, 0, 2]).await;
    reader.expect(&[0x62, 2, 0, 2]).await;
    drop(reader);
    site.until("the reader is away", |site| site.metric("sluice_gateway_kept_sessions", "") == 1.0).await;
    device.send(&publish_at("up/d-1/telemetry", 0, 0, LIVE)).await;
    device.send(&publish_at("up/d-1/telemetry", 1, 3, br#"{"t": 2}"#)).await;
    device.expect(&puback(1)).await;
    device.expect(&[0x50, 2, 0, 2]).await;
    device.expect(&puback(3)).await;
    let mut reader = site.dial().await;
    reader.send(&connect_lasting("r", READER)).await;
    reader.expect(&[0x20, 2, 1, 0]).await;
    let mut again = publish_at("up/d-1/telemetry", 1, 1, LIVE);
    again[0] |= 0b1000;
    reader.expect(&again).await;
    reader.expect(&[0x62, 2, 0, 2]).await;
    reader.expect(&publish_at("up/d-1/telemetry", 1, 3, br#"{"t": 2}"#)).await;
    reader.send(&[puback(1).to_vec(), vec![0x70, 2, 0, 2], puback(3).to_vec()].concat()).await;
    reader.expect_silence().await;
    site.close().await;
}

#[tokio::test]
async fn no_more_is_in_flight_than_the_client_takes() {
    let site = open(Limits::default()).await;
    let mut device = site.connect("d-1").await;
    let mut reader = site.dial().await;
    reader.send(&connect_v5("r", READER, &[0x21, 0, 2])).await;
    reader.expect_connack_v5().await;
    reader.send(&packet(0x82, &[&[0, 1, 0][..], &string("up/#"), &[1]].concat())).await;
    reader.expect(&[0x90, 4, 0, 1, 0, 1]).await;
    for id in 1..=5 {
        device.send(&publish("up/d-1/telemetry", Some(id), LIVE)).await;
        device.expect(&puback(id)).await;
    }
    for id in 1..=5 {
        reader.expect(&publish_v5("up/d-1/telemetry", id, LIVE)).await;
        if id >= 2 {
            reader.expect_silence().await;
            reader.send(&puback(id - 1)).await;
        }
    }
    site.close().await;
}

#[tokio::test]
async fn one_that_cannot_keep_up_is_closed_and_nobody_else() {
    let limits = Limits { max_queued_messages: 50, max_in_flight: 10, ..Limits::default() };
    let site = open(limits).await;
    let mut device = site.connect("d-1").await;
    let mut slow = site.dial().await;
    slow.send(&connect_v5("slow", READER, &[])).await;
    slow.expect_connack_v5().await;
    slow.send(&packet(0x82, &[&[0, 1, 0][..], &string("up/#"), &[1]].concat())).await;
    slow.expect(&[0x90, 4, 0, 1, 0, 1]).await;
    let mut fast = site.connect_as(READER, "fast", 0).await;
    fast.send(&subscribe(1, "up/#", 1)).await;
    fast.expect(&[0x90, 3, 0, 1, 1]).await;
    for id in 1..=100 {
        device.send(&publish("up/d-1/telemetry", Some(id), LIVE)).await;
        device.expect(&puback(id)).await;
        fast.expect(&publish_at("up/d-1/telemetry", 1, id, LIVE)).await;
        fast.send(&puback(id)).await;
    }
    for id in 1..=10 {
        slow.expect(&publish_v5("up/d-1/telemetry", id, LIVE)).await;
    }
    slow.expect(&[0xe0, 2, 0x97, 0]).await;
    slow.expect_closed().await;
    assert_eq!(site.metric("sluice_gateway_sessions_ended_total", "too_slow"), 1.0);
    assert_eq!(site.metric("sluice_gateway_subscribers_overflowed_total", ""), 1.0);
    site.close().await;
}

#[tokio::test]
async fn what_cannot_be_taken_at_qos_0_is_counted() {
    let limits = Limits { max_queued_messages: 10, ..Limits::default() };
    let site = open(limits).await;
    let mut device = site.connect("d-1").await;
    let mut reader = site.connect_as(READER, "r", 0).await;
    reader.send(&subscribe(1, "up/#", 0)).await;
    reader.expect(&[0x90, 3, 0, 1, 0]).await;
    // It reads nothing, until neither the socket nor the mailbox takes more.
    let payload = format!(r#"{{"t": 1{}}}"#, " ".repeat(60_000)).into_bytes();
    let started = Instant::now();
    let mut id = 0;
    while site.metric("sluice_gateway_deliveries_total", "dropped") < 5.0 {
        id += 1;
        device.send(&publish("up/d-1/telemetry", Some(id), &payload)).await;
        device.read(4).await;
        assert!(started.elapsed() < Duration::from_secs(60));
    }
    reader.send(&PINGREQ).await;
    let sent = site.metric("sluice_gateway_deliveries_total", "sent");
    let expected = publish("up/d-1/telemetry", None, &payload);
    for _ in 0..sent as usize {
        reader.expect(&expected).await;
    }
    site.close().await;
}

#[tokio::test]
async fn a_dead_router_is_noticed_by_nobody() {
    let site = open(Limits::default()).await;
    let mut device = site.connect("d-1").await;
    let mut reader = site.connect_as(READER, "r", 0).await;
    reader.send(&subscribe(1, "up/#", 1)).await;
    reader.expect(&[0x90, 3, 0, 1, 1]).await;
    let deaths = 5;
    let mut slowest = Duration::ZERO;
    for death in 0..deaths {
        let before = site.metric("sluice_gateway_router_restarts_total", "");
        for id in (1..=200).map(|id| death * 200 + id) {
            if id % 200 == 100 {
                site.fanout.kill_router();
            }
            device.send(&publish("up/d-1/telemetry", Some(id), &reading(u64::from(id)))).await;
        }
        // Every one is acknowledged and delivered, in order, once.
        for id in (1..=200).map(|id| death * 200 + id) {
            let started = Instant::now();
            device.expect(&puback(id)).await;
            reader.expect(&publish_at("up/d-1/telemetry", 1, id, &reading(u64::from(id)))).await;
            reader.send(&puback(id)).await;
            slowest = slowest.max(started.elapsed());
        }
        assert_eq!(site.metric("sluice_gateway_router_restarts_total", "") - before, 1.0);
    }
    println!("the longest pause: {slowest:?}");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    assert_eq!(site.log.sequences("d-1").len(), usize::from(deaths) * 200);
    site.close().await;
}

#[tokio::test]
async fn a_right_that_is_taken_away_ends_the_session() {
    let site = open(Limits::default()).await;
    let mut reader = site.connect(READER).await;
    reader.send(&subscribe(1, "up/#", 1)).await;
    reader.expect(&[0x90, 3, 0, 1, 1]).await;
    site.registry.disable(READER, NOW).unwrap();
    reader.expect_closed().await;
    assert_eq!(site.metric("sluice_gateway_subscriptions", ""), 0.0);
    site.close().await;
}

#[tokio::test]
async fn subscribers_are_no_devices() {
    let site = open(Limits::default()).await;
    site.connect(READER).await;
    let devices: Vec<String> =
        site.registry.list().unwrap().iter().map(|device| device.id.to_string()).collect();
    assert_eq!(devices, ["d-1", "d-2"]);
    let keys: Vec<String> =
        site.log.records(records::Topic::Telemetry).into_iter().map(|(key, _)| key).collect();
    assert!(!keys.iter().any(|key| key == READER), "{keys:?}");
    site.close().await;
}

const GONE: &str = r#"{"firmware": "1"}"#;

/// CONNECT of MQTT 5 without a clean start, with a session of 60 s and a will at QoS 1 that waits so many seconds.
fn connect_willing(delay: u8) -> Vec<u8> {
    let mut body = string("MQTT");
    body.extend([5, 0xcc, 0, 0, 5, 0x11, 0, 0, 0, 60]);
    body.extend(string("d-1"));
    body.extend([5, 0x18, 0, 0, 0, delay]);
    body.extend(string("up/d-1/state"));
    body.extend(string(GONE));
    body.extend(string("d-1"));
    body.extend(string(PASSWORD));
    packet(0x10, &body)
}

#[tokio::test]
async fn a_will_waits_for_its_client_and_is_published_when_it_does_not_come() {
    let site = open(Limits::default()).await;
    let mut reader = site.connect_as(READER, "r", 0).await;
    reader.send(&subscribe(1, "up/d-1/state", 1)).await;
    reader.expect(&[0x90, 3, 0, 1, 1]).await;
    for _ in 0..2 {
        let mut device = site.dial().await;
        device.send(&connect_willing(1)).await;
        device.expect_connack_v5().await;
    }
    reader.expect(&publish_at("up/d-1/state", 1, 1, GONE.as_bytes())).await;
    reader.expect_silence().await;
    // It is on the log as if it had been published then.
    assert_eq!(site.metric("sluice_gateway_messages_total", "accepted"), 1.0);
    site.close().await;
}

#[tokio::test]
async fn wills_are_published_when_the_gateway_stops() {
    let site = open(Limits::default()).await;
    let mut away = site.dial().await;
    away.send(&connect_willing(200)).await;
    away.expect_connack_v5().await;
    drop(away);
    site.until("it is away", |site| site.metric("sluice_gateway_kept_sessions", "") == 1.0).await;
    site.stop.cancel();
    site.until("its will is published", |site| {
        site.metric("sluice_gateway_messages_total", "accepted") == 1.0
    })
    .await;
    site.close().await;
}

#[tokio::test]
async fn nobody_leaves_a_will_in_the_name_of_another() {
    let site = open(Limits::default()).await;
    let mut body = string("MQTT");
    body.extend([4, 0xc6, 0, 0]);
    for text in ["d-1", "up/d-2/state", "{}", "d-1", PASSWORD] {
        body.extend(string(text));
    }
    let mut device = site.dial().await;
    device.send(&packet(0x10, &body)).await;
    device.expect(&[0x20, 2, 0, 5]).await;
    device.expect_closed().await;
    assert_eq!(site.metric("sluice_gateway_refused_connections_total", "will"), 1.0);
    site.close().await;
}
