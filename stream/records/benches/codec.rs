//! What a record costs to write and to read, beside a general CBOR reader on the same bytes.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use records::{
    Aggregate, Body, Observation, Quality, Quantity, Reading, Record, Subject, TagRead, Timestamp, Window,
};
use std::hint::black_box;

const NOW: Timestamp = Timestamp(1_767_225_600_250);

fn observation(body: Body) -> Record {
    Record::Observation(Observation {
        device: "air-centre-0042".into(),
        epoch: 3,
        sequence: Some(123_456),
        device_time: Some(NOW),
        event_time: NOW,
        ingest_time: Timestamp(NOW.0 + 120),
        position: None,
        stated: None,
        is_late: false,
        body,
    })
}

fn six_readings() -> Record {
    let values = [
        ("pm2_5", 35.2),
        ("pm10", 61.5),
        ("no2", 28.0),
        ("o3", 88.7),
        ("temperature", 21.3),
        ("humidity", 64.0),
    ];
    let reading = |(name, value): (&str, f64)| Reading {
        quantity: Quantity::from_name(name),
        value,
        quality: Quality::GOOD,
    };
    observation(Body::Readings(values.map(reading).to_vec()))
}

fn ten_tag_reads() -> Record {
    let read = |n: u32| TagRead {
        epc: format!("3034257BF7194E40{n:08X}").into(),
        antenna: 1,
        rssi: Some(-61.5),
        count: 3,
        first_seen: Some(Timestamp(NOW.0 - 400)),
        last_seen: Some(NOW),
    };
    observation(Body::TagReads((0..10).map(read).collect()))
}

fn aggregate() -> Record {
    Record::Aggregate(Aggregate {
        subject: Subject::Device("air-centre-0042".into()),
        area: "centre".into(),
        quantity: Quantity::from_name("pm2_5"),
        window: Window { start: NOW, end: Timestamp(NOW.0 + 60_000) },
        revision: 0,
        count: 12,
        good: 12,
        sum: 422.4,
        mean: 35.2,
        min: 30.1,
        max: 41.9,
        as_of: Timestamp(NOW.0 + 75_000),
        is_backfill: false,
    })
}

fn codec(criterion: &mut Criterion) {
    let records =
        [("six_readings", six_readings()), ("ten_tag_reads", ten_tag_reads()), ("aggregate", aggregate())];
    for (name, record) in records {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        let mut out = Vec::with_capacity(1024);
        group.bench_function("write", |bencher| {
            bencher.iter(|| {
                out.clear();
                black_box(&record).encode(&mut out);
                out.len()
            });
        });
        group.bench_function("read", |bencher| bencher.iter(|| Record::decode(black_box(&bytes))));
        group.bench_function("read_as_ciborium_value", |bencher| {
            bencher.iter(|| ciborium::from_reader::<ciborium::Value, _>(black_box(bytes.as_slice())));
        });
    }
}

criterion_group!(benches, codec);
criterion_main!(benches);
