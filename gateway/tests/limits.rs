//! What one client may use, and that nobody else notices when one wants more.

#![allow(clippy::unwrap_used, reason = "a test's own scaffolding")]

mod support;

use gateway::Limits;
use std::time::Duration;
use support::*;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio::time::Instant;

#[tokio::test]
async fn an_address_has_its_share() {
    let limits = Limits { max_connections_per_address: 2, ..Limits::default() };
    let site = Site::open_with(&["d-1", "d-2", "d-3"], limits).await;
    let first = site.connect("d-1").await;
    let _second = site.connect("d-2").await;
    site.dial().await.expect_closed().await;
    assert_eq!(site.metric("sluice_gateway_refused_connections_total", "address"), 1.0);
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = Wire(socket.connect(site.address).await.unwrap());
    other.send(&connect("d-3", 0, "d-3", PASSWORD)).await;
    other.expect(&CONNACK).await;
    drop(first);
    site.until("there is room", |site| site.metric("sluice_gateway_connections", "") == 2.0).await;
    site.connect("d-1").await;
    assert_eq!(site.metric("sluice_gateway_limit", "connections_per_address"), 2.0);
    site.close().await;
}

#[tokio::test]
async fn topics_are_as_long_and_deep_as_they_may_be() {
    let limits = Limits { max_topic: 40, max_topic_levels: 4, ..Limits::default() };
    let site = Site::open_with(&["d-1"], limits).await;
    let long = |len: usize| format!("up/d-1/{}", "x".repeat(len - 7));
    for (topic, is_allowed) in
        [(long(40), true), (long(41), false), ("up/d-1/a/b".into(), true), ("up/d-1/a/b/".into(), false)]
    {
        let mut wire = site.connect("d-1").await;
        wire.send(&subscribe(7, &topic, 1)).await;
        wire.expect(&[0x90, 3, 0, 7, if is_allowed { 1 } else { 0x80 }]).await;
        wire.send(&publish(&topic, Some(1), b"{}")).await;
        if is_allowed {
            wire.expect(&puback(1)).await;
        } else {
            wire.expect_closed().await;
        }
        let mut wire = site.dial().await;
        wire.send(&[connect_v5("five", "d-1", &[]), publish_v5(&topic, 1, b"{}")].concat()).await;
        wire.expect_connack_v5().await;
        let answer = if is_allowed { [0x40, 3, 0, 1] } else { [0xe0, 2, 0x90, 0] };
        wire.expect(&answer).await;
    }
    assert_eq!(site.metric("sluice_gateway_sessions_ended_total", "topic_limit"), 4.0);
    site.close().await;
}

#[tokio::test]
async fn a_device_has_a_rate_over_all_its_connections() {
    let limits = Limits { max_publish_rate: 20, max_publish_burst: 30, ..Limits::default() };
    let site = Site::open_with(&["d-1", "d-2", "d-3"], limits).await;
    let flood = |device: &str| (1..=40).flat_map(|id| telemetry(device, id)).collect::<Vec<_>>();
    let pubacks = |ids: std::ops::RangeInclusive<u16>| ids.flat_map(puback).collect::<Vec<_>>();

    // 3.1.1: what has come stands; the next waits until the tokens are there, wherever it comes from.
    let (mut wire, mut second) = (site.connect("d-1").await, site.connect_as("d-1", "second", 0).await);
    let started = Instant::now();
    wire.send(&flood("d-1")).await;
    wire.expect(&pubacks(1..=40)).await;
    assert!(started.elapsed() < Duration::from_millis(400), "{:?}", started.elapsed());
    second.send(&telemetry("d-1", 41)).await;
    second.expect(&puback(41)).await;
    wire.send(&telemetry("d-1", 42)).await;
    wire.expect(&puback(42)).await;
    // 42 messages are 12 more than there were tokens for, and those before the last had to be paid for.
    assert!(started.elapsed() >= Duration::from_millis(500), "{:?}", started.elapsed());
    assert!(site.metric("sluice_gateway_slowed_total", "") >= 1.0);

    // MQTT 5: what has come is acknowledged, and the end is said.
    let mut wire = site.dial().await;
    wire.send(&connect_v5("five", "d-2", &[])).await;
    wire.expect_connack_v5().await;
    let flood: Vec<u8> =
        (1..=40).flat_map(|id| publish_v5("up/d-2/telemetry", id, &reading(id.into()))).collect();
    wire.send(&flood).await;
    wire.expect(&pubacks(1..=40)).await;
    wire.expect(&[0xe0, 2, 0x97, 0]).await;
    wire.expect_closed().await;
    assert_eq!(site.metric("sluice_gateway_sessions_ended_total", "rate"), 1.0);
    // A new connection is no new bucket.
    let mut wire = site.dial().await;
    wire.send(&connect_v5("five", "d-2", &[])).await;
    wire.expect_connack_v5().await;
    wire.send(&publish_v5("up/d-2/telemetry", 41, &reading(41))).await;
    wire.expect(&puback(41)).await;
    wire.expect(&[0xe0, 2, 0x97, 0]).await;

    let mut other = site.connect("d-3").await;
    other.send(&telemetry("d-3", 1)).await;
    other.expect(&puback(1)).await;
    assert_eq!(site.metric("sluice_gateway_limit", "publish_rate"), 20.0);
    site.close().await;
}

