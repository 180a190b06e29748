//! The whole device job, one core: decode, duplicates, clock, quality, windows of one minute, encoded results.
//!
//! An event is one observation of six readings. Devices speak every ten seconds, each in order, so that on average
//! every event closes one series' window. Waiting and storing are not in it: that is the log's. What is measured has
//! settled: devices are known, and their minutes that wait for late readings are as many as there will be. Times are
//! CPU time.

mod fleet;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fleet::{Fleet, OTHER, WEATHER, cpu_time, job, steady};
use records::{ExactSum, Family, Record};
use std::hint::black_box;

fn device_job(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("device_job");
    group.sample_size(10);
    let cases = [
        ("10,000 devices, silent replay", 10_000, Family::Other, OTHER),
        ("100 devices", 100, Family::Other, OTHER),
        ("10,000 devices", 10_000, Family::Other, OTHER),
        ("100,000 devices", 100_000, Family::Other, OTHER),
        ("10,000 weather stations", 10_000, Family::Weather, WEATHER),
    ];
    for (name, devices, family, quantities) in cases {
        let fleet = Fleet::new(devices, family, quantities);
        steady(&mut group, name, job(""), fleet, name.ends_with("silent replay"));
    }
    group.finish();
}

/// A user-defined job beside the family's own windows: what it adds is the difference to the device job alone.
fn user_defined(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("user_defined");
    group.sample_size(10);
    let windows =
        ["", "tumbling = \"1m\"", "hopping = \"1m\", every = \"10s\"", "session = \"30s\"", "count = 6"];
    for window in windows {
        let fleet = Fleet::new(10_000, Family::Other, OTHER);
        let name = if window.is_empty() { "none" } else { window };
        steady(&mut group, name, job(&six_means(window)), fleet, false);
    }
    group.finish();
}

/// A job of that window that tells six statistics.
fn six_means(window: &str) -> String {
    if window.is_empty() {
        return String::new();
    }
    let select = OTHER.map(|name| format!("{name}_of_job = \"mean({name})\"")).join(", ");
    format!(
        "[[job]]\nid = \"b\"\nwhere = \"family == 'other'\"\nwindow = {{ {window} }}\nselect = {{ {select} }}"
    )
}

/// What of it is reading alone.
fn decode(criterion: &mut Criterion) {
    let telemetry = Fleet::new(10_000, Family::Other, OTHER).rounds(30);
    let mut group = criterion.benchmark_group("decode");
    group.sample_size(10).throughput(Throughput::Elements(300_000));
    group.bench_function("10,000 devices", |bencher| {
        bencher.iter_custom(|times| {
            let begun = cpu_time();
            for _ in 0..times {
                telemetry.iter().for_each(|(_, value)| drop(black_box(Record::decode(value))));
            }
            cpu_time() - begun
        });
    });
    group.finish();
}

fn sum(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sum");
    let values: Vec<f64> = (0..1000).map(|n| f64::from(n * 37 % 4001) / 10.0).collect();
    group.throughput(Throughput::Elements(values.len() as u64));
    group.bench_function("exact", |bencher| {
        bencher.iter(|| {
            let mut sum = ExactSum::default();
            values.iter().for_each(|value| sum.add(*value));
            sum.round()
        });
    });
    group.bench_function("plain", |bencher| {
        bencher.iter(|| values.iter().fold(0.0, |sum, value| black_box(sum + value)));
    });
    group.finish();
}

criterion_group!(benches, device_job, user_defined, decode, sum);
criterion_main!(benches);
