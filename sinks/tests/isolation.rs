//! Each sink is a consumer of its own: each in turn is stopped under load, the others don't notice, and when it
//! returns nothing is lost and nothing is there twice.
#![cfg(all(feature = "influx", feature = "webhook"))]
#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod support;

use records::{Fetched, MemoryLog, Offset, Record, Timestamp, Topic};
use sinks::influx::{InfluxOptions, InfluxSink, Ledger};
use sinks::store::{Options, Store};
use sinks::webhook::{WebhookOptions, WebhookSink};
use sinks::{AlertBook, AlertSink, DeviceBook, DeviceSink, SeriesSink, Sink, SinkError, Written, run};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::influx::{StandIn, closed, window};
use support::{Hands, T0, alert, ambient, append, eventually_within, log, metrics, on_log, reading};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long each is stopped, and how long all run before: a second and a half, or `SLUICE_OUTAGE_SECONDS`.
fn outage() -> Duration {
    let seconds =
        std::env::var("SLUICE_OUTAGE_SECONDS").ok().map(|text| text.parse().expect("a number of seconds"));
    seconds.map_or(Duration::from_millis(1500), Duration::from_secs)
}

/// What a latency may grow by for other reasons: far below the outage, with room for a machine that does other
/// things as well.
const ROOM: Duration = Duration::from_millis(750);
/// Between two batches of the load.
const BEAT: Duration = Duration::from_millis(10);
/// Per batch: readings of so many devices, and so many windows.
const READINGS: usize = 20;
const WINDOWS: usize = 5;

const TOPICS: [Topic; 3] = [Topic::Observations, Topic::Aggregates, Topic::Alerts];

/// When each record was appended, by topic and offset.
#[derive(Default)]
struct Times([Mutex<Vec<Instant>>; 3]);

impl Times {
    fn of(&self, topic: Topic) -> &Mutex<Vec<Instant>> {
        &self.0[TOPICS.iter().position(|other| *other == topic).unwrap()]
    }

    fn note(&self, topic: Topic, records: usize) {
        let mut times = self.of(topic).lock().unwrap();
        let count = times.len();
        times.resize(count + records, Instant::now());
    }

    fn at(&self, topic: Topic, offset: Offset) -> Instant {
        self.of(topic).lock().unwrap()[usize::try_from(offset).unwrap()]
    }
}

/// What the test sees of a sink, and the switch that stops it.
#[derive(Clone)]
struct Watch {
    name: &'static str,
    is_stopped: Arc<AtomicBool>,
    latencies: Arc<Mutex<Vec<Duration>>>,
    times: Arc<Times>,
}

impl Watch {
    fn worst(&self) -> Duration {
        std::mem::take(&mut *self.latencies.lock().unwrap()).into_iter().max().unwrap_or_default()
    }

    /// The latency that all but one in a hundred keep below.
    fn usual(&self) -> Duration {
        let mut latencies = std::mem::take(&mut *self.latencies.lock().unwrap());
        latencies.sort_unstable();
        latencies.get(latencies.len() * 99 / 100).copied().unwrap_or_default()
    }
}

/// A sink that can be stopped, and whose latencies are noted.
struct Gate<S> {
    sink: S,
    watch: Watch,
}

impl<S> Gate<S> {
    fn pass(&self) -> Result<(), SinkError> {
        if self.watch.is_stopped.load(Ordering::SeqCst) {
            return Err(SinkError::unavailable("stopped by the test"));
        }
        Ok(())
    }
}

impl<S: Sink> Sink for Gate<S> {
    fn name(&self) -> &'static str {
        self.sink.name()
    }

    async fn write(&mut self, fetched: &Fetched) -> Result<Written, SinkError> {
        self.pass()?;
        let written = self.sink.write(fetched).await?;
        let mut latencies = self.watch.latencies.lock().unwrap();
        let first = self.watch.times.at(fetched.partition.topic, fetched.first);
        latencies.push(first.elapsed());
        Ok(written)
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        self.pass()?;
        self.sink.flush().await
    }

    fn flush_due(&self) -> Option<tokio::time::Instant> {
        self.sink.flush_due()
    }

    async fn end(&mut self) {
        self.sink.end().await;
    }
}

struct World {
    log: MemoryLog,
    hands: Hands,
    metrics: sinks::Metrics,
    times: Arc<Times>,
    stop: CancellationToken,
    watches: Vec<Watch>,
    running: Vec<JoinHandle<Result<(), SinkError>>>,
    batches: usize,
}