/// A byte a second is heard, and keeps no session for ever; in 3.1.1, which can't be told, as well as in 5.
#[tokio::test]
async fn half_a_packet_has_its_time() {
    let patience = Duration::from_millis(1500);
    let limits = Limits { packet_timeout: patience, max_payload: 1024, ..Limits::default() };
    let site = Site::open_with(&["d-1", "d-2"], limits).await;
    let five = async |said: Vec<u8>| {
        let mut wire = site.dial().await;
        wire.send(&[connect_v5(&format!("{}", said.len()), "d-1", &[]), said].concat()).await;
        wire.expect_connack_v5().await;
        wire
    };
    let packet = telemetry("d-1", 1);
    let half = packet[..packet.len() / 2].to_vec();
    let oversized = publish_v5("up/d-1/telemetry", 1, &[b'x'; 3000])[..2000].to_vec();
    // Half of it came behind CONNECT, all but its last byte dribbles in, or it isn't even kept.
    let mut behind = five(half.clone()).await;
    let mut passing = five(oversized).await;
    let mut plain = site.connect_as("d-1", "plain", 0).await;
    plain.send(&half).await;
    let mut dribbling = site.connect_as("d-1", "dribbling", 1).await;
    let started = Instant::now();
    let slow = tokio::spawn(async move {
        for byte in packet {
            if dribbling.0.write_all(&[byte]).await.is_err() {
                return started.elapsed();
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("a packet that took {:?} was taken", started.elapsed());
    });
    let mut bystander = site.connect("d-2").await;
    bystander.send(&telemetry("d-2", 1)).await;
    bystander.expect(&puback(1)).await;
    for wire in [&mut behind, &mut passing] {
        wire.expect(&[0xe0, 2, 0x97, 0]).await;
    }
    plain.expect_closed().await;
    assert!(started.elapsed() >= patience && started.elapsed() < 2 * patience, "{:?}", started.elapsed());
    slow.await.unwrap();
    assert_eq!(site.metric("sluice_gateway_sessions_ended_total", "packet_timeout"), 4.0);
    bystander.send(&PINGREQ).await;
    bystander.expect(&PINGRESP).await;
    site.close().await;
}

#[tokio::test]
async fn who_takes_none_of_his_answers_is_not_waited_for() {
    let limits = Limits { packet_timeout: Duration::from_secs(1), ..Limits::default() };
    let site = Site::open_with(&["d-1", "d-2"], limits).await;
    // Without a keep alive nothing else would end it.
    let mut wire = site.connect_as("d-1", "deaf", 0).await;
    let pings = PINGREQ.repeat(32 << 10);
    let asking = tokio::spawn(async move { while wire.0.write_all(&pings).await.is_ok() {} });
    site.until("it is gone", |site| {
        site.metric("sluice_gateway_sessions_ended_total", "packet_timeout") == 1.0
    })
    .await;
    asking.await.unwrap();
    site.connect("d-2").await;
    site.close().await;
}

#[tokio::test]
async fn five_thousand_silent_sockets_are_no_hindrance_and_go() {
    let patience = Duration::from_secs(3);
    let site = Site::open_with(&["d-1"], Limits { connect_timeout: patience, ..Limits::default() }).await;
    let mut bystander = site.connect("d-1").await;
    let mut silent = Vec::new();
    for _ in 0..5000 {
        silent.push(site.dial().await);
    }
    site.until("all are in", |site| site.metric("sluice_gateway_connections", "") > 1.0).await;
    let started = Instant::now();
    bystander.send(&telemetry("d-1", 1)).await;
    bystander.expect(&puback(1)).await;
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    site.until("they are gone", |site| {
        site.metric("sluice_gateway_refused_connections_total", "timeout") == 5000.0
    })
    .await;
    assert_eq!(site.metric("sluice_gateway_connections", ""), 1.0);
    bystander.send(&PINGREQ).await;
    bystander.expect(&PINGRESP).await;
    site.close().await;
}

/// In every state before CONNACK without TLS; `tests/tls.rs` and `tests/websocket.rs` have the others.
#[tokio::test]
async fn who_takes_his_time_connecting_has_no_more_of_it() {
    let patience = Duration::from_millis(1500);
    let site = Site::open_with(&["d-1"], Limits { connect_timeout: patience, ..Limits::default() }).await;
    let started = Instant::now();
    let hello = connect("d-1", 0, "d-1", PASSWORD);
    let _silent = site.dial().await;
    let mut half = site.dial().await;
    half.send(&hello[..hello.len() / 2]).await;
    // A byte at a time, faster than anything but the whole could be timed.
    let mut slow = site.dial().await;
    let slow = tokio::spawn(async move {
        for byte in hello {
            if slow.0.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let mut bystander = site.connect("d-1").await;
    bystander.send(&telemetry("d-1", 1)).await;
    bystander.expect(&puback(1)).await;
    assert!(started.elapsed() < patience, "somebody waited for the slow ones");
    half.expect_closed().await;
    site.until("all are gone", |site| {
        site.metric("sluice_gateway_refused_connections_total", "timeout") == 3.0
    })
    .await;
    assert!(started.elapsed() >= patience && started.elapsed() < 2 * patience, "{:?}", started.elapsed());
    slow.await.unwrap();
    bystander.send(&PINGREQ).await;
    bystander.expect(&PINGRESP).await;
    site.close().await;
}
