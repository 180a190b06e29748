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
