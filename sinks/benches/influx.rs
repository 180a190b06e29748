//! What a point costs as line protocol, by our encoder and by the client's own: `cargo bench -p sinks --bench influx`.
//!
//! Measured in CPU time of the thread, so that what else the machine does matters little.

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use influxdb2::models::{DataPoint, WriteDataPoint};
use records::{Aggregate, Body, Observation, Quality, Quantity, Reading, Subject, Timestamp, Window};
use sinks::influx::{Encoder, InfluxOptions, Ledger, Lines};

const T0: i64 = 1_795_334_400_000;
/// Devices of the city; six quantities each.
const DEVICES: usize = 2_000;
const NAMES: [&str; 6] = ["pm2_5", "pm10", "so2", "no2", "temperature", "humidity"];

fn value(device: usize, quantity: usize) -> f64 {
    ((device * 7 + quantity * 131) % 2_000) as f64 / 10.0
}

fn observations() -> Vec<Observation> {
    let reading = |device: usize| {
        move |(index, name): (usize, &&str)| Reading {
            quantity: Quantity::from_name(name),
            value: value(device, index),
            quality: Quality::GOOD,
        }
    };
    let observation = |device: usize| Observation {
        device: format!("air-{device:05}").into(),
        epoch: 0,
        sequence: Some(1),
        device_time: Some(Timestamp(T0)),
        event_time: Timestamp(T0 + device as i64),
        ingest_time: Timestamp(T0),
        position: None,
        is_late: false,
        stated: None,
        body: Body::Readings(NAMES.iter().enumerate().map(reading(device)).collect()),
    };
    (0..DEVICES).map(observation).collect()
}

fn windows() -> Vec<Aggregate> {
    let window = |device: usize, index: usize| Aggregate {
        subject: Subject::Device(format!("air-{device:05}").into()),
        area: "Tianhe".into(),
        quantity: Quantity::from_name(NAMES[index]),
        window: Window { start: Timestamp(T0), end: Timestamp(T0 + 600_000) },
        revision: 0,
        count: 60,
        good: 60,
        sum: value(device, index) * 60.0,
        mean: value(device, index),
        min: value(device, index) - 1.5,
        max: value(device, index) + 1.5,
        as_of: Timestamp(T0 + 600_000),
        is_backfill: false,
    };
    (0..DEVICES).flat_map(|device| (0..6).map(move |index| window(device, index))).collect()
}

fn ours(criterion: &mut Criterion<CpuTime>) {
    let folder = tempfile::tempdir().expect("a folder for the bench");
    let ledger = Ledger::open(&folder.path().join("influx.db")).expect("a fresh ledger opens");
    let (observations, windows) = (observations(), windows());
    let mut pages = ledger.pages();
    let mut group = criterion.benchmark_group("line protocol");
    group.throughput(Throughput::Elements(windows.len() as u64));
    let mut encoder = Encoder::new(&InfluxOptions::default());
    let mut lines = Lines::default();
    group.bench_function(BenchmarkId::new("sluice", "windows"), |bencher| {
        bencher.iter(|| {
            lines.clear();
            windows.iter().for_each(|window| {
                encoder.window(window, &mut pages, &mut lines);
            });
            lines.bytes.len()
        });
    });
    let mut lines = Lines::default();
    group.bench_function(BenchmarkId::new("sluice", "values"), |bencher| {
        bencher.iter(|| {
            lines.clear();
            observations.iter().for_each(|observation| {
                encoder.values(observation, &mut pages, &mut lines);
            });
            lines.bytes.len()
        });
    });
}

fn theirs(criterion: &mut Criterion<CpuTime>) {
    let (observations, windows) = (observations(), windows());
    let mut group = criterion.benchmark_group("line protocol");
    group.throughput(Throughput::Elements(windows.len() as u64));
    let mut out = Vec::new();
    group.bench_function(BenchmarkId::new("influxdb2", "windows"), |bencher| {
        bencher.iter(|| {
            out.clear();
            for window in &windows {
                let point = DataPoint::builder("air")
                    .tag("area", window.area.as_str())
                    .tag("device", window.subject.name().as_str())
                    .tag("quantity", window.quantity.name())
                    .tag("window", "10m")
                    .field("mean", window.mean)
                    .field("min", window.min)
                    .field("max", window.max)
                    .field("sum", window.sum)
                    .field("count", i64::from(window.count))
                    .field("good", i64::from(window.good))
                    .field("revision", i64::from(window.revision))
                    .timestamp(window.window.start.millis());
                let point = point.build().expect("it has a field");
                point.write_data_point_to(&mut out).expect("memory takes it");
            }
            out.len()
        });
    });
    group.bench_function(BenchmarkId::new("influxdb2", "values"), |bencher| {
        bencher.iter(|| {
            out.clear();
            for observation in &observations {
                let Body::Readings(readings) = &observation.body else { continue };
                for reading in readings {
                    let point = DataPoint::builder("air")
                        .tag("device", observation.device.as_str())
                        .tag("quantity", reading.quantity.name())
                        .field("value", reading.value)
                        .field("flag", i64::from(reading.quality.flag as u8))
                        .field("tests", i64::from(reading.quality.tests))
                        .timestamp(observation.event_time.millis());
                    let point = point.build().expect("it has a field");
                    point.write_data_point_to(&mut out).expect("memory takes it");
                }
            }
            out.len()
        });
    });
}

/// Time that the thread was on a processor, as Linux counts it.
struct CpuTime;

impl CpuTime {
    fn nanos() -> u64 {
        // A thread that gives way has its account brought up to date.
        std::thread::yield_now();
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has it");
        let first = text.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
        first.expect("its first number is nanoseconds")
    }
}

impl Measurement for CpuTime {
    type Intermediate = u64;
    type Value = u64;

    fn start(&self) -> u64 {
        CpuTime::nanos()
    }

    fn end(&self, start: u64) -> u64 {
        CpuTime::nanos() - start
    }

    fn add(&self, a: &u64, b: &u64) -> u64 {
        a + b
    }

    fn zero(&self) -> u64 {
        0
    }

    fn to_f64(&self, value: &u64) -> f64 {
        *value as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = ours, theirs
}
criterion_main!(benches);
