//! A full disk below the store: sealing stops, positions stay, memory stays bounded, and all goes on when space
//! returns.
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod support;

#[path = "../../deploy/tests/support/disk.rs"]
mod disk;

use records::{Consumer, MemoryLog, Record, Timestamp, Topic};
use sinks::{Ambient, Kind, Notices, SeriesSink, run};
use std::time::Duration;
use store::{Options, Store};
use support::{Hands, T0, ambient, append, count, eventually_within, log, metrics, observation};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

const VALUES: u64 = 240_000;
const BATCH: u64 = 1_000;
const PATIENCE: Duration = Duration::from_secs(120);
/// Of rows in memory: some 36,000 values.
const MEMORY: usize = 2 << 20;

/// Up to where the sink has committed.
async fn committed(log: &MemoryLog) -> u64 {
    let mut onlooker = log.consumer("onlooker", &[Topic::Observations]);
    onlooker.standings("series").await.unwrap().iter().map(|standing| standing.next).sum()
}

/// Values that compress badly.
async fn fill(log: &MemoryLog) {
    let mut state = 1_u64;
    for batch in 0..VALUES / BATCH {
        let records: Vec<Record> = (batch * BATCH..(batch + 1) * BATCH)
            .map(|number| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let value = (state >> 11) as f64;
                Record::Observation(observation("air-1", T0 + number as i64, "pm2_5", value))
            })
            .collect();
        append(log, Topic::Observations, &records).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs root for a small disk"]
async fn sealing_stops_on_a_full_disk_and_goes_on_when_space_returns() {
    let folder = tempfile::tempdir().unwrap();
    let disk = disk::Disk::mount(folder.path().join("disk"));
    let others = disk.fill(62);
    let log = log();
    log.limit_batches(BATCH as usize);
    fill(&log).await;
    let options = Options { seal_rows: 20_000, memory_bytes: MEMORY, ..Options::default() };
    let store = Store::open(&disk.path().join("series"), options).unwrap();
    let (notices, stop, hands) = (Notices::default(), CancellationToken::new(), Hands::new());
    let (metrics, registry) = metrics();
    let sink = SeriesSink::new(store.clone(), hands.clock(), Duration::from_secs(60), metrics.clone());
    let around = Ambient { notices: notices.clone(), ..ambient(&metrics, &hands) };
    let consumer = log.consumer("series", SeriesSink::TOPICS);
    let running = tokio::spawn(run(consumer, sink, around, stop.clone()));

    eventually_within(PATIENCE, async || {
        notices.all().first().map(|notice| assert_eq!(notice.kind, Kind::Waiting))
    })
    .await;
    let read = count(&registry, "sluice_sinks_records_total");
    let (stored, sealed) = (committed(&log).await, store.offsets());
    assert!(read < VALUES as f64, "the disk was meant to be too small");
    assert!(stored > 0 && stored <= read as u64, "{stored} of {read}");
    let most = MEMORY / 56 + 2 * BATCH as usize;
    assert!(store.rows_in_memory() <= most, "{} rows in memory", store.rows_in_memory());
    sleep(Duration::from_secs(2)).await;
    assert_eq!(count(&registry, "sluice_sinks_records_total"), read, "nothing is read meanwhile");
    assert_eq!((committed(&log).await, store.offsets()), (stored, sealed), "positions stay");
    let retries = count(&registry, "sluice_sinks_retries_total");
    assert!(retries > 1.0, "it is tried again: {retries}");

    std::fs::remove_file(others).unwrap();
    eventually_within(PATIENCE, async || {
        (count(&registry, "sluice_sinks_records_total") == VALUES as f64 && notices.all().is_empty())
            .then_some(())
    })
    .await;
    stop.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(committed(&log).await, VALUES);
    let (day, none) = (Duration::from_secs(86_400), Duration::ZERO);
    let buckets = store.buckets("air-1", "pm2_5", Timestamp::MIN, Timestamp::MAX, day, none).unwrap();
    assert_eq!(buckets.iter().map(|bucket| bucket.count).sum::<u64>(), VALUES, "each once");
}
