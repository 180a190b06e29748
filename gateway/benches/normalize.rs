//! From a payload to a record in a batch: what every message costs beside its session and the log.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use firmware_protocol::{FrameContent, FrameQuantity, FrameReading, Position, TelemetryFrame};
use gateway::normalize::{Arrival, telemetry};
use records::{Batch, Crs, Name, Timestamp};
use std::hint::black_box;

/// Six readings of an air station with sequence, time and position.
fn frame() -> TelemetryFrame {
    let values = [
        ("pm2_5", 35.5),
        ("pm10", 61.0),
        ("no2", 28.3),
        ("o3", 91.2),
        ("temperature", 21.4),
        ("humidity", 63.0),
    ];
    let reading = |(name, value)| FrameReading { quantity: FrameQuantity::from_name(name), value };
    TelemetryFrame {
        epoch: 2,
        sequence: Some(4_811_223),
        time: Some(1_800_000_000_123),
        position: Some(Position { lon: 121.4737, lat: 31.2304 }),
        content: FrameContent::Readings(values.map(reading).into()),
    }
}

fn normalize(criterion: &mut Criterion) {
    let cbor = frame().to_cbor().expect("a valid frame");
    let json = frame().to_json();
    let device = Name::new("air-0101");
    let senml = br#"[{"bt":1800000000.123,"n":"pm2_5","u":"ug/m3","v":35.5},{"n":"pm10","u":"ug/m3","v":61.0},
        {"n":"no2","u":"ug/m3","v":28.3},{"n":"o3","u":"ug/m3","v":91.2},{"n":"temperature","u":"Cel","v":21.4},
        {"n":"humidity","u":"%RH","v":63.0}]"#;
    let arrival = Arrival { device: &device, crs: Crs::Wgs84, ingest_time: Timestamp(1_800_000_000_456) };
    let mut batch = Batch::new();
    let mut group = criterion.benchmark_group("normalize");
    group.throughput(Throughput::Elements(1));
    for (name, payload) in [("cbor", cbor), ("json", json), ("senml json", senml.to_vec())] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let observations = telemetry(arrival, black_box(&payload)).expect("a valid payload");
                batch.clear();
                for observation in observations.as_slice() {
                    batch.push_with(device.as_bytes(), |bytes| observation.encode(bytes));
                }
                black_box(batch.len())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, normalize);
criterion_main!(benches);
