//! State: how much memory a device takes, what a snapshot costs, and how long a partition takes to come back.

mod fleet;

use criterion::{Criterion, criterion_group, criterion_main};
use fleet::{Fleet, OTHER, SETTLED, cpu_time, job, run, settle};
use records::Family;
use std::hint::black_box;
use std::time::Duration;
use stream::{DeviceJob, Job, Outputs};

const DEVICES: usize = 100_000;

/// Memory of this process that is in use, bytes. Linux.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux says so");
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("the second is resident")
        * 4096
}

/// 100,000 devices of six series each, first with one open minute, then with the five that wait for late readings.
fn settled() -> (DeviceJob, Outputs, Fleet) {
    let (mut job, mut out) = (job(""), Outputs::new(fleet::PARTITIONS));
    let mut fleet = Fleet::new(DEVICES, Family::Other, OTHER);
    let before = resident();
    let entries = fleet.entries();
    run(&mut job, &mut out, &entries);
    run(&mut job, &mut out, &fleet.rounds(1));
    out.take();
    drop(entries);
    println!(
        "memory of a device with one open window of six series: {} bytes",
        (resident() - before) / DEVICES
    );
    for _ in 0..SETTLED {
        run(&mut job, &mut out, &fleet.rounds(1));
    }
    out.take();
    println!("and with five minutes that wait for late readings: {} bytes", (resident() - before) / DEVICES);
    (job, out, fleet)
}

fn snapshot(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("snapshot");
    group.sample_size(10);
    let (mut job, ..) = settled();
    let bytes = job.snapshot(0);
    println!("snapshot of 100,000 devices, with what waits for late readings: {} bytes", bytes.len());
    group.bench_function("take, 100,000 devices", |bencher| {
        bencher.iter_custom(|times| {
            let begun = cpu_time();
            (0..times).for_each(|_| drop(black_box(job.snapshot(0))));
            cpu_time() - begun
        });
    });
    group.bench_function("restore, 100,000 devices", |bencher| {
        bencher.iter_custom(|times| {
            let begun = cpu_time();
            (0..times).for_each(|_| job.restore(0, Some(&bytes)).expect("it is our own"));
            cpu_time() - begun
        });
    });
    group.finish();
}

/// What stands between a start and the first new record, at the most: a snapshot is read, and a million records are
/// run again in silence.
fn recovery(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("recovery");
    group.sample_size(10);
    let (mut job, mut out) = (job(""), Outputs::new(fleet::PARTITIONS));
    let mut fleet = Fleet::new(10_000, Family::Other, OTHER);
    settle(&mut job, &mut out, &mut fleet);
    let bytes = job.snapshot(0);
    let since = fleet.rounds(100);
    out.set_silent(true);
    group.bench_function("10,000 devices, a million records since", |bencher| {
        bencher.iter_custom(|times| {
            let mut spent = Duration::ZERO;
            for _ in 0..times {
                let begun = cpu_time();
                job.restore(0, Some(&bytes)).expect("it is our own");
                black_box(run(&mut job, &mut out, &since));
                spent += cpu_time() - begun;
            }
            spent
        });
    });
    group.finish();
}

criterion_group!(benches, snapshot, recovery);
criterion_main!(benches);
