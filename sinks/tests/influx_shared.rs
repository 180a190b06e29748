//! Two processes share the partitions of both lanes into InfluxDB, and one of them dies.
#![cfg(feature = "influx")]
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod support;

use records::{Family, MemoryLog, Record, Timestamp, Topic, TopicPartition};
use sinks::{DeviceBook, DeviceSink};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use support::influx::{Lanes, StandIn, closed, window};
use support::{T0, append, append_to, count, device, eventually, log};

const HOUR: i64 = 3_600_000;
/// Records of each partition that are old when they are read.
const OLD: i64 = 300;
const FRESH: i64 = 40;
/// The most that one poll gives, and so about what is read and not committed.
const BATCH: usize = 25;

fn place(partition: u32) -> TopicPartition {
    TopicPartition { topic: Topic::Aggregates, partition }
}

/// A window of a partition's own device, told at `as_of`.
fn told(partition: u32, index: i64, revision: u32, as_of: i64) -> Record {
    let start = T0 + index * 600_000;
    let mut window = window(&format!("air-{partition}"), "pm2_5", start, index as f64);
    (window.revision, window.as_of) = (revision, Timestamp(as_of));
    closed(window)
}

/// Device and start of a line, and its revision.
fn parsed(line: &str) -> ((String, i64), u32) {
    let between =
        |from: &str, to: char| line.split(from).nth(1).unwrap().split(to).next().unwrap().to_owned();
    let start = line.rsplit(' ').next().unwrap().parse().unwrap();
    ((between("device=", ','), start), between("revision=", 'i').parse().unwrap())
}

/// What the server holds: of each window what was written last.
fn held(lines: &[String]) -> BTreeMap<(String, i64), u32> {
    lines.iter().map(|line| parsed(line)).collect()
}

fn sent_by(server: &StandIn, org: &str) -> Vec<String> {
    let requests = server.requests();
    let theirs = requests.iter().filter(|(path, ..)| path.contains(&format!("org={org}&")));
    theirs.flat_map(|(.., body)| body.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

async fn until(mut is_so: impl FnMut() -> bool) {
    eventually(async || is_so().then_some(())).await;
}

/// Old records in all partitions, fresh ones behind them, and of some old windows a revision among the fresh.
async fn an_hour_and_after() -> MemoryLog {
    let log = MemoryLog::new(|_| 4);
    log.limit_batches(BATCH);
    for partition in 0..4 {
        let old: Vec<_> = (0..OLD).map(|index| told(partition, index, 0, T0)).collect();
        append_to(&log, place(partition), &old).await;
        let fresh: Vec<_> = (OLD..OLD + FRESH).map(|index| told(partition, index, 0, T0 + HOUR)).collect();
        append_to(&log, place(partition), &fresh).await;
        let revised: Vec<_> =
            [10, OLD - 1].into_iter().map(|index| told(partition, index, 1, T0 + HOUR)).collect();
        append_to(&log, place(partition), &revised).await;
    }
    log
}

/// The gap of a partition is known to whoever fills it, and goes with the partition when its process dies.
#[tokio::test]
async fn gaps_go_with_their_partitions() {
    let server = StandIn::willing().await;
    let mut first = Lanes::new(&server.url, an_hour_and_after().await);
    first.hands.forward(Duration::from_millis(HOUR as u64));
    first.options.backfill_rate = 300;
    // The lanes of a partition run in different processes.
    let mut second = first.beside(&[2, 3], &[0, 1]);
    first.partitions = Some((vec![0, 1], vec![2, 3]));
    (first.options.org, second.options.org) = ("first".to_owned(), "second".to_owned());
    first.start();
    second.start();
    until(|| server.taken().len() > 500).await;
    first.kill().await;
    let mut heir = first.beside(&[0, 1], &[2, 3]);
    heir.options.org = "heir".to_owned();
    for partition in 0..4 {
        let later = [
            told(partition, 20, 1, T0 + HOUR),
            told(partition, 10, 2, T0 + HOUR),
            told(partition, OLD + FRESH, 0, T0 + HOUR),
        ];
        append_to(&heir.log, place(partition), &later).await;
    }
    heir.start();
    let all = 4 * (OLD + FRESH + 1) as usize;
    let last = |held: &BTreeMap<(String, i64), u32>| {
        let revision = |partition: u32, index| {
            held.get(&(format!("air-{partition}"), T0 + index * 600_000)).copied().unwrap_or(0)
        };
        (0..4).map(|partition| [10, 20, OLD - 1].map(|index| revision(partition, index))).collect::<Vec<_>>()
    };
    until(|| held(&server.taken()).len() == all && last(&held(&server.taken())) == [[2, 1, 1]; 4]).await;
    until(|| count(&second.registry, "sluice_sinks_influx_gap_records") == 0.0).await;
    until(|| count(&heir.registry, "sluice_sinks_influx_gap_records") == 0.0).await;
    second.stop().await;
    heir.stop().await;

    let taken = server.taken();
    assert_eq!(last(&held(&taken)), [[2, 1, 1]; 4], "the newest revision is written last");
    // All that was sent: every window, four revisions on each partition, and what the dead one had not committed.
    let exact = all + 4 * 4;
    assert!(
        taken.len() >= exact && taken.len() <= exact + 4 * 2 * BATCH,
        "{} instead of {exact}",
        taken.len()
    );
    let of = |org, partitions: &[u32], indices: std::ops::Range<i64>| {
        let lines =
            sent_by(&server, org).into_iter().map(|line| parsed(&line).0).filter(|(device, start)| {
                let index = (start - T0) / 600_000;
                partitions.iter().any(|partition| *device == format!("air-{partition}"))
                    && indices.contains(&index)
            });
        lines.count()
    };
    assert_eq!(of("second", &[0, 1], OLD..OLD + FRESH), 0, "the live lane of these is elsewhere");
    assert_eq!(of("second", &[2, 3], 0..10), 0, "and so is the backfill lane of those");
    assert_eq!(of("second", &[2, 3], OLD..OLD + FRESH), 2 * FRESH as usize, "once");
    assert!(of("first", &[2, 3], 0..OLD) > 0 && of("heir", &[2, 3], 0..OLD) > 0, "one goes on for the other");
}

/// A registry entry is told once: whoever has the partition later knows it from its own device book.
#[tokio::test]
async fn who_comes_later_knows_the_devices() {
    let server = StandIn::willing().await;
    let mut lanes = Lanes::new(&server.url, log());
    let folder = tempfile::tempdir().unwrap();
    let book = Arc::new(DeviceBook::open(&folder.path().join("devices.db")).unwrap());
    let mut sink = DeviceSink::new(Arc::clone(&book));
    append(&lanes.log, Topic::Aggregates, &[Record::Device(device("air-1", Family::Weather, 1))]).await;
    let mut consumer = lanes.log.consumer("devices", &[Topic::Aggregates]);
    let fetched = records::Consumer::poll(&mut consumer).await.unwrap().unwrap();
    sinks::Sink::write(&mut sink, &fetched).await.unwrap();
    // Another process has read the entry, and committed.
    let mut consumer = lanes.log.consumer("influx", &[Topic::Aggregates]);
    records::Consumer::commit(&mut consumer, &[(place(0), 1)]).await.unwrap();
    append(&lanes.log, Topic::Aggregates, &[closed(window("air-1", "pm2_5", T0, 1.0))]).await;
    lanes.devices = Some(book);
    lanes.start();
    until(|| !server.taken().is_empty()).await;
    assert!(server.taken()[0].starts_with("weather,area=Tianhe,device=air-1,"), "{:?}", server.taken());
    lanes.stop().await;
}
