//! What six readings cost: `cargo bench -p firmware-protocol --features std`.

#![allow(clippy::unwrap_used)]

use criterion::{Criterion, criterion_group, criterion_main};
use firmware_protocol::{Content, Reading, Telemetry, TelemetryFrame, encode_telemetry, quantities};
use std::hint::black_box;

const READINGS: [Reading<'static>; 6] = [
    Reading::of(quantities::PM2_5, 35.25),
    Reading::of(quantities::PM10, 58.0),
    Reading::of(quantities::NO2, 41.7),
    Reading::of(quantities::O3, 66.3),
    Reading::of(quantities::TEMPERATURE, 24.1),
    Reading::of(quantities::HUMIDITY, 71.0),
];

fn frames(c: &mut Criterion) {
    let content = Content::Readings(&READINGS);
    let frame = Telemetry {
        epoch: 1,
        sequence: Some(70_000),
        time: Some(1_764_000_000_000),
        position: None,
        content,
    };
    let mut buffer = [0; 128];
    let length = encode_telemetry(&frame, &mut buffer).unwrap();
    let json = TelemetryFrame::from_cbor(&buffer[..length]).unwrap().to_json();
    c.bench_function("encode", |b| b.iter(|| encode_telemetry(black_box(&frame), &mut buffer)));
    c.bench_function("decode cbor", |b| b.iter(|| TelemetryFrame::from_bytes(black_box(&buffer[..length]))));
    c.bench_function("decode json", |b| b.iter(|| TelemetryFrame::from_bytes(black_box(&json))));
}

criterion_group!(benches, frames);
criterion_main!(benches);
