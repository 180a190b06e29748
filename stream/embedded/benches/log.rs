//! What the log costs: `cargo bench -p embedded`.
//!
//! Beside criterion's times it prints the processor time of the whole process for each record.

use std::fs::File;
use std::io::{Seek, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use embedded::{Log, Metrics, Options};
use records::{Batch, Consumer, Producer, Timestamp, Topic, TopicPartition};
use tokio::runtime::{Builder, Runtime};

/// A folder on the disk to be measured.
const DISK: &str = "SLUICE_BENCH_DIR";
const RECORD_BYTES: usize = 200;
/// Of the bare loop beside a sample: enough for a mean.
const MOST_BARE: u64 = 200;
/// Clock ticks a second in `/proc/self/stat`, on every Linux there is.
const TICK: Duration = Duration::from_millis(10);

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads can be started")
}

fn open(dir: &tempfile::TempDir, options: Options) -> Log {
    let metrics = Metrics::register(&prometheus::Registry::new()).expect("the registry is new");
    Log::open(dir.path(), options, Arc::new(|| Timestamp(0)), metrics).expect("the folder is new")
}

fn folder() -> tempfile::TempDir {
    // On the disk of the project, because the folder for temporary files may be in memory. Or on any other.
    let disk = std::env::var_os(DISK).unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").into());
    tempfile::tempdir_in(disk).expect("the folder can be written")
}

fn batch(records: usize) -> Batch {
    let mut batch = Batch::new();
    for n in 0..records {
        batch.push(format!("device-{n:05}").as_bytes(), &[b'v'; RECORD_BYTES - 12]);
    }
    batch
}

/// Processor time of this process, all threads.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("it is there on Linux");
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = behind_name.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<u32>().ok());
    TICK * ticks.sum::<u32>()
}

/// Each writer appends, awaits, appends again.
async fn write(log: &Log, writers: usize, records: usize, rounds: u64) {
    let tasks: Vec<_> =
        (0..writers).map(|writer| tokio::spawn(write_one(log.clone(), writer, records, rounds))).collect();
    for task in tasks {
        task.await.expect("no panic");
    }
}

async fn write_one(log: Log, writer: usize, records: usize, rounds: u64) {
    let at = TopicPartition { topic: Topic::Telemetry, partition: writer as u32 % 4 };
    let batch = batch(records);
    for _ in 0..rounds {
        log.append(vec![(at, batch.clone())]).await.expect("there is room");
    }
}

/// What the disk does by itself: the bytes of a round behind one another in a file, an fsync after each. Beside the log,
/// under the same load of the machine, it says how much of the log's time is the disk's.
struct Bare {
    file: File,
    bytes: Vec<u8>,
    rounds: u64,
    took: Duration,
}

impl Bare {
    fn new(dir: &tempfile::TempDir, bytes: usize) -> Bare {
        let file = File::create(dir.path().join("bare")).expect("the folder can be written");
        Bare { file, bytes: vec![b'v'; bytes], rounds: 0, took: Duration::ZERO }
    }

    fn run(&mut self, rounds: u64) {
        let started = Instant::now();
        for _ in 0..rounds {
            self.file.write_all(&self.bytes).and_then(|()| self.file.sync_all()).expect("the disk takes it");
        }
        self.file.set_len(0).and_then(|()| self.file.rewind()).expect("the disk takes it");
        self.rounds += rounds;
        self.took += started.elapsed();
    }
}

fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    for (writers, records) in [(8, 50), (8, 500), (1, 190), (400, 1)] {
        let dir = folder();
        let mut options = Options::default();
        options[Topic::Telemetry].retention.bytes = Some(1 << 30);
        let log = open(&dir, options);
        let runtime = runtime();
        let (mut spent, mut written, mut took) = (Duration::ZERO, 0, Duration::ZERO);
        let mut bare = Bare::new(&dir, writers * records * RECORD_BYTES);
        group.throughput(Throughput::Elements((writers * records) as u64));
        group.bench_function(BenchmarkId::from_parameter(format!("{writers}x{records}")), |bencher| {
            bencher.iter_custom(|rounds| {
                let (started, before) = (Instant::now(), cpu());
                runtime.block_on(write(&log, writers, records, rounds));
                spent += cpu() - before;
                written += rounds * (writers * records) as u64;
                let elapsed = started.elapsed();
                took += elapsed;
                bare.run(rounds.min(MOST_BARE));
                elapsed
            });
        });
        let name = format!("append {writers}x{records}");
        report(&name, spent, written);
        if written > 0 {
            let fsync = bare.took.as_secs_f64() / bare.rounds as f64;
            let round = took.as_secs_f64() * (writers * records) as f64 / written as f64;
            println!("{name}: a round takes {:.2} of a bare fsync of {:.2} ms", round / fsync, fsync * 1e3);
        }
    }
}

fn report(name: &str, spent: Duration, records: u64) {
    if records > 0 {
        println!("{name}: {:.3} µs of processor time a record", spent.as_secs_f64() * 1e6 / records as f64);
    }
}

/// Reads from the beginning; `tail_bytes` says whether from memory or from the file.
fn read(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("read");
    group.sample_size(10);
    for (name, tail_bytes) in [("tail", 256 << 20), ("file", 1)] {
        let dir = folder();
        let log = open(&dir, Options { tail_bytes, ..Options::default() });
        let runtime = runtime();
        runtime.block_on(write(&log, 8, 50, 500));
        let records = 8 * 50 * 500;
        group.throughput(Throughput::Elements(records));
        let (mut spent, mut read) = (Duration::ZERO, 0);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let before = cpu();
                runtime.block_on(read_all(&log, records));
                spent += cpu() - before;
                read += records;
            });
        });
        report(&format!("read {name}"), spent, read);
    }
}

async fn read_all(log: &Log, records: u64) {
    let mut consumer = log.consumer("bench", &[Topic::Telemetry]);
    let mut read = 0;
    while read < records {
        let fetched = consumer.poll().await.expect("readable").expect("open");
        // Touch each record, as a reader would.
        read += fetched.records().filter(|(_, key, value)| key.len() + value.len() > 100).count() as u64;
    }
}

criterion_group!(benches, append, read);
criterion_main!(benches);
