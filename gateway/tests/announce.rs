//! The registry and a running gateway: entries on the log, and changes that take effect on live sessions.

#![allow(clippy::unwrap_used, reason = "a test's own scaffolding")]

mod support;

use gateway::Registry;
use records::{Record, Timestamp, Topic};
use std::time::Duration;
use support::*;

fn announced(site: &Site) -> Vec<(String, bool, Timestamp)> {
    let of_device = |(key, record): (String, Record)| match record {
        Record::Device(device) => Some((key, device.is_enabled, device.updated_at)),
        _ => None,
    };
    site.log.records(Topic::Telemetry).into_iter().filter_map(of_device).collect()
}

fn second_handle(site: &Site) -> Registry {
    Registry::open(&site.folder.path().join("registry.db")).unwrap()
}

#[tokio::test]
async fn every_entry_is_announced_at_the_start() {
    let site = Site::open(&["d-00", "d-01", "d-02"]).await;
    site.until("all are announced", |site| announced(site).len() == 3).await;
    let mut entries = announced(&site);
    entries.sort();
    assert_eq!(entries, [("d-00".into(), true, NOW), ("d-01".into(), true, NOW), ("d-02".into(), true, NOW)]);
    site.close().await;
}

#[tokio::test]
async fn no_session_begins_before_the_entries_are_durable() {
    let site = Site::open(&["d-1"]).await;
    site.connect("d-1").await;
    site.log.set(Mood::Waits);
    let password = second_handle(&site).add(new_device("d-2"), NOW).unwrap();
    let mut wire = site.dial().await;
    wire.send(&[connect("d-2", 0, "d-2", password.as_str()), telemetry("d-2", 1)].concat()).await;
    wire.expect_silence().await;
    site.log.set(Mood::Takes);
    wire.expect(&CONNACK).await;
    wire.expect(&puback(1)).await;
    let records = site.log.records(Topic::Telemetry);
    let place = |is_it: &dyn Fn(&Record) -> bool| {
        records.iter().position(|(key, record)| key == "d-2" && is_it(record)).unwrap()
    };
    let entry = place(&|record| matches!(record, Record::Device(_)));
    let observation = place(&|record| matches!(record, Record::Observation(_)));
    assert!(entry < observation);
    site.close().await;
}

#[tokio::test]
async fn a_new_entry_works_at_once_and_is_announced_once() {
    let site = Site::open(&[]).await;
    // Let the gateway be past its start: this entry is not among those read then.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let password = second_handle(&site).add(new_device("probe-1"), NOW).unwrap();
    let mut wire = site.dial().await;
    wire.send(&connect("x", 0, "probe-1", password.as_str())).await;
    wire.expect(&CONNACK).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(announced(&site), [("probe-1".into(), true, NOW)]);
    site.close().await;
}

#[tokio::test]
async fn an_entry_that_nobody_uses_is_announced_within_a_second() {
    let site = Site::open(&[]).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    second_handle(&site).add(new_device("quiet"), NOW).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(announced(&site), [("quiet".into(), true, NOW)]);
    site.close().await;
}

#[tokio::test]
async fn a_disabled_device_is_cut_and_kept_out() {
    let site = Site::open(&["d-1", "d-2"]).await;
    let mut wire = site.connect("d-1").await;
    let mut neighbour = site.connect("d-2").await;
    second_handle(&site).disable("d-1", NOW).unwrap();
    let cut = tokio::time::timeout(Duration::from_secs(2), wire.expect_closed()).await;
    cut.expect("cut within two seconds");
    let mut again = site.dial().await;
    again.send(&connect("d-1", 0, "d-1", PASSWORD)).await;
    again.expect(&[0x20, 2, 0, 5]).await;
    neighbour.send(&PINGREQ).await;
    neighbour.expect(&PINGRESP).await;
    let later = Timestamp(NOW.millis() + 1);
    site.until("the change is announced", |site| announced(site).contains(&("d-1".into(), false, later)))
        .await;
    assert_eq!(site.metric("sluice_gateway_sessions_ended_total", "revoked"), 1.0);

    site.registry.enable("d-1", NOW).unwrap();
    let later = Timestamp(NOW.millis() + 2);
    site.until("it is announced", |site| announced(site).contains(&("d-1".into(), true, later))).await;
    site.connect("d-1").await;
    site.close().await;
}

#[tokio::test]
async fn a_rotated_password_cuts_the_old_sessions_alone() {
    let site = Site::open(&["d-1"]).await;
    let mut old = site.connect_as("d-1", "old", 0).await;
    let password = second_handle(&site).rotate("d-1").unwrap();
    let mut new = site.dial().await;
    new.send(&connect("new", 0, "d-1", password.as_str())).await;
    new.expect(&CONNACK).await;
    let cut = tokio::time::timeout(Duration::from_secs(2), old.expect_closed()).await;
    cut.expect("cut within two seconds");
    new.send(&PINGREQ).await;
    new.expect(&PINGRESP).await;
    let mut refused = site.dial().await;
    refused.send(&connect("old", 0, "d-1", PASSWORD)).await;
    refused.expect(&[0x20, 2, 0, 4]).await;
    site.close().await;
}

#[tokio::test]
async fn a_log_that_takes_nothing_does_not_protect_a_disabled_device() {
    let site = Site::open(&["d-1"]).await;
    let mut wire = site.connect("d-1").await;
    site.log.set(Mood::Fails);
    site.registry.add(new_device("d-2"), NOW).unwrap();
    site.until("announcing fails", |site| site.metric("sluice_gateway_waiting_appends", "") > 0.0).await;
    site.registry.disable("d-1", NOW).unwrap();
    let cut = tokio::time::timeout(Duration::from_secs(2), wire.expect_closed()).await;
    cut.expect("cut within two seconds");
    site.log.set(Mood::Takes);
    site.close().await;
}
