//! The lanes into InfluxDB against a stand-in that answers as it is told.
#![cfg(feature = "influx")]
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod support;

use records::{Family, Flag, MemoryLog, Quality, Record, Subject, Timestamp, Topic, TopicPartition};
use sinks::Kind;
use sinks::influx::Tags;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use support::influx::{Lanes, StandIn, closed, window};
use support::{T0, append, count, device, eventually, log, observation};
use tokio::time::timeout;

/// Long enough for a log in memory.
const PAUSE: Duration = Duration::from_millis(50);

const WINDOWS: Topic = Topic::Aggregates;

/// The records that the live lane has not committed.
async fn unread(log: &MemoryLog) -> usize {
    let mut consumer = log.consumer("influx", &[WINDOWS]);
    let mut left = 0;
    while let Ok(Ok(Some(fetched))) = timeout(PAUSE, records::Consumer::poll(&mut consumer)).await {
        left += fetched.batch.len();
    }
    left
}

/// `count` windows of one device, ten minutes apart, all of them fresh.
fn windows(count: i64) -> Vec<Record> {
    let fresh = |index: i64| {
        let mut window = window("air-1", "pm2_5", T0 + index * 600_000, index as f64);
        window.as_of = Timestamp(T0);
        closed(window)
    };
    (0..count).map(fresh).collect()
}

async fn until(mut is_so: impl FnMut() -> bool) {
    eventually(async || is_so().then_some(())).await;
}

#[tokio::test]
async fn writes_windows_and_values_as_lines() {
    let server = StandIn::willing().await;
    let mut lanes = Lanes::new(&server.url, log());
    lanes.options.raw = true;
    append(&lanes.log, WINDOWS, &[Record::Device(device("air-1", Family::Weather, 1))]).await;
    let mut area = window("", "iaqi_pm2_5", T0, 151.0);
    area.subject = Subject::Area("Tianhe, north".into());
    let mut empty = window("air-1", "o3", T0, 0.0);
    (empty.good, empty.min, empty.max) = (0, 0.0, 0.0);
    append(&lanes.log, WINDOWS, &[closed(window("air-1", "pm2_5", T0, 20.5)), closed(area), closed(empty)])
        .await;
    let mut missing = observation("unknown", T0 + 5, "ph", 0.0);
    if let records::Body::Readings(readings) = &mut missing.body {
        readings[0].quality = Quality { flag: Flag::Missing, tests: 1 };
    }
    append(
        &lanes.log,
        Topic::Observations,
        &[Record::Observation(observation("unknown", T0, "ph", 7.25)), Record::Observation(missing)],
    )
    .await;
    lanes.start();
    until(|| server.taken().len() == 5).await;
    let mut taken = server.taken();
    taken.sort();
    assert_eq!(
        taken,
        [
            "area,area=Tianhe\\,\\ north,quantity=iaqi_pm2_5,window=10m mean=151.0,min=150.0,max=152.0,sum=1359.0,count=10i,good=9i,revision=0i 1795334400000",
            "water,device=unknown,quantity=ph flag=9i,tests=1i 1795334400005",
            "water,device=unknown,quantity=ph value=7.25,flag=1i,tests=0i 1795334400000",
            "weather,area=Tianhe,device=air-1,quantity=o3,window=10m count=10i,good=0i,revision=0i 1795334400000",
            "weather,area=Tianhe,device=air-1,quantity=pm2_5,window=10m mean=20.5,min=19.5,max=21.5,sum=184.5,count=10i,good=9i,revision=0i 1795334400000",
        ]
    );
    let (path, authorization, _) = server.requests()[0].clone();
    assert_eq!(path, "/api/v2/write?bucket=telemetry&org=sluice&precision=ms");
    assert_eq!(authorization, "Token secret");
    lanes.stop().await;
    assert_eq!(unread(&lanes.log).await, 0);
}