impl World {
    fn add<S: Sink + 'static>(&mut self, topics: &'static [Topic], sink: S) {
        let watch = Watch {
            name: sink.name(),
            is_stopped: Arc::default(),
            latencies: Arc::default(),
            times: Arc::clone(&self.times),
        };
        let consumer = self.log.consumer(sink.name(), topics);
        let around = ambient(&self.metrics, &self.hands);
        let gate = Gate { sink, watch: watch.clone() };
        self.running.push(tokio::spawn(run(consumer, gate, around, self.stop.clone())));
        self.watches.push(watch);
    }

    /// Appends a batch every beat.
    async fn load(&mut self, time: Duration) {
        let mut beat = tokio::time::interval(BEAT);
        let until = Instant::now() + time;
        while Instant::now() < until {
            beat.tick().await;
            let at = T0 + self.batches as i64;
            let readings: Vec<Record> = (0..READINGS)
                .map(|index| reading(&format!("air-{index}"), at, "pm2_5", index as f64))
                .collect();
            let windows: Vec<Record> = (0..WINDOWS)
                .map(|index| {
                    let mut window = window(&format!("air-{index}"), "pm2_5", at * 1000, 1.0);
                    window.as_of = Timestamp(T0);
                    closed(window)
                })
                .collect();
            for (topic, records) in
                TOPICS.into_iter().zip([readings, windows, vec![on_log(&alert("air-1", at))]])
            {
                self.times.note(topic, records.len());
                append(&self.log, topic, &records).await;
            }
            self.batches += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_sink_stops_nobody_and_catches_up() {
    let folder = tempfile::tempdir().unwrap();
    let (influx, hook) = (StandIn::willing().await, support::webhook::Receiver::start().await);
    let (log, hands, metrics) = (log(), Hands::new(), metrics().0);
    let store = Store::open(&folder.path().join("series"), Options::default()).unwrap();
    let alerts = Arc::new(AlertBook::open(&folder.path().join("alerts.db")).unwrap());
    let devices = Arc::new(DeviceBook::open(&folder.path().join("devices.db")).unwrap());
    let mut world = World {
        log,
        hands: hands.clone(),
        metrics: metrics.clone(),
        times: Arc::default(),
        stop: CancellationToken::new(),
        watches: Vec::new(),
        running: Vec::new(),
        batches: 0,
    };
    let age = Duration::from_millis(500);
    world.add(SeriesSink::TOPICS, SeriesSink::new(store.clone(), hands.clock(), age, metrics.clone()));
    world.add(AlertSink::TOPICS, AlertSink::new(Arc::clone(&alerts), metrics.clone()));
    world.add(DeviceSink::TOPICS, DeviceSink::new(Arc::clone(&devices)));
    let options = InfluxOptions {
        url: influx.url.clone(),
        org: "o".to_owned(),
        bucket: "b".to_owned(),
        batch_age: Duration::from_millis(20),
        ..InfluxOptions::default()
    };
    let ledger = Ledger::open(&folder.path().join("influx.db")).unwrap();
    let lane = InfluxSink::live(&options, "t", ledger, hands.clock(), metrics.clone()).unwrap();
    world.add(options.topics(), lane);
    let options = WebhookOptions { url: hook.url.clone(), ..WebhookOptions::default() };
    world.add(WebhookSink::TOPICS, WebhookSink::new(&options, "secret", hands.clock()).unwrap());

    let outage = outage();
    world.load(outage).await;
    let usual: Vec<Duration> = world.watches.iter().map(Watch::usual).collect();
    for stopped in 0..world.watches.len() {
        world.watches[stopped].is_stopped.store(true, Ordering::SeqCst);
        world.load(outage).await;
        for (index, watch) in world.watches.iter().enumerate().filter(|(index, _)| *index != stopped) {
            let (now, bound) = (watch.usual(), usual[index] * 3 + ROOM);
            let culprit = world.watches[stopped].name;
            assert!(
                now < bound,
                "{} took {now:?} while {culprit} was stopped; usually {:?}",
                watch.name,
                usual[index]
            );
        }
        world.watches[stopped].latencies.lock().unwrap().clear();
        world.watches[stopped].is_stopped.store(false, Ordering::SeqCst);
        let watch = world.watches[stopped].clone();
        let batches = world.batches;
        eventually_within(outage + Duration::from_secs(10), async || {
            let has_caught_up = match watch.name {
                "series" => rows(&store) == batches * READINGS,
                "alerts" => alerts.newest().unwrap() == batches as u64,
                "webhook" => hook.bodies().len() == batches,
                "influx" => influx.taken().len() == batches * WINDOWS,
                _ => !watch.latencies.lock().unwrap().is_empty(),
            };
            has_caught_up.then_some(())
        })
        .await;
        assert!(watch.worst() > outage / 2, "{} was not stopped", watch.name);
    }
    world.stop.cancel();
    for sink in world.running.drain(..) {
        sink.await.unwrap().unwrap();
    }
    let batches = world.batches;
    assert_eq!(rows(&store), batches * READINGS, "each reading is stored once");
    assert_eq!(alerts.newest().unwrap(), batches as u64, "each transition is entered once");
    let (lines, bodies) = (influx.taken(), hook.bodies());
    assert_eq!(lines.iter().collect::<BTreeSet<_>>().len(), batches * WINDOWS, "each window was sent");
    assert_eq!(lines.len(), batches * WINDOWS, "and none twice");
    assert_eq!(bodies.iter().collect::<BTreeSet<_>>().len(), batches, "each transition was posted");
    assert_eq!(bodies.len(), batches, "and none twice");
    assert_eq!(devices.len(), READINGS);
}

fn rows(store: &Store) -> usize {
    let of = |index| {
        let all = (Timestamp::MIN, Timestamp::MAX);
        store.range(&format!("air-{index}"), "pm2_5", all.0, all.1, 1_000_000).unwrap().t.len()
    };
    (0..READINGS).map(of).sum()
}
