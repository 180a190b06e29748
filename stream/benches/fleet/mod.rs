//! What the benches share: a fleet that speaks on and on, and CPU time.

#![allow(dead_code, reason = "each bench uses its part")]

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Throughput};
use records::{
    Batch, Body, Device, Family, Name, Observation, Quality, Quantity, Reading, Record, Timestamp,
};
use std::hint::black_box;
use std::time::Duration;
use stream::rule::Ruleset;
use stream::{DeviceConfig, DeviceJob, Job, Outputs, Partitions};

pub const START: i64 = 1_777_852_800_000;
pub const PARTITIONS: Partitions =
    Partitions { telemetry: 1, observations: 4, aggregates: 4, alerts: 4, ledger: 4 };
pub const OTHER: [&str; 6] = ["temperature", "humidity", "solar", "wind_speed", "visibility", "battery"];
pub const WEATHER: [&str; 6] = ["temperature", "humidity", "wind_speed", "gust", "rainfall", "visibility"];
/// Every device speaks so often, ms.
const PERIOD: usize = 10_000;
/// Rounds until nothing grows any more: a minute is open, and five wait for late readings.
pub const SETTLED: usize = 40;
const COMMIT_RECORDS: usize = 20_000;
const EVENTS: usize = 300_000;

/// Devices of one family that each say six things every ten seconds.
///
/// They take turns in an order that is not that of their numbers, as those of a city do: what is known of one does not
/// stand beside what is known of the next.
pub struct Fleet {
    devices: usize,
    family: Family,
    quantities: [&'static str; 6],
    round: usize,
}

impl Fleet {
    pub fn new(devices: usize, family: Family, quantities: [&'static str; 6]) -> Fleet {
        Fleet { devices, family, quantities, round: 0 }
    }

    /// Registry entries, as they stand on the log.
    pub fn entries(&self) -> Batch {
        let mut batch = Batch::new();
        for device in 0..self.devices {
            let entry = Device {
                id: name(device),
                family: self.family,
                label: Name::default(),
                area: format!("area-{}", device % 100).into(),
                rank: 0,
                position: None,
                is_enabled: true,
                updated_at: Timestamp(START - 1),
                limits: Vec::new(),
            };
            batch.push_with(entry.id.as_bytes(), |to| entry.encode(to));
        }
        batch
    }

    /// The same before the first message, and nothing afterwards.
    pub fn entries_once(&self) -> Batch {
        if self.round == 0 { self.entries() } else { Batch::new() }
    }

    /// The next messages: so many of each device.
    pub fn rounds(&mut self, rounds: usize) -> Batch {
        let mut batch = Batch::new();
        for round in self.round..self.round + rounds {
            for turn in 0..self.devices {
                let message = self.message(turn, round);
                batch.push_with(message.device.as_bytes(), |to| message.encode(to));
            }
        }
        self.round += rounds;
        batch
    }

    fn message(&self, turn: usize, round: usize) -> Observation {
        let device = turn * 7919 % self.devices;
        let at = Timestamp(START + (round * PERIOD + turn * PERIOD / self.devices) as i64);
        let reading = |(index, name): (usize, &&str)| Reading {
            quantity: Quantity::from_name(name),
            value: ((device * 7 + round * 13 + index * 31) % 400) as f64 / 10.0,
            quality: Quality::default(),
        };
        Observation {
            device: name(device),
            epoch: 1,
            sequence: Some(round as u64),
            device_time: Some(at),
            event_time: at,
            ingest_time: Timestamp(at.0 + 40),
            position: None,
            stated: None,
            is_late: false,
            body: Body::Readings(self.quantities.iter().enumerate().map(reading).collect()),
        }
    }
}

pub fn name(device: usize) -> Name {
    format!("dev-{device:06}").into()
}

/// The device job with the rules that it comes with, and `more`.
pub fn job(more: &str) -> DeviceJob {
    DeviceJob::new(DeviceConfig::default(), rules(more), PARTITIONS)
}

/// The rules that the stage comes with, and `more`.
pub fn rules(more: &str) -> Ruleset {
    let rules = format!("{}\n{more}", include_str!("../../rules/default.toml"));
    Ruleset::parse(&rules).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// CPU time of this thread, so that a busy machine does not show. Linux.
pub fn cpu_time() -> Duration {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux says so");
    let nanos = statistics.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.expect("the first number is the time on a CPU"))
}

/// Runs everything; returns bytes written, so that nothing is left out.
pub fn run(job: &mut impl Job, out: &mut Outputs, telemetry: &Batch) -> usize {
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

/// Brings a job to where nothing grows any more.
pub fn settle(job: &mut impl Job, out: &mut Outputs, fleet: &mut Fleet) {
    run(job, out, &fleet.entries());
    for _ in 0..SETTLED {
        run(job, out, &fleet.rounds(1));
    }
}

/// What an event costs once the job has settled.
pub fn steady(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    mut job: DeviceJob,
    mut fleet: Fleet,
    is_silent: bool,
) {
    let mut out = Outputs::new(PARTITIONS);
    let rounds = EVENTS.div_ceil(fleet.devices).max(6);
    group.throughput(Throughput::Elements((fleet.devices * rounds) as u64));
    let mut is_settled = false;
    group.bench_function(name, |bencher| {
        if !std::mem::replace(&mut is_settled, true) {
            settle(&mut job, &mut out, &mut fleet);
            out.set_silent(is_silent);
        }
        bencher.iter_custom(|times| {
            let mut spent = Duration::ZERO;
            for _ in 0..times {
                let telemetry = fleet.rounds(rounds);
                let begun = cpu_time();
                black_box(run(&mut job, &mut out, &telemetry));
                spent += cpu_time() - begun;
            }
            spent
        });
    });
}
