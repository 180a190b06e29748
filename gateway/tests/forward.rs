//! The forwarder between two logs in memory: nothing lost, order of each device, what is doubled is recognised.

#![allow(clippy::unwrap_used, reason = "a test's own scaffolding")]

use gateway::forward::{self, ForwardError, Metrics, Options, Spool};
use proptest::collection::vec;
use proptest::prelude::*;
use records::{
    AppendError, Batch, Consumer, LogError, MemoryLog, Offset, Producer, Quarantined, Reason, Record,
    Timestamp, Topic, TopicPartition, partition_of,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

const GATEWAY: &str = "gateway-1";
const MADE: Timestamp = Timestamp(1_700_000_000_000);
const TOPICS: [Topic; 2] = [Topic::Telemetry, Topic::Quarantine];
const PATIENCE: Duration = Duration::from_secs(3600);

/// A spool, a target, and a forwarder between them.
struct Line {
    spool: MemoryLog,
    target: MemoryLog,
    options: Options,
    registry: prometheus::Registry,
    stop: CancellationToken,
    running: JoinHandle<Result<(), ForwardError>>,
    /// Per device, how many records it has said.
    said: BTreeMap<u8, u64>,
}

impl Line {
    fn new(spool_partitions: u32, target_partitions: u32, options: Options) -> Line {
        Line {
            spool: MemoryLog::new(move |_| spool_partitions),
            target: MemoryLog::new(move |_| target_partitions),
            options,
            registry: prometheus::Registry::new(),
            stop: CancellationToken::new(),
            running: tokio::spawn(async { Ok(()) }),
            said: BTreeMap::new(),
        }
    }

    /// Starts a forwarder as a new process would.
    fn start(&mut self) {
        let spool = Spool {
            gateway: GATEWAY.into(),
            made: MADE,
            live: self.spool.consumer("forward-live", &TOPICS),
            backlog: self.spool.consumer("forward-backlog", &TOPICS),
        };
        self.registry = prometheus::Registry::new();
        self.stop = CancellationToken::new();
        let metrics = Metrics::register(&self.registry).unwrap();
        let (target, options, stop) = (self.target.clone(), self.options.clone(), self.stop.clone());
        let started = Instant::now();
        let clock: gateway::Clock = Arc::new(move || MADE + started.elapsed());
        self.running = tokio::spawn(forward::run(spool, target, clock, options, metrics, stop));
    }

    async fn crash(&mut self) {
        self.running.abort();
        let _ = (&mut self.running).await;
    }

    /// A device says something: its number among all that this device has said is the value.
    async fn say(&mut self, topic: Topic, device: u8) {
        let number = self.said.entry(device).or_default();
        let mut batch = Batch::new();
        let key = [device];
        batch.push(&key, number.to_string().as_bytes());
        *number += 1;
        let partition = partition_of(&key, self.spool.partitions(topic));
        self.spool.append(vec![(TopicPartition { topic, partition }, batch)]).await.unwrap();
    }

    /// What each device's records are for whoever drops what is not beyond the greatest offset seen of that device.
    async fn arrived(&self) -> BTreeMap<(Topic, u8), Vec<u64>> {
        let mut seen: BTreeMap<(Topic, Vec<u8>), Offset> = BTreeMap::new();
        let mut arrived: BTreeMap<(Topic, u8), Vec<u64>> = BTreeMap::new();
        let mut reader = self.target.consumer("check", &TOPICS);
        while let Ok(fetched) = timeout(Duration::from_millis(1), reader.poll()).await {
            let fetched = fetched.unwrap().unwrap();
            let topic = fetched.partition.topic;
            for (_, entry) in fetched.entries() {
                let origin = entry.origin.expect("forwarded");
                assert_eq!((origin.gateway, origin.spool), (GATEWAY, MADE.millis() as u64));
                assert_eq!(
                    fetched.partition.partition,
                    partition_of(entry.key, self.target.partitions(topic))
                );
                let last = seen.get(&(topic, entry.key.to_vec()));
                if last.is_none_or(|last| origin.offset > *last) {
                    seen.insert((topic, entry.key.to_vec()), origin.offset);
                    let number = std::str::from_utf8(entry.value).unwrap().parse().unwrap();
                    arrived.entry((topic, entry.key[0])).or_default().push(number);
                }
            }
        }
        arrived
    }

    /// What stands on the spool, in its order.
    fn spooled(&self) -> BTreeMap<(Topic, u8), Vec<u64>> {
        let mut spooled: BTreeMap<(Topic, u8), Vec<u64>> = BTreeMap::new();
        for topic in TOPICS {
            for (_, _, key, value) in self.spool.read_all(topic) {
                let number = std::str::from_utf8(&value).unwrap().parse().unwrap();
                spooled.entry((topic, key[0])).or_default().push(number);
            }
        }
        spooled
    }

    fn metric(&self, name: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name).unwrap();
        family.get_metric().iter().map(|m| m.get_counter().get_value() + m.get_gauge().get_value()).sum()
    }

    /// Values on the target's telemetry of a device, as they stand there.
    fn on_target(&self, device: u8) -> Vec<u64> {
        let all = self.target.read_all(Topic::Telemetry).into_iter();
        let of_device = all.filter(|(_, _, key, _)| key == &[device]);
        of_device.map(|(_, _, _, value)| String::from_utf8(value).unwrap().parse().unwrap()).collect()
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Line) -> bool) {
        let wait = async {
            while !is_so(self) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what} never came"));
    }

    async fn end(&mut self) -> Result<(), ForwardError> {
        timeout(PATIENCE, &mut self.running).await.expect("it ends").expect("no panic")
    }
}