#[tokio::test]
async fn quantities_can_be_fields() {
    let server = StandIn::willing().await;
    let mut lanes = Lanes::new(&server.url, log());
    lanes.options.tags = Tags { area: false, quantity: false };
    append(&lanes.log, WINDOWS, &[closed(window("a", "pm2_5", T0, 1.0))]).await;
    lanes.start();
    until(|| !server.taken().is_empty()).await;
    let expected = "air,device=a,window=10m pm2_5_mean=1.0,pm2_5_min=0.0,pm2_5_max=2.0,pm2_5_sum=9.0,\
                    pm2_5_count=10i,pm2_5_good=9i,pm2_5_revision=0i 1795334400000";
    assert_eq!(server.taken(), [expected]);
    lanes.stop().await;
}

#[tokio::test]
async fn a_path_in_front_is_kept() {
    let server = StandIn::willing().await;
    let mut lanes = Lanes::new(&format!("{}/tsdb/influx/", server.url), log());
    append(&lanes.log, WINDOWS, &windows(1)).await;
    lanes.start();
    until(|| !server.taken().is_empty()).await;
    let (path, authorization, _) = server.requests()[0].clone();
    assert_eq!(path, "/tsdb/influx/api/v2/write?bucket=telemetry&org=sluice&precision=ms");
    assert_eq!(authorization, "Token secret");
    lanes.stop().await;
}

#[tokio::test]
async fn batches_keep_to_lines_and_bytes() {
    let server = StandIn::willing().await;
    let mut lanes = Lanes::new(&server.url, log());
    (lanes.options.batch_lines, lanes.options.batch_bytes) = (7, 700);
    append(&lanes.log, WINDOWS, &windows(40)).await;
    lanes.start();
    until(|| server.taken().len() == 40).await;
    for (_, _, body) in server.requests() {
        assert!(body.len() <= 700 && body.lines().count() <= 7, "{body}");
    }
    lanes.stop().await;
}

#[tokio::test]
async fn what_time_heals_is_tried_again() {
    let tries = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&tries);
    let server = StandIn::start(move |_| match seen.fetch_add(1, Ordering::SeqCst) {
        0 => (429, "slow down".to_owned()),
        1 => (503, String::new()),
        2 => (500, "once".to_owned()),
        _ => (204, String::new()),
    })
    .await;
    let mut lanes = Lanes::new(&server.url, log());
    append(&lanes.log, WINDOWS, &windows(3)).await;
    lanes.start();
    until(|| server.taken().len() == 3).await;
    assert_eq!(count(&lanes.registry, "sluice_sinks_retries_total"), 3.0);
    lanes.stop().await;
    assert!(lanes.notices.all().is_empty());
}

#[tokio::test]
async fn a_server_that_hangs_is_asked_again() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut lanes = Lanes::new(&format!("http://{}", listener.local_addr().unwrap()), log());
    lanes.options.timeout = Duration::from_millis(100);
    append(&lanes.log, WINDOWS, &windows(1)).await;
    lanes.start();
    until(|| count(&lanes.registry, "sluice_sinks_retries_total") >= 2.0).await;
    let notices = lanes.notices.all();
    assert_eq!(notices[0].kind, Kind::Waiting);
    lanes.stop().await;
    assert_eq!(unread(&lanes.log).await, 1);
}

/// Whatever the server refuses is found by halving, and left out with its words.
#[tokio::test]
async fn a_bad_line_is_left_out_alone() {
    for status in [400, 422, 413] {
        let server = StandIn::start(move |body| {
            if body.lines().any(|line| line.contains("mean=13.0") || line.contains("mean=14.0")) {
                (status, "unlucky".to_owned())
            } else {
                (204, String::new())
            }
        })
        .await;
        let mut lanes = Lanes::new(&server.url, log());
        append(&lanes.log, WINDOWS, &windows(50)).await;
        lanes.start();
        until(|| count(&lanes.registry, "sluice_sinks_rejected_records_total") == 2.0).await;
        until(|| server.taken().len() == 48).await;
        lanes.stop().await;
        let refused = lanes.ledger.refused(10).unwrap();
        assert_eq!(refused.iter().map(|line| line.offset).collect::<Vec<_>>(), [14, 13]);
        assert!(
            refused[0].line.contains("mean=14.0") && refused[0].reason.contains("unlucky"),
            "{refused:?}"
        );
        assert_eq!(unread(&lanes.log).await, 0, "the rest is stored and committed");
    }
}

