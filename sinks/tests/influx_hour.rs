//! InfluxDB is away for an hour: what that takes to fill in, and what it costs those who look at what is fresh.
#![cfg(feature = "influx")]
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod support;

use records::{MemoryLog, Record, Timestamp, Topic, TopicPartition};
use sinks::Kind;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::influx::{Lanes, StandIn, closed, window};
use support::{T0, append_to, count, eventually, eventually_within};
use tokio::time::sleep;

const PARTITIONS: u32 = 4;
const DEVICES: u32 = 1_000;
const QUANTITIES: [&str; 6] = ["pm2_5", "pm10", "so2", "no2", "o3", "co"];
/// Windows of ten minutes in an hour.
const WINDOWS: i64 = 6;
const WINDOW: i64 = 600_000;
/// Records a second that the gap is filled with.
const RATE: u32 = 6_000;
const BATCH_AGE: Duration = Duration::from_millis(100);
/// Between two fresh records.
const BEAT: Duration = Duration::from_millis(10);

/// When each line was taken.
type Taken = Arc<Mutex<Vec<(Instant, String)>>>;

/// All windows of the city that end in one of the hour's six spans.
async fn append_span(log: &MemoryLog, span: i64) {
    for partition in 0..PARTITIONS {
        let devices = (0..DEVICES).filter(|device| device % PARTITIONS == partition);
        let windows = devices.flat_map(|device| {
            QUANTITIES.map(|quantity| {
                let mut window = window(&format!("air-{device}"), quantity, T0 + span * WINDOW, 1.0);
                window.as_of = Timestamp(T0 + (span + 1) * WINDOW);
                closed(window)
            })
        });
        let records: Vec<Record> = windows.collect();
        append_to(log, TopicPartition { topic: Topic::Aggregates, partition }, &records).await;
    }
}

/// A fresh record every [`BEAT`] until told; when each was appended.
async fn beat(log: MemoryLog, from: i64, is_over: Arc<AtomicBool>) -> Vec<Instant> {
    let mut appended = Vec::new();
    while !is_over.load(Ordering::SeqCst) {
        let number = appended.len();
        let partition = number as u32 % PARTITIONS;
        let mut fresh = window("fresh", "pm2_5", from + number as i64, 1.0);
        fresh.as_of = Timestamp(from);
        appended.push(Instant::now());
        let place = TopicPartition { topic: Topic::Aggregates, partition };
        append_to(&log, place, &[closed(fresh)]).await;
        sleep(BEAT).await;
    }
    appended
}

fn time_of(line: &str) -> i64 {
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// How long each fresh record was on its way: the middle one and the slowest but one in a hundred.
fn delays(appended: &[Instant], taken: &[(Instant, String)], from: i64) -> (Duration, Duration) {
    let fresh = taken.iter().filter(|(_, line)| line.contains("device=fresh"));
    let mut delays: Vec<Duration> =
        fresh.map(|(at, line)| *at - appended[(time_of(line) - from) as usize]).collect();
    assert_eq!(delays.len(), appended.len(), "each once");
    delays.sort_unstable();
    (delays[delays.len() / 2], delays[delays.len() * 99 / 100])
}

/// Beats for a while, or until `is_done`, and tells how long the records were on their way.
async fn measured(
    lanes: &Lanes,
    taken: &Taken,
    from: i64,
    is_done: impl Fn() -> bool,
) -> (Duration, Duration) {
    let is_over = Arc::new(AtomicBool::new(false));
    let beating = tokio::spawn(beat(lanes.log.clone(), from, Arc::clone(&is_over)));
    eventually_within(Duration::from_secs(120), async || is_done().then_some(())).await;
    is_over.store(true, Ordering::SeqCst);
    let appended = beating.await.unwrap();
    let count = |taken: &Taken| {
        let taken = taken.lock().unwrap();
        let is_one = |line: &str| line.contains("device=fresh") && time_of(line) >= from;
        taken.iter().filter(|(_, line)| is_one(line)).count()
    };
    eventually(async || (count(taken) == appended.len()).then_some(())).await;
    let taken: Vec<_> =
        taken.lock().unwrap().iter().filter(|(_, line)| time_of(line) >= from).cloned().collect();
    delays(&appended, &taken, from)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_is_filled_in_order_and_slowly_while_fresh_records_go_out_at_once() {
    let (taken, is_away) = (Taken::default(), Arc::new(AtomicBool::new(false)));
    let (seen, away) = (Arc::clone(&taken), Arc::clone(&is_away));
    let server = StandIn::start(move |body| {
        if away.load(Ordering::SeqCst) {
            return (503, "away".to_owned());
        }
        let now = Instant::now();
        seen.lock().unwrap().extend(body.lines().map(|line| (now, line.to_owned())));
        (204, String::new())
    })
    .await;
    let mut lanes = Lanes::new(&server.url, MemoryLog::new(|_| PARTITIONS));
    (lanes.options.batch_age, lanes.options.backfill_rate) = (BATCH_AGE, RATE);
    lanes.start();
    let is_later = |moment: Instant| move || moment.elapsed() > Duration::from_secs(3);
    let before = measured(&lanes, &taken, T0, is_later(Instant::now())).await;

    is_away.store(true, Ordering::SeqCst);
    for span in 0..WINDOWS {
        append_span(&lanes.log, span).await;
        lanes.hands.forward(Duration::from_millis(WINDOW as u64));
        // The live lane stands still with what it has read. What it reads when it goes on is old by then, so nothing
        // newer of a series is written live while the gap has something older.
        eventually(async || lanes.notices.all().first().map(|notice| assert_eq!(notice.kind, Kind::Waiting)))
            .await;
    }
    lanes.hands.forward(Duration::from_millis(WINDOW as u64));
    is_away.store(false, Ordering::SeqCst);
    eventually_within(Duration::from_secs(60), async || lanes.notices.all().is_empty().then_some(())).await;
    let from = T0 + 10 * WINDOW;
    let all = (DEVICES as i64 * WINDOWS) as usize * QUANTITIES.len();
    let old =
        |taken: &Taken| taken.lock().unwrap().iter().filter(|(_, line)| line.contains("device=air-")).count();
    let is_filled = || old(&taken) >= all;
    let during = measured(&lanes, &taken, from, is_filled).await;
    eventually(async || (count(&lanes.registry, "sluice_sinks_influx_gap_records") == 0.0).then_some(()))
        .await;
    lanes.stop().await;

    let taken = taken.lock().unwrap();
    let filled: Vec<&(Instant, String)> =
        taken.iter().filter(|(_, line)| line.contains("device=air-")).collect();
    assert_eq!(filled.len(), all, "each once");
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    for (_, line) in &filled {
        let series = line.split(' ').next().unwrap();
        let before = last.insert(series, time_of(line)).unwrap_or(0);
        assert!(before < time_of(line), "out of order: {line}");
    }
    let (first, end) = (filled[0].0, filled[all - 1].0);
    let rate = all as f64 / (end - first).as_secs_f64();
    assert!(rate < 1.25 * f64::from(RATE), "{rate:.0} records a second");
    println!(
        "{all} windows in {:?}, {rate:.0}/s; fresh p50, p99: {before:?} before, {during:?} meanwhile",
        end - first
    );
    // Far below what a queue behind the gap would make of it.
    assert!(during.1 < before.1 + Duration::from_millis(1_500), "{during:?} instead of {before:?}");
}