fn unavailable() -> AppendError {
    AppendError::Unavailable("injected".into())
}

/// What happens to a line.
#[derive(Clone, Copy, Debug)]
enum Step {
    Say { topic: usize, device: u8, times: u8 },
    Pass { millis: u16 },
    FailAppends(u8),
    DoubtAppends(u8),
    FailCommits(u8),
    DoubtCommits(u8),
    HoldAppends(bool),
    LimitBatches(u8),
    Crash,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let say = (0..2_usize, 0..6_u8, 1..30_u8);
    let step = prop_oneof![
        8 => say.prop_map(|(topic, device, times)| Step::Say { topic, device, times }),
        4 => (0..3000_u16).prop_map(|millis| Step::Pass { millis }),
        2 => (1..12_u8).prop_map(Step::FailAppends),
        2 => (1..6_u8).prop_map(Step::DoubtAppends),
        1 => (1..3_u8).prop_map(Step::FailCommits),
        1 => (1..3_u8).prop_map(Step::DoubtCommits),
        2 => any::<bool>().prop_map(Step::HoldAppends),
        1 => (1..20_u8).prop_map(Step::LimitBatches),
        2 => Just(Step::Crash),
        1 => Just(Step::Restart),
    ];
    vec(step, 1..60)
}

fn options() -> impl Strategy<Value = Options> {
    (20..3000_u32, 500..100_000_u32, proptest::option::of(10_000..1_000_000_u64), 8..3000_usize, 1..2000_u64)
        .prop_map(|(records, bytes, uplink, append, commit)| Options {
            backlog_records_per_second: records,
            backlog_bytes_per_second: bytes,
            uplink_bits_per_second: uplink,
            append_bytes: append,
            commit_interval: Duration::from_millis(commit),
            ..Options::default()
        })
}

async fn take(line: &mut Line, step: Step) {
    match step {
        Step::Say { topic, device, times } => {
            for _ in 0..times {
                line.say(TOPICS[topic], device + 10 * topic as u8).await;
            }
        }
        Step::Pass { millis } => sleep(Duration::from_millis(millis.into())).await,
        Step::FailAppends(times) => line.target.fail_next_appends(times.into(), unavailable),
        Step::DoubtAppends(times) => line.target.doubt_next_appends(times.into()),
        Step::FailCommits(times) => line.spool.fail_next_commits(times.into()),
        Step::DoubtCommits(times) => line.spool.doubt_next_commits(times.into()),
        Step::HoldAppends(is_held) => line.target.hold_appends(is_held),
        Step::LimitBatches(records) => line.spool.limit_batches(records.into()),
        Step::Crash => line.crash().await,
        Step::Restart => {
            line.stop.cancel();
            let _ = line.end().await;
        }
    }
    if line.running.is_finished() {
        line.start();
    }
}