/// A 500 for ever does not loop for ever: it is the line, if the server takes others.
#[tokio::test]
async fn a_line_that_breaks_the_server_is_left_out() {
    let server = StandIn::start(|body| {
        if body.contains("mean=7.0") { (500, "panic".to_owned()) } else { (204, String::new()) }
    })
    .await;
    let mut lanes = Lanes::new(&server.url, log());
    append(&lanes.log, WINDOWS, &windows(20)).await;
    lanes.start();
    until(|| server.taken().len() >= 19).await;
    until(|| count(&lanes.registry, "sluice_sinks_rejected_records_total") == 1.0).await;
    // And so it is when nothing else is there to be taken.
    append(&lanes.log, WINDOWS, &windows(8)[7..]).await;
    until(|| count(&lanes.registry, "sluice_sinks_rejected_records_total") == 2.0).await;
    lanes.stop().await;
    assert_eq!(lanes.ledger.refused(10).unwrap().len(), 2);
    assert_eq!(unread(&lanes.log).await, 0);
}

/// When nothing is taken, it is the server: nothing is left out, and few requests are made.
#[tokio::test]
async fn a_server_that_breaks_on_everything_costs_nothing() {
    let works = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&works);
    let server = StandIn::start(move |_| match seen.load(Ordering::SeqCst) {
        true => (204, String::new()),
        false => (500, "disk".to_owned()),
    })
    .await;
    let mut lanes = Lanes::new(&server.url, log());
    append(&lanes.log, WINDOWS, &windows(300)).await;
    lanes.start();
    until(|| server.requests().len() > 32).await;
    assert_eq!(lanes.notices.all()[0].kind, Kind::Waiting);
    works.store(true, Ordering::SeqCst);
    until(|| server.taken().len() == 300).await;
    lanes.stop().await;
    assert!(lanes.ledger.refused(1).unwrap().is_empty());
    assert!(server.requests().len() < 120, "{}", server.requests().len());
}

/// Token, rights, bucket, a redirect: it stops, says so, and keeps its place.
#[tokio::test]
async fn what_a_person_has_to_put_right_is_said() {
    for status in [401, 403, 404, 301] {
        let server = StandIn::start(move |_| (status, "who are you".to_owned())).await;
        let mut lanes = Lanes::new(&server.url, log());
        append(&lanes.log, WINDOWS, &windows(5)).await;
        lanes.start();
        until(|| count(&lanes.registry, "sluice_sinks_barred") == 1.0).await;
        let notice = lanes.notices.all()[0].clone();
        assert_eq!((notice.source, notice.kind), ("influx", Kind::Barred));
        assert!(notice.text.contains("who are you"), "{}", notice.text);
        until(|| server.requests().len() == 3).await;
        server.reply_with(|_| (204, String::new()));
        until(|| server.taken().len() == 5).await;
        until(|| lanes.notices.all().is_empty()).await;
        assert_eq!(count(&lanes.registry, "sluice_sinks_barred"), 0.0);
        lanes.stop().await;
        assert_eq!(unread(&lanes.log).await, 0);
    }
}

#[tokio::test]
async fn stopping_while_barred_keeps_the_place() {
    let server = StandIn::start(|_| (401, String::new())).await;
    let mut lanes = Lanes::new(&server.url, log());
    append(&lanes.log, WINDOWS, &windows(5)).await;
    lanes.start();
    until(|| !lanes.notices.all().is_empty()).await;
    lanes.stop().await;
    assert_eq!(unread(&lanes.log).await, 5);
}

