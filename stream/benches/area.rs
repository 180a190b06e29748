//! The area job, one core: rows and shares of devices in, roll-ups of their areas out.
//!
//! An event is one record of `aggregates`, as the device job writes it: decode, one order for all sources, roll-ups,
//! rules and encoded results are in it, and the device job is not. Times are CPU time.

mod fleet;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fleet::{Fleet, OTHER, PARTITIONS, SETTLED, cpu_time, job, rules, run};
use records::{Batch, Family, Record, Topic};
use std::hint::black_box;
use std::time::Duration;
use stream::{AreaConfig, AreaJob, DeviceJob, Job, Outputs};

const DEVICES: usize = 10_000;
const ROUNDS: usize = 30;

/// The device job before it, whose rows are the events.
struct Source {
    fleet: Fleet,
    job: DeviceJob,
    out: Outputs,
}

impl Source {
    fn new(family: Family, quantities: [&'static str; 6], more: &str) -> Source {
        Source {
            fleet: Fleet::new(DEVICES, family, quantities),
            job: job(more),
            out: Outputs::new(PARTITIONS),
        }
    }

    /// What stands on `aggregates` after the next messages, by partition.
    fn rounds(&mut self, rounds: usize) -> Vec<(u32, Batch)> {
        run(&mut self.job, &mut self.out, &self.fleet.entries_once());
        for _ in 0..rounds {
            for (key, value) in self.fleet.rounds(1).iter() {
                self.job.run(0, key, Record::decode(value).expect("it was just encoded"), &mut self.out);
            }
        }
        let taken = self.out.take().into_iter();
        let rows = taken.filter(|(place, _)| place.topic == Topic::Aggregates);
        rows.map(|(place, batch)| (place.partition, batch)).collect()
    }
}

/// Runs everything; returns how many records that were.
fn take(job: &mut AreaJob, out: &mut Outputs, rows: &[(u32, Batch)]) -> u64 {
    let mut count = 0;
    for (partition, batch) in rows {
        for (key, value) in batch.iter() {
            job.run(*partition, key, Record::decode(value).expect("it was just encoded"), out);
            count += 1;
        }
        black_box(out.take());
    }
    count
}

fn area_job(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("area_job");
    group.sample_size(10);
    let roll_up = |window: &str| {
        format!(
            "[[job]]\nid = \"of-areas\"\nkey = [\"area\"]\nwhere = \"family == 'other'\"\nwindow = {{ {window} }}\n\
             select = {{ t_mean = \"mean(temperature)\", h_p95 = \"p95(humidity)\", w_max = \"max(wind_speed)\" }}\n"
        )
    };
    let traffic = ["occupancy", "speed", "vehicle_count", "battery", "temperature", "humidity"];
    let cases = [
        ("rows that nobody asks for", Family::Other, OTHER, String::new()),
        ("rows of detectors of 100 roads", Family::Traffic, traffic, String::new()),
        ("roll-up, tumbling 1 min", Family::Other, OTHER, roll_up("tumbling = \"1m\"")),
        (
            "roll-up, hopping 5 min every 1 min",
            Family::Other,
            OTHER,
            roll_up("hopping = \"5m\", every = \"1m\""),
        ),
    ];
    for (name, family, quantities, more) in cases {
        let mut source = Source::new(family, quantities, &more);
        let mut area = AreaJob::new(AreaConfig::default(), rules(&more), PARTITIONS);
        let mut out = Outputs::new(PARTITIONS);
        take(&mut area, &mut out, &source.rounds(SETTLED));
        let count = take(&mut area, &mut out, &source.rounds(ROUNDS));
        group.throughput(Throughput::Elements(count));
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|times| {
                let mut spent = Duration::ZERO;
                for _ in 0..times {
                    let rows = source.rounds(ROUNDS);
                    let begun = cpu_time();
                    black_box(take(&mut area, &mut out, &rows));
                    spent += cpu_time() - begun;
                }
                spent
            });
        });
    }
    group.finish();
}

criterion_group!(benches, area_job);
criterion_main!(benches);
