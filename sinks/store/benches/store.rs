//! How fast rows come in, how small they lie, how fast they are found.
//!
//! `STORE_BENCH_SERIES` sets how many series the long table has (50,400 rows each, 35 days a minute apart).

use city::{City, DAY, QUANTITIES, START, fill, on_processor, size};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use records::{Name, Timestamp};
use std::time::{Duration, Instant};
use store::{Options, RawRow, Spans, Store};

mod city;

fn open() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().expect("a folder");
    let store = Store::open(dir.path(), Options::default()).expect("opens");
    (dir, store)
}

fn minute_of_the_city() -> Vec<RawRow> {
    let mut rows = Vec::new();
    let mut city = City::new(10_000, 10_000);
    while rows.len() < 1_000_000 {
        city.round(&mut rows);
    }
    rows.truncate(1_000_000);
    rows
}

fn writing(c: &mut Criterion) {
    let rows = minute_of_the_city();
    let mut group = c.benchmark_group("write");
    group.sample_size(10).throughput(Throughput::Elements(rows.len() as u64));
    group.bench_function("memory", |b| {
        b.iter_batched(
            open,
            |(dir, store)| {
                for batch in rows.chunks(6_000) {
                    let _ = store.write(batch, &[]);
                }
                (dir, store)
            },
            BatchSize::PerIteration,
        );
    });
    group.bench_function("seal", |b| {
        b.iter_batched(
            || {
                let (dir, store) = open();
                let _ = store.write(&rows, &[]);
                (dir, store)
            },
            |(dir, store)| {
                store.seal(&[]).expect("seals");
                (dir, store)
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// Not a criterion bench: one pass, with its sizes.
fn sustained(_: &mut Criterion) {
    let (dir, store) = open();
    let mut city = City::new(10_000, 10_000);
    let (mut rows, mut written) = (Vec::new(), 0);
    let (mut busy, mut cpu) = (Duration::ZERO, Duration::ZERO);
    while written < 20_000_000 {
        rows.clear();
        city.round(&mut rows);
        let (begun, cpu_begun) = (Instant::now(), on_processor());
        let _ = store.write(&rows, &[]);
        if store.is_seal_due(Timestamp(0)) {
            store.seal(&[]).expect("seals");
            store.compact().expect("merges");
        }
        written += rows.len();
        busy += begun.elapsed();
        cpu += on_processor() - cpu_begun;
    }
    let (begun, cpu_begun) = (Instant::now(), on_processor());
    store.seal(&[]).expect("seals");
    store.maintain(Timestamp(START + 99 * DAY)).expect("merges");
    busy += begun.elapsed();
    cpu += on_processor() - cpu_begun;
    let rate = written as f64 / busy.as_secs_f64();
    let cpu = cpu.as_nanos() / written as u128;
    println!(
        "sustained with seals, merges and roll-ups: {rate:.0} rows/s over {written} rows, {cpu} ns of CPU a row"
    );
    println!(
        "merged to the end: {:.2} B/row",
        size(&dir.path().join("observations")) as f64 / written as f64
    );
    for level in ["rollup_1m", "rollup_1h", "rollup_1d"] {
        println!("{level}: {:.2} B/row", size(&dir.path().join(level)) as f64 / written as f64);
    }
    println!("manifest: {:.2} B/row", size(&dir.path().join("manifest.db")) as f64 / written as f64);
    print_memory();
    drop(store);
    let begun = Instant::now();
    let store = Store::open(dir.path(), Options::default()).expect("opens");
    println!("opened with 60,000 series in {:?}", begun.elapsed());
    let begun = Instant::now();
    assert_eq!(store.latest_all().len(), 10_000);
    println!("latest of 10,000 devices in {:?}", begun.elapsed());
}

fn queries(c: &mut Criterion) {
    let series: usize = std::env::var("STORE_BENCH_SERIES").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
    let (dir, mut store) = open();
    let written = fill(&store, &mut City::new(series.div_ceil(6), 60_000));
    println!("35 days: {written} rows, {:.2} B/row", size(dir.path()) as f64 / written as f64);
    drop(store);
    let begun = Instant::now();
    store = Store::open(dir.path(), Options::default()).expect("opens");
    println!("opened in {:?}", begun.elapsed());
    print_memory();
    let (from, to) = (Timestamp(START), Timestamp(START + 35 * DAY));
    for pass in ["first", "second"] {
        let begun = on_processor();
        for device in 0..50 {
            let points = store.range(&format!("station-{device:05}"), "no2", from, to, 10_081);
            assert_eq!(points.expect("answers").t.len(), 10_080);
        }
        println!("one series, 35 days to 5 min, {pass} time: {:?} of CPU", (on_processor() - begun) / 50);
    }
    many_series(&store, series);
    let begun = on_processor();
    let points = store.range("station-00003", "o3", from, to, 900).expect("answers");
    println!("one series, 35 days to {} hours: {:?} of CPU", points.t.len(), on_processor() - begun);
    let mut group = c.benchmark_group("query");
    group.sample_size(20);
    let mut device = 0;
    group.bench_function("one series, 35 days to 5 min", |b| {
        b.iter(|| {
            device = (device + 1) % (series / 6).max(1);
            let points = store.range(&format!("station-{device:05}"), "pm2_5", from, to, 10_081);
            let points = points.expect("answers");
            assert_eq!((points.width, points.t.len()), (Some(Duration::from_secs(300)), 10_080));
        });
    });
    group.bench_function("one series, the last day, raw", |b| {
        b.iter(|| {
            device = (device + 1) % (series / 6).max(1);
            let from = Timestamp(START + 34 * DAY);
            let points =
                store.range(&format!("station-{device:05}"), "pm2_5", from, to, 2_000).expect("answers");
            assert_eq!(points.t.len(), 1_440);
        });
    });
    group.finish();
}

/// A thousand series over a day, by the hour and in values' own detail.
fn many_series(store: &Store, series: usize) {
    let of = |number: usize| {
        [(Name::from(format!("station-{:05}", number / 6)), Name::new_static(QUANTITIES[number % 6]))]
    };
    let series: Vec<_> = (0..series.min(1_000)).map(of).collect();
    let curves: Vec<_> = series.iter().map(|series| &series[..]).collect();
    let day = Timestamp(START + 20 * DAY);
    for (name, seconds) in [("hour", 3_600), ("5 minutes", 300)] {
        for pass in ["first", "second"] {
            let spans = Spans {
                from: day,
                to: day + Duration::from_secs(86_400),
                width: Duration::from_secs(seconds),
                offset: Duration::ZERO,
                quantiles: &[],
                most_values: 0,
            };
            let (begun, cpu_begun) = (Instant::now(), on_processor());
            let found = store.joined(&curves, spans).expect("answers");
            let (elapsed, cpu) = (begun.elapsed(), on_processor() - cpu_begun);
            assert!(found.iter().all(|rows| rows.len() as u64 == 86_400 / seconds));
            println!("1,000 series over 24 h by {name}, {pass} time: {elapsed:?}, {cpu:?} of CPU");
        }
    }
}

/// What the process has resident, as Linux says; nothing elsewhere.
fn print_memory() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for line in status.lines().filter(|line| line.starts_with("VmHWM") || line.starts_with("VmRSS")) {
        println!("{line}");
    }
}

criterion_group!(benches, writing, sustained, queries);
criterion_main!(benches);
