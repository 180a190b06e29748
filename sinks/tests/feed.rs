//! The live feed, over a real listener.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod support;

use records::{Family, Record, Topic};
use serde_json::{Value, json};
use std::time::Duration;
use support::http::Request;
use support::{Console, T0, alert, append, count, device, on_log, reading};

#[tokio::test]
async fn the_feed_resumes_without_loss_or_double() {
    let console = Console::start().await;
    let list: Vec<Record> = (0..700).map(|i| on_log(&alert("a", T0 + i))).collect();
    append(&console.log, Topic::Alerts, &list[..600]).await;
    console.get_until("/api/v1/alerts?limit=1", |answer| answer.json()["seq"] == 600).await;
    let mut seen = Vec::new();
    let mut feed = Request::get("/api/v1/feed?after=0").follow(console.address).await;
    while seen.len() < 550 {
        seen.push(feed.next_of("alert").await);
    }
    drop(feed);
    append(&console.log, Topic::Alerts, &list[600..650]).await;
    let last = seen.last().unwrap().id.unwrap().to_string();
    let back = Request::get("/api/v1/feed?after=0").header("Last-Event-ID", &last);
    let mut feed = back.follow(console.address).await;
    append(&console.log, Topic::Alerts, &list[650..]).await;
    while seen.len() < 700 {
        seen.push(feed.next_of("alert").await);
    }
    let ids: Vec<u64> = seen.iter().map(|event| event.id.unwrap()).collect();
    assert_eq!(ids, (1..=700).collect::<Vec<_>>());
    let opened: Vec<i64> = seen.iter().map(|event| event.data["opened_at"].as_i64().unwrap()).collect();
    assert_eq!(opened, (T0..T0 + 700).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_client_too_slow_is_sent_away_and_resumes() {
    let console = Console::start().await;
    let mut slow = Request::get("/api/v1/feed?after=0").follow(console.address).await;
    support::eventually(async || {
        (count(&console.registry, "sluice_sinks_feed_clients") == 1.0).then_some(())
    })
    .await;
    for thousand in 0..6 {
        let list: Vec<Record> = (0..1000)
            .map(|i| {
                let mut alert = alert("a", T0 + thousand * 1000 + i);
                alert.text = "x".repeat(3000);
                on_log(&alert)
            })
            .collect();
        append(&console.log, Topic::Alerts, &list).await;
    }
    let newest = async || console.alerts.newest().ok().filter(|newest| *newest == 6000);
    support::eventually(newest).await;
    let mut ids = Vec::new();
    while let Some(event) = slow.next().await {
        ids.extend(event.id);
    }
    assert!(ids.len() < 6000, "it was sent away");
    assert_eq!(count(&console.registry, "sluice_sinks_feed_dropped_total"), 1.0);
    let last = ids.last().copied().unwrap_or(0).to_string();
    let mut back = Request::get("/api/v1/feed").header("Last-Event-ID", &last).follow(console.address).await;
    while ids.len() < 6000 {
        ids.extend(back.next_of("alert").await.id);
    }
    assert_eq!(ids, (1..=6000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_feed_without_an_id_begins_now_and_a_foreign_id_is_told_so() {
    let console = Console::start().await;
    append(&console.log, Topic::Alerts, &[on_log(&alert("old", T0))]).await;
    console.get_until("/api/v1/alerts", |answer| answer.json()["seq"] == 1).await;
    let mut fresh = Request::get("/api/v1/feed").follow(console.address).await;
    let mut foreign =
        Request::get("/api/v1/feed").header("Last-Event-ID", "77").follow(console.address).await;
    let reset = foreign.next_of("reset").await;
    assert_eq!(reset.id, Some(1));
    support::eventually(async || {
        (count(&console.registry, "sluice_sinks_feed_clients") == 2.0).then_some(())
    })
    .await;
    append(&console.log, Topic::Alerts, &[on_log(&alert("new", T0))]).await;
    for feed in [&mut fresh, &mut foreign] {
        assert_eq!(feed.next_of("alert").await.data["subject"], json!({ "device": "new" }));
    }
    drop((fresh, foreign));
    support::eventually(async || {
        (count(&console.registry, "sluice_sinks_feed_clients") == 0.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_feed_brings_changed_devices() {
    let console = Console::start().await;
    let records = [Record::Device(device("a", Family::Air, 1)), reading("b", T0, "ph", 7.0)];
    append(&console.log, Topic::Observations, &records).await;
    console
        .get_until("/api/v1/devices", |answer| answer.json()["devices"].as_array().unwrap().len() == 2)
        .await;
    let mut feed = Request::get("/api/v1/feed").follow(console.address).await;
    support::eventually(async || {
        (count(&console.registry, "sluice_sinks_feed_clients") == 1.0).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    append(&console.log, Topic::Observations, &[reading("a", T0, "pm2_5", 12.5)]).await;
    let event = feed.next_of("latest").await;
    assert_eq!(event.id, None, "an id would move the place where alerts resume");
    let devices = event.data["devices"].as_array().unwrap();
    assert_eq!(devices.len(), 1, "b did not change");
    assert_eq!(
        (devices[0]["id"].as_str(), devices[0]["latest"][0]["value"].as_f64()),
        (Some("a"), Some(12.5))
    );
    console.hands.forward(Duration::from_secs(301));
    let event = feed.next_of("latest").await;
    let late: Vec<&Value> =
        event.data["devices"].as_array().unwrap().iter().map(|device| &device["state"]).collect();
    assert_eq!(late, ["late", "late"], "silence is news too");
}

#[tokio::test]
async fn an_open_feed_does_not_hold_up_the_end() {
    let mut console = Console::start().await;
    let mut feed = Request::get("/api/v1/feed").follow(console.address).await;
    support::eventually(async || {
        (count(&console.registry, "sluice_sinks_feed_clients") == 1.0).then_some(())
    })
    .await;
    console.stop.cancel();
    assert!(feed.next().await.is_none(), "the feed is ended");
    tokio::time::timeout(Duration::from_secs(2), &mut console.serving).await.expect("serving ends").unwrap();
}
