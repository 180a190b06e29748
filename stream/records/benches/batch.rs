//! What a record costs on its way into a batch and out of it.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use records::Batch;
use std::hint::black_box;

const RECORDS: u64 = 1000;

fn fill(batch: &mut Batch) {
    for _ in 0..RECORDS {
        batch.push(black_box(b"air-centre-0042"), black_box(&[7; 100]));
    }
}

fn batches(criterion: &mut Criterion) {
    let mut full = Batch::new();
    fill(&mut full);
    let mut group = criterion.benchmark_group("batch");
    group.throughput(Throughput::Elements(RECORDS));
    let mut batch = Batch::new();
    group.bench_function("push", |bencher| {
        bencher.iter(|| {
            batch.clear();
            fill(&mut batch);
        });
    });
    group.bench_function("iter", |bencher| {
        bencher.iter(|| full.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>());
    });
    group.bench_function("from_bytes", |bencher| {
        bencher.iter_batched(
            || full.as_bytes().to_vec(),
            Batch::from_bytes,
            criterion::BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, batches);
criterion_main!(benches);
