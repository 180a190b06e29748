//! What it costs to bring a record from the spool to the target: `cargo bench -p gateway --bench forward`.
//!
//! Both logs are in memory, so it is the forwarder itself, with the memory log's reading. Printed is processor time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway::forward::{self, Metrics, Options, Spool};
use records::{
    AppendError, Batch, MemoryLog, Offset, Producer, Timestamp, Topic, TopicPartition, partition_of,
};
use tokio_util::sync::CancellationToken;

const RECORDS: usize = 1_000_000;
const DEVICES: usize = 2_000;
/// Of a record with six readings.
const VALUE_BYTES: usize = 94;
const NOW: Timestamp = Timestamp(1_800_000_000_000);
/// Clock ticks a second in `/proc/self/stat`, on every Linux there is.
const TICK: Duration = Duration::from_millis(10);

/// Takes everything, after a while, and keeps nothing.
#[derive(Clone)]
struct Nowhere {
    answers_after: Duration,
}

impl Producer for Nowhere {
    fn partitions(&self, _topic: Topic) -> u32 {
        4
    }

    async fn append(&self, batches: Vec<(TopicPartition, Batch)>) -> Result<Vec<Offset>, AppendError> {
        if !self.answers_after.is_zero() {
            tokio::time::sleep(self.answers_after).await;
        }
        Ok(vec![0; batches.len()])
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let fast = Options { append_bytes: 256 << 20, ..Options::default() };
    runtime.block_on(measure("live", fast, Duration::ZERO));
    // Little room for what is live, and no bound for what is not.
    let behind = Options {
        append_bytes: 1 << 20,
        backlog_records_per_second: u32::MAX,
        backlog_bytes_per_second: u32::MAX,
        ..Options::default()
    };
    runtime.block_on(measure("backlog, answers after 5 ms", behind, Duration::from_millis(5)));
}

async fn filled() -> MemoryLog {
    let spool = MemoryLog::new(|_| 4);
    for first in (0..RECORDS).step_by(50) {
        let mut batches = vec![Batch::new(); 4];
        for number in first..first + 50 {
            let key = format!("device-{:05}", number % DEVICES);
            let partition = partition_of(key.as_bytes(), 4) as usize;
            batches[partition].push(key.as_bytes(), &[7; VALUE_BYTES]);
        }
        let place = |partition| TopicPartition { topic: Topic::Telemetry, partition };
        spool.append((0..).map(place).zip(batches).collect()).await.expect("memory takes it");
    }
    spool.close();
    spool
}

async fn measure(what: &str, options: Options, answers_after: Duration) {
    let log = filled().await;
    let spool = Spool {
        gateway: "gateway-1".into(),
        made: NOW,
        live: log.consumer("live", &[Topic::Telemetry]),
        backlog: log.consumer("backlog", &[Topic::Telemetry]),
    };
    let registry = prometheus::Registry::new();
    let metrics = Metrics::register(&registry).expect("new metrics");
    let (started, before) = (Instant::now(), cpu());
    let target = Nowhere { answers_after };
    let clock: gateway::Clock = Arc::new(|| NOW);
    let run = forward::run(spool, target, clock, options, metrics, CancellationToken::new());
    run.await.expect("it ends when all is there");
    let (took, spent) = (started.elapsed().as_secs_f64(), (cpu() - before).as_secs_f64());
    println!(
        "{what}: {:.0} records/s, {:.2} us of processor time a record; {}",
        RECORDS as f64 / took,
        spent * 1e6 / RECORDS as f64,
        lanes(&registry)
    );
}

/// How many records went through which lane.
fn lanes(registry: &prometheus::Registry) -> String {
    let families = registry.gather();
    let records = families.iter().filter(|family| family.name() == "sluice_gateway_forwarded_records_total");
    let lane = |metric: &prometheus::proto::Metric| {
        format!("{} {}", metric.get_label()[0].value(), metric.get_counter().get_value())
    };
    records.flat_map(|family| family.get_metric()).map(lane).collect::<Vec<_>>().join(", ")
}

/// Processor time of this process, all threads.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("it is there on Linux");
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = behind_name.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<u32>().ok());
    TICK * ticks.sum::<u32>()
}