/// Until the closed spool is on the target, however often that takes a new start.
async fn run_out(line: &mut Line) {
    line.target.hold_appends(false);
    line.spool.close();
    loop {
        match line.end().await {
            Ok(()) => return,
            Err(ForwardError::Spool(_)) => line.start(),
            Err(error) => panic!("{error}"),
        }
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever fails and whenever it dies: every record of the spool is on the target, in the order of its device,
    /// and what stands there twice is told by its origin.
    #[test]
    fn all_arrives_in_order_whatever_happens(
        steps in steps(),
        options in options(),
        partitions in (1..4_u32, 1..4_u32),
    ) {
        block_on(async {
            let mut line = Line::new(partitions.0, partitions.1, options);
            line.start();
            for step in steps {
                take(&mut line, step).await;
            }
            run_out(&mut line).await;
            let (arrived, spooled) = (line.arrived().await, line.spooled());
            prop_assert_eq!(arrived, spooled);
            Ok(())
        })?;
    }
}

/// A line whose target was away while device 1 said `backlog` things, and has just come back.
async fn after_an_outage(options: Options, backlog: u64) -> Line {
    let mut line = Line::new(1, 1, Options { append_bytes: 4_000, ..options });
    line.start();
    line.target.fail_next_appends(40, unavailable);
    for _ in 0..backlog {
        line.say(Topic::Telemetry, 1).await;
    }
    line.until("the return", |line| !line.on_target(1).is_empty()).await;
    line
}

fn slowly(records: u32) -> Options {
    Options { backlog_records_per_second: records, ..Options::default() }
}

#[tokio::test(start_paused = true)]
async fn backlog_goes_at_its_rate_and_nobody_else_waits_for_it() {
    let mut line = after_an_outage(slowly(100), 2_000).await;
    // Some go live in the first append: how many is chance's.
    let (started, ahead) = (Instant::now(), line.on_target(1).len());
    for second in 0..10 {
        line.say(Topic::Telemetry, 2).await;
        let said = Instant::now();
        line.until("device 2", |line| line.on_target(2).len() > second).await;
        assert!(said.elapsed() < Duration::from_millis(100), "{:?}", said.elapsed());
        sleep(Duration::from_secs(1)).await;
    }
    // What device 1 says meanwhile stands behind all that it said before.
    line.say(Topic::Telemetry, 1).await;
    assert!(line.on_target(1).len() < 1_500);
    assert_eq!(line.metric("sluice_gateway_forward_devices_behind"), 1.0);
    line.until("the end", |line| line.on_target(1).len() == 2_001).await;
    let took = started.elapsed().as_secs_f64();
    let expected = (2_001 - ahead) as f64 / 100.0;
    assert!((took - expected).abs() < 0.5, "{took} s for {} at 100 a second", 2_001 - ahead);
    assert_eq!(line.on_target(1), Vec::from_iter(0..2_001));
    assert_eq!(line.arrived().await, line.spooled());
}

/// Who spoke a few times in the outage does not wait for the backlog of those who never stopped, says it in order, and
/// is live from then on.
#[tokio::test(start_paused = true)]
async fn a_short_backlog_goes_before_a_long_one() {
    let options = Options { append_bytes: 4_000, ..slowly(100) };
    let mut line = Line::new(1, 1, options);
    line.start();
    line.target.fail_next_appends(40, unavailable);
    for number in 0..2_000 {
        line.say(Topic::Telemetry, 1).await;
        if number % 500 == 499 {
            line.say(Topic::Telemetry, 2).await;
        }
    }
    line.until("the return", |line| !line.on_target(1).is_empty()).await;
    for count in 5..10 {
        line.say(Topic::Telemetry, 2).await;
        let said = Instant::now();
        line.until("device 2", |line| line.on_target(2).len() == count).await;
        assert!(said.elapsed() < Duration::from_millis(200), "{:?}", said.elapsed());
        assert_eq!(line.on_target(2), Vec::from_iter(0..count as u64));
        assert!(line.on_target(1).len() < 1_500);
        sleep(Duration::from_secs(1)).await;
    }
    line.until("the end", |line| line.on_target(1).len() == 2_000).await;
    assert_eq!(line.on_target(1), Vec::from_iter(0..2_000));
    assert_eq!(line.arrived().await, line.spooled());
    sleep(Duration::from_secs(2)).await;
    for lag in ["devices_behind", "lag_records", "lag_bytes"] {
        assert_eq!(line.metric(&format!("sluice_gateway_forward_{lag}")), 0.0, "{lag}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_without_backlog_is_live_again() {
    let mut line = after_an_outage(slowly(1_000), 500).await;
    line.until("the backlog", |line| line.on_target(1).len() == 500).await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(line.metric("sluice_gateway_forward_devices_behind"), 0.0);
    assert_eq!(line.metric("sluice_gateway_forward_lag_records"), 0.0);
    assert_eq!(line.metric("sluice_gateway_forward_lag_bytes"), 0.0);
    line.say(Topic::Telemetry, 1).await;
    let said = Instant::now();
    line.until("the record", |line| line.on_target(1).len() == 501).await;
    assert!(said.elapsed() < Duration::from_millis(100));
}

/// A gateway whose devices all fell behind catches up: what comes meanwhile is not charged to the backlog's rate.
#[tokio::test(start_paused = true)]
async fn backlog_shrinks_however_much_comes() {
    let mut line = after_an_outage(slowly(200), 1_000).await;
    for _ in 0..150 {
        for _ in 0..40 {
            line.say(Topic::Telemetry, 1).await;
        }
        sleep(Duration::from_millis(100)).await;
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(line.on_target(1).len(), 7_000);
    assert_eq!(line.metric("sluice_gateway_forward_devices_behind"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn the_uplink_carries_what_it_is_said_to() {
    let uplink = Some(80_000);
    let mut line = Line::new(1, 1, Options { uplink_bits_per_second: uplink, ..Options::default() });
    line.start();
    for number in 0..4_000_u32 {
        line.say(Topic::Telemetry, (number % 7) as u8).await;
    }
    let bytes: usize = (0..7)
        .map(|device| {
            let values = 0..line.said[&device];
            values.map(|value| 8 + 1 + value.to_string().len() + 17 + GATEWAY.len()).sum::<usize>()
        })
        .sum();
    let started = Instant::now();
    line.until("all", |line| line.target.read_all(Topic::Telemetry).len() == 4_000).await;
    let rate = bytes as f64 / started.elapsed().as_secs_f64();
    assert!((9_000.0..11_500.0).contains(&rate), "{rate} bytes a second of 10,000");
    assert_eq!(line.arrived().await, line.spooled());
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_counted_once_and_its_lag_is_told() {
    let mut line = Line::new(2, 2, Options::default());
    line.start();
    line.target.fail_next_appends(30, unavailable);
    let quarantined = Record::Quarantined(Quarantined {
        device: "d".into(),
        topic_name: "up/d/telemetry".into(),
        ingest_time: MADE,
        reason: Reason::Empty,
        detail: "".into(),
        payload: Vec::new(),
        count: 1,
    });
    let mut batch = Batch::new();
    batch.push_with(b"d", |to| quarantined.encode(to));
    let place = TopicPartition { topic: Topic::Quarantine, partition: partition_of(b"d", 2) };
    line.spool.append(vec![(place, batch)]).await.unwrap();
    sleep(Duration::from_secs(21)).await;
    assert_eq!(line.metric("sluice_gateway_forward_target_down"), 1.0);
    assert_eq!(line.metric("sluice_gateway_forward_lag_records"), 1.0);
    assert!(line.metric("sluice_gateway_forward_lag_bytes") > 0.0);
    assert!((19.0..22.0).contains(&line.metric("sluice_gateway_forward_lag_seconds")));
    line.until("the end", |line| line.metric("sluice_gateway_forwarded_records_total") == 1.0).await;
    assert_eq!(line.metric("sluice_gateway_forward_target_down"), 0.0);
    assert_eq!(line.metric("sluice_gateway_forward_outages_total"), 1.0);
    assert_eq!(line.metric("sluice_gateway_forward_retries_total"), 30.0);
}

#[tokio::test(start_paused = true)]
async fn stopping_waits_for_the_answer_and_commits() {
    let mut line = Line::new(1, 1, Options::default());
    line.start();
    line.target.hold_appends(true);
    line.say(Topic::Telemetry, 1).await;
    line.until("the append", |line| line.on_target(1).len() == 1).await;
    line.stop.cancel();
    sleep(Duration::from_secs(1)).await;
    assert!(!line.running.is_finished());
    line.target.hold_appends(false);
    line.end().await.unwrap();
    line.start();
    line.say(Topic::Telemetry, 1).await;
    line.until("the next", |line| line.on_target(1).len() == 2).await;
    assert_eq!(line.on_target(1), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_does_not_answer_keeps_nobody() {
    let mut line = Line::new(1, 1, Options::default());
    line.start();
    line.target.hold_appends(true);
    line.say(Topic::Telemetry, 1).await;
    line.until("the append", |line| line.on_target(1).len() == 1).await;
    line.stop.cancel();
    let stopped = Instant::now();
    line.end().await.unwrap();
    assert!(stopped.elapsed() < Duration::from_secs(6));
}

#[tokio::test(start_paused = true)]
async fn the_second_forwarder_of_a_spool_fences_the_first() {
    let mut line = Line::new(1, 1, Options::default());
    line.start();
    line.say(Topic::Telemetry, 1).await;
    line.until("it", |line| line.on_target(1).len() == 1).await;
    let first = std::mem::replace(&mut line.running, tokio::spawn(async { Ok(()) }));
    line.start();
    let ended = timeout(PATIENCE, first).await.unwrap().unwrap();
    assert!(matches!(ended, Err(ForwardError::Spool(LogError::Fenced))), "{ended:?}");
    line.say(Topic::Telemetry, 1).await;
    line.until("the next", |line| line.on_target(1).contains(&1)).await;
}

#[tokio::test(start_paused = true)]
async fn an_id_that_another_gateway_claims_is_lost() {
    let target = MemoryLog::new(|_| 1);
    let claim = || {
        let stop = CancellationToken::new();
        (stop.clone(), tokio::spawn(forward::claim(target.consumer("gateway-1", &[Topic::Audit]), stop)))
    };
    let (_, first) = claim();
    sleep(Duration::from_secs(1)).await;
    assert!(!first.is_finished());
    let (stop, second) = claim();
    let ended = timeout(PATIENCE, first).await.unwrap().unwrap();
    assert!(matches!(ended, Err(LogError::Fenced)), "{ended:?}");
    // What it is given is none of its business.
    let mut batch = Batch::new();
    batch.push(b"actor", b"did");
    target.append(vec![(TopicPartition { topic: Topic::Audit, partition: 0 }, batch)]).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert!(!second.is_finished());
    stop.cancel();
    timeout(PATIENCE, second).await.unwrap().unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_closed_target_ends_it() {
    let mut line = Line::new(1, 1, Options::default());
    line.start();
    line.target.close();
    line.say(Topic::Telemetry, 1).await;
    assert!(matches!(line.end().await, Err(ForwardError::TargetClosed)));
}

/// A target that will not take a record later either is not offered it for ever; what it refused stays on the spool.
#[tokio::test(start_paused = true)]
async fn a_target_that_refuses_for_good_ends_it_and_nothing_is_passed_over() {
    let mut line = Line::new(1, 1, Options::default());
    line.start();
    line.say(Topic::Telemetry, 1).await;
    line.until("it arrives", |line| line.target.read_all(Topic::Telemetry).len() == 1).await;
    line.target.fail_next_appends(1, || AppendError::Refused("too large".into()));
    line.say(Topic::Telemetry, 1).await;
    line.say(Topic::Telemetry, 1).await;
    assert!(matches!(line.end().await, Err(ForwardError::Refused(AppendError::Refused(_)))));
    line.start();
    line.until("all arrives", |line| line.target.read_all(Topic::Telemetry).len() >= 3).await;
    assert_eq!(line.arrived().await, line.spooled());
}
