//! A flood of telemetry over QoS 1, far cheaper to make than to take: packets are copied from a template and
//! written in bursts, acknowledgements are read in place.

mod connection;

mod histogram;

mod ledger;

mod packet;

pub use histogram::Histogram;

use crate::run::Clock;
use connection::Connection;
use ledger::Ledger;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How to flood.
#[derive(Clone, Debug)]
pub struct LoadConfig {
    /// Host of the broker.
    pub host: String,
    /// Its MQTT port.
    pub port: u16,
    /// A connection each: device id and password.
    pub users: Vec<(String, Option<String>)>,
    /// Messages of a connection that wait for their acknowledgement, 1 to 65,535.
    pub in_flight: usize,
    /// How long to send; what is in flight then is waited for.
    pub duration: Duration,
    /// Bytes of a payload; smaller than the frame itself means the frame itself.
    pub payload: usize,
    /// Messages a second over all connections; as fast as the broker takes them when `None`.
    pub rate: Option<f64>,
    /// The devices' epoch; must be new for each run, because sequences start at 0.
    pub epoch: u32,
    /// Where to write `device,sequence` of each acknowledged message.
    pub ledger: Option<PathBuf>,
    /// Whether to come back after a connection was lost, sending again what was not acknowledged.
    pub reconnect: bool,
}

/// Why a flood ended early.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A configuration that can't be.
    #[error("{0}")]
    Config(&'static str),
    /// The ledger can't be written.
    #[error("the ledger can't be written")]
    Ledger(#[source] std::io::Error),
    /// A connection could not be made or was lost, and `reconnect` is off.
    #[error("{device}: connection failed")]
    Lost {
        /// Whose.
        device: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
}

/// What came of a flood.
#[derive(Clone, Debug, Default)]
pub struct LoadReport {
    /// Messages acknowledged.
    pub acknowledged: u64,
    /// Messages never acknowledged.
    pub unacknowledged: u64,
    /// Messages sent again after a reconnection.
    pub resent: u64,
    /// Connections lost.
    pub lost: u64,
    /// Bytes of a payload.
    pub payload: usize,
    /// From the first message to the last acknowledgement.
    pub elapsed: Duration,
    /// From writing a message to reading its acknowledgement.
    pub latency: Histogram,
    /// Processor time of this process, where the system tells.
    pub cpu: Option<Duration>,
}

impl LoadReport {
    /// Acknowledgements a second.
    pub fn rate(&self) -> f64 {
        self.acknowledged as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// Floods until the duration is over or `stop`; then waits up to ten seconds for what is in flight.
pub async fn load(
    config: LoadConfig,
    clock: Clock,
    stop: CancellationToken,
) -> Result<LoadReport, LoadError> {
    check(&config)?;
    let ledger =
        config.ledger.as_deref().map(Ledger::create).transpose().map_err(LoadError::Ledger)?.map(Arc::new);
    let flushing = ledger.clone().map(|ledger| tokio::spawn(ledger::keep(ledger)));
    let (start, busy) = (Instant::now(), cpu_time());
    let config = Arc::new(config);
    let mut tasks = JoinSet::new();
    for number in 0..config.users.len() {
        let connection = Connection::new(config.clone(), number, start, clock.clone(), ledger.clone());
        tasks.spawn(connection.run(stop.clone()));
    }
    let mut report = LoadReport::default();
    let mut failure = None;
    while let Some(done) = tasks.join_next().await {
        match done.expect("a connection's code does not panic, and nobody aborts it") {
            Ok(part) => report.add(part),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    report.cpu = cpu_time().zip(busy).map(|(now, before)| now.saturating_sub(before));
    if let Some(flushing) = flushing {
        flushing.abort();
    }
    if let Some(ledger) = ledger {
        ledger.flush().map_err(LoadError::Ledger)?;
    }
    failure.map_or(Ok(report), Err)
}

impl LoadReport {
    fn add(&mut self, part: LoadReport) {
        self.acknowledged += part.acknowledged;
        self.unacknowledged += part.unacknowledged;
        self.resent += part.resent;
        self.lost += part.lost;
        self.payload = part.payload;
        self.elapsed = self.elapsed.max(part.elapsed);
        self.latency.add(&part.latency);
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |quantile| self.latency.quantile(quantile).as_secs_f64() * 1e3;
        writeln!(
            f,
            "acknowledged    {} of {} bytes in {:.2} s",
            self.acknowledged,
            self.payload,
            self.elapsed.as_secs_f64()
        )?;
        writeln!(f, "PUBACK/s        {:.0}", self.rate())?;
        writeln!(
            f,
            "latency         p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms",
            millis(0.5),
            millis(0.99),
            millis(0.999)
        )?;
        if let Some(cpu) = self.cpu {
            let micros = cpu.as_secs_f64() * 1e6 / self.acknowledged.max(1) as f64;
            writeln!(f, "own processor   {micros:.2} us a message")?;
        }
        write!(
            f,
            "unacknowledged  {}, sent again {}, connections lost {}",
            self.unacknowledged, self.resent, self.lost
        )
    }
}

fn check(config: &LoadConfig) -> Result<(), LoadError> {
    match config {
        config if config.users.is_empty() => Err(LoadError::Config("there must be at least one connection")),
        config if !(1..=65_535).contains(&config.in_flight) => {
            Err(LoadError::Config("in-flight must be 1 to 65535"))
        }
        config if config.rate.is_some_and(|rate| !(rate > 0.0 && rate < 1e9)) => {
            Err(LoadError::Config("rate must be above 0"))
        }
        config if config.payload > 200_000 => Err(LoadError::Config("payload must be at most 200000")),
        _ => Ok(()),
    }
}

/// Processor time of this process so far, where `/proc` tells (in hundredths of a second).
fn cpu_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(Duration::from_millis(ticks * 10))
}
