//! The whole device job, one core: decode, duplicates, clock, quality, windows of one minute, encoded results.
//!
//! An event is one observation of six readings. 10,000 devices speak every ten seconds, in order, so that on average
//! every event closes one series' window. Waiting and storing are not in it: that is the log's. Times are CPU time.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use records::ExactSum;
use records::{
    Batch, Body, Device, Family, Name, Observation, Quality, Quantity, Reading, Record, Timestamp,
};
use std::hint::black_box;
use std::time::Duration;
use stream::rule::Ruleset;
use stream::{DeviceConfig, DeviceJob, Job, Outputs, Partitions};

const START: i64 = 1_777_852_800_000;
const PARTITIONS: Partitions =
    Partitions { telemetry: 1, observations: 4, aggregates: 4, alerts: 4, ledger: 4 };
const COMMIT_RECORDS: usize = 20_000;

fn job() -> DeviceJob {
    job_with("")
}

/// With a user-defined job of that window that tells six statistics.
fn job_with(window: &str) -> DeviceJob {
    let mut rules = include_str!("../rules/default.toml").to_owned();
    if !window.is_empty() {
        let select: Vec<String> =
            OTHER.iter().map(|name| format!("{name}_of_job = \"mean({name})\"")).collect();
        let select = select.join(", ");
        rules += &format!(
            "[[job]]\nid = \"b\"\nwhere = \"family == 'other'\"\nwindow = {{ {window} }}\nselect = {{ {select} }}\n"
        );
    }
    let rules = Ruleset::parse(&rules).expect("the job is valid");
    DeviceJob::new(DeviceConfig::default(), rules, PARTITIONS)
}

/// Registry entries, then `rounds` messages of each device, as they stand on the log.
fn telemetry(devices: usize, rounds: usize, family: Family, quantities: [&str; 6]) -> Batch {
    let mut batch = Batch::new();
    let name = |device: usize| Name::from(format!("dev-{device:06}"));
    for device in 0..devices {
        let entry = Device {
            id: name(device),
            family,
            label: Name::default(),
            area: format!("area-{}", device % 100).into(),
            rank: 0,
            position: None,
            is_enabled: true,
            updated_at: Timestamp(START - 1),
            limits: Vec::new(),
        };
        batch.push_with(entry.id.as_bytes(), |to| Record::Device(entry.clone()).encode(to));
    }
    for round in 0..rounds {
        for device in 0..devices {
            let message = message(name(device), device, round, quantities);
            batch.push_with(message.device.as_bytes(), |to| message.encode(to));
        }
    }
    batch
}

fn message(id: Name, device: usize, round: usize, quantities: [&str; 6]) -> Observation {
    let at = Timestamp(START + round as i64 * 10_000 + device as i64 % 10_000);
    let reading = |(index, name): (usize, &str)| Reading {
        quantity: Quantity::from_name(name),
        value: ((device * 7 + round * 13 + index * 31) % 400) as f64 / 10.0,
        quality: Quality::default(),
    };
    Observation {
        device: id,
        epoch: 1,
        sequence: Some(round as u64),
        device_time: Some(at),
        event_time: at,
        ingest_time: Timestamp(at.0 + 40),
        position: None,
        stated: None,
        is_late: false,
        body: Body::Readings(quantities.into_iter().enumerate().map(reading).collect()),
    }
}

/// CPU time of this thread, so that a busy machine does not show. Linux.
fn cpu_time() -> Duration {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux says so");
    let nanos = statistics.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.expect("the first number is the time on a CPU"))
}

/// Runs everything; returns bytes written, so that nothing is left out.
fn run(job: &mut DeviceJob, out: &mut Outputs, telemetry: &Batch) -> usize {
    let mut written = 0;
    for (index, (key, value)) in telemetry.iter().enumerate() {
        let record = Record::decode(value).expect("it was just encoded");
        job.run(0, key, record, out);
        if index % COMMIT_RECORDS == COMMIT_RECORDS - 1 {
            written += out.take().iter().map(|(_, batch)| batch.as_bytes().len()).sum::<usize>();
            black_box(out.take_counts());
        }
    }
    written
}

const OTHER: [&str; 6] = ["temperature", "humidity", "pressure", "wind_speed", "visibility", "battery"];
const WEATHER: [&str; 6] = ["temperature", "humidity", "wind_speed", "gust", "rainfall", "visibility"];

fn device_job(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("device_job");
    group.sample_size(10);
    let cases = [
        ("10,000 devices, silent replay", 10_000, 30, Family::Other, OTHER),
        ("100 devices", 100, 3000, Family::Other, OTHER),
        ("10,000 devices", 10_000, 30, Family::Other, OTHER),
        ("100,000 devices", 100_000, 6, Family::Other, OTHER),
        ("10,000 weather stations", 10_000, 30, Family::Weather, WEATHER),
    ];
    for (name, devices, rounds, family, quantities) in cases {
        let telemetry = telemetry(devices, rounds, family, quantities);
        group.throughput(Throughput::Elements((devices * rounds) as u64));
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|times| {
                let mut spent = Duration::ZERO;
                for _ in 0..times {
                    let (mut job, mut out) = (job(), Outputs::new(PARTITIONS));
                    out.set_silent(name.ends_with("silent replay"));
                    let begun = cpu_time();
                    black_box(run(&mut job, &mut out, &telemetry));
                    spent += cpu_time() - begun;
                }
                spent
            });
        });
    }
    group.finish();
}

/// A user-defined job beside the family's own windows: what it adds is the difference to the device job alone.
fn user_defined(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("user_defined");
    let telemetry = telemetry(10_000, 30, Family::Other, OTHER);
    group.sample_size(10).throughput(Throughput::Elements(300_000));
    for window in
        ["", "tumbling = \"1m\"", "hopping = \"1m\", every = \"10s\"", "session = \"30s\"", "count = 6"]
    {
        group.bench_function(if window.is_empty() { "none" } else { window }, |bencher| {
            bencher.iter_custom(|times| {
                let mut spent = Duration::ZERO;
                for _ in 0..times {
                    let (mut job, mut out) = (job_with(window), Outputs::new(PARTITIONS));
                    let begun = cpu_time();
                    black_box(run(&mut job, &mut out, &telemetry));
                    spent += cpu_time() - begun;
                }
                spent
            });
        });
    }
    group.finish();
}

/// What of it is reading alone.
fn decode(criterion: &mut Criterion) {
    let telemetry = telemetry(10_000, 30, Family::Other, OTHER);
    let mut group = criterion.benchmark_group("decode");
    group.sample_size(10).throughput(Throughput::Elements(310_000));
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

fn snapshot(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("snapshot");
    group.sample_size(10);
    let (mut job, mut out) = (job(), Outputs::new(PARTITIONS));
    run(&mut job, &mut out, &telemetry(10_000, 30, Family::Other, OTHER));
    let bytes = job.snapshot(0);
    println!(
        "snapshot of 10,000 devices with six series and five minutes of late windows: {} bytes",
        bytes.len()
    );
    group.bench_function("take, 10,000 devices", |bencher| bencher.iter(|| black_box(job.snapshot(0))));
    group.bench_function("restore, 10,000 devices", |bencher| {
        bencher.iter(|| job.restore(0, Some(&bytes)).expect("it is our own"));
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

criterion_group!(benches, device_job, user_defined, decode, snapshot, sum);
criterion_main!(benches);