#[tokio::test]
async fn series_beyond_the_budget_are_named_and_left_out() {
    let server = StandIn::willing().await;
    let mut lanes = Lanes::new(&server.url, log());
    lanes.options.max_series = 3;
    let fresh = |device: &str, quantity: &str| closed(window(device, quantity, T0, 1.0));
    let records: Vec<Record> = (0..10)
        .map(|index| fresh("noisy", &format!("made_up_{index}")))
        .chain([fresh("a", "pm2_5")])
        .collect();
    append(&lanes.log, WINDOWS, &records).await;
    append(&lanes.log, WINDOWS, &records).await;
    lanes.start();
    until(|| count(&lanes.registry, "sluice_sinks_over_budget_points_total") == 16.0).await;
    lanes.stop().await;
    assert_eq!(server.taken().len(), 6);
    let refused = lanes.ledger.refused(100).unwrap();
    assert_eq!(refused.len(), 8, "each series once");
    assert_eq!(refused[0].line, "air,area=Tianhe,device=a,quantity=pm2_5,window=10m");
    assert_eq!(refused[0].reason, "would be one more than the 3 series that are allowed");
    // The series are known after a restart.
    append(&lanes.log, WINDOWS, &[fresh("noisy", "made_up_1"), fresh("b", "o3")]).await;
    lanes.start();
    until(|| count(&lanes.registry, "sluice_sinks_over_budget_points_total") == 1.0).await;
    until(|| server.taken().len() == 7).await;
    lanes.stop().await;
}

/// An hour's cut: what is fresh goes out at once, the gap in order and slowly, across a crash, and a revision comes
/// after what it revises.
#[tokio::test]
async fn a_gap_is_filled_in_order_while_fresh_records_go_out() {
    let server = StandIn::willing().await;
    let mut lanes = Lanes::new(&server.url, MemoryLog::new(|_| 2));
    lanes.options.backfill_rate = 400;
    let at = |index: i64| T0 + index * 600_000;
    let mut old: Vec<Record> = windows(400);
    append(&lanes.log, WINDOWS, &old.split_off(200)).await;
    let rest = old;
    let partition = TopicPartition { topic: WINDOWS, partition: 1 };
    support::append_to(&lanes.log, partition, &rest).await;
    lanes.hands.forward(Duration::from_secs(3600));
    let told = |index, mean, revision| {
        let mut window = window("air-1", "pm2_5", at(index), mean);
        (window.revision, window.as_of) = (revision, Timestamp(T0 + 3_600_000));
        closed(window)
    };
    append(&lanes.log, WINDOWS, &[told(400, 1000.0, 0), told(399, 2000.0, 1)]).await;
    lanes.start();
    until(|| !server.taken().is_empty()).await;
    assert!(server.taken()[0].contains("mean=1000.0"), "the fresh one is the first");
    until(|| server.taken().len() > 1).await;
    lanes.kill().await;
    lanes.start();
    until(|| {
        let mut taken = server.taken();
        taken.sort();
        taken.dedup();
        taken.len() == 402
    })
    .await;
    until(|| count(&lanes.registry, "sluice_sinks_influx_gap_records") == 0.0).await;
    lanes.stop().await;
    let taken = server.taken();
    let last_of = |mean| taken.iter().rposition(|line| line.contains(mean)).unwrap();
    assert!(last_of("mean=2000.0") > last_of("mean=399.0"), "the revision is there");
    let means: Vec<i64> = taken
        .iter()
        .filter_map(|line| {
            let mean = line.split("mean=").nth(1)?.split('.').next()?.parse().ok()?;
            (200..399).contains(&mean).then_some(mean)
        })
        .collect();
    let restarts = means.windows(2).filter(|pair| pair[0] >= pair[1]).count();
    assert!(restarts <= 1, "in order, but for what the crash made it send again: {means:?}");
}
