//! The flood: counts what was acknowledged, and loses nothing when the broker goes away.

#![allow(clippy::unwrap_used)]

mod broker;

use broker::{Broker, Faults};
use device_sim::load::{LoadConfig, LoadError, LoadReport, load};
use device_sim::run::Clock;
use firmware_protocol::TelemetryFrame;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const NOW: i64 = 1_795_478_400_000;

fn config(broker: &Broker, duration: Duration) -> LoadConfig {
    LoadConfig {
        host: "127.0.0.1".to_string(),
        port: broker.port,
        users: ["load-1", "load-2"].map(|device| (device.to_string(), Some("right".to_string()))).to_vec(),
        in_flight: 20,
        duration,
        payload: 200,
        rate: None,
        epoch: 7,
        ledger: None,
        reconnect: false,
    }
}

async fn flood(config: LoadConfig) -> Result<LoadReport, LoadError> {
    let clock: Clock = Arc::new(|| NOW);
    load(config, clock, CancellationToken::new()).await
}

fn sequences(broker: &Broker, device: &str) -> Vec<u64> {
    let payloads = broker.payloads(&format!("up/{device}/telemetry"));
    payloads.iter().map(|payload| TelemetryFrame::from_cbor(payload).unwrap().sequence.unwrap()).collect()
}

fn ledger(path: &Path, device: &str) -> Vec<u64> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix(device)?.strip_prefix(','));
    lines.map(|sequence| sequence.parse().unwrap()).collect()
}

#[tokio::test]
async fn what_is_reported_has_arrived() {
    let broker = Broker::start(Faults::default()).await;
    let report = flood(config(&broker, Duration::from_millis(300))).await.unwrap();
    assert!(report.acknowledged > 200);
    assert_eq!((report.acknowledged, report.unacknowledged), (broker.count() as u64, 0));
    assert_eq!((report.payload, report.lost, report.resent), (200, 0, 0));
    assert!(report.latency.quantile(0.5) > Duration::ZERO);
    for device in ["load-1", "load-2"] {
        let arrived = sequences(&broker, device);
        assert_eq!(arrived, (0..arrived.len() as u64).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn the_ledger_survives_a_broker_that_goes_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.csv");
    let broker = Broker::start(Faults { close_after: Some(203), ..Faults::default() }).await;
    let config = LoadConfig {
        ledger: Some(path.clone()),
        reconnect: true,
        rate: Some(4_000.0),
        ..config(&broker, Duration::from_millis(700))
    };
    let report = flood(config).await.unwrap();
    assert!(report.lost >= 4 && report.resent > 0, "{report}");
    assert_eq!(report.unacknowledged, 0);
    for device in ["load-1", "load-2"] {
        let promised = ledger(&path, device);
        assert_eq!(promised.iter().collect::<BTreeSet<_>>().len(), promised.len(), "each once");
        let arrived: BTreeSet<_> = sequences(&broker, device).into_iter().collect();
        assert_eq!(promised.into_iter().collect::<BTreeSet<_>>(), arrived);
    }
}

#[tokio::test]
async fn a_rate_is_kept() {
    let broker = Broker::start(Faults::default()).await;
    let config = LoadConfig { rate: Some(500.0), ..config(&broker, Duration::from_secs(1)) };
    let report = flood(config).await.unwrap();
    assert!((400..=500).contains(&report.acknowledged), "{report}");
}

#[tokio::test]
async fn without_reconnect_a_loss_is_an_error() {
    let broker = Broker::start(Faults { close_after: Some(100), ..Faults::default() }).await;
    let error = flood(config(&broker, Duration::from_secs(5))).await.unwrap_err();
    assert!(matches!(error, LoadError::Lost { .. }), "{error}");
    let refusing = Broker::start(Faults { password: Some("other"), ..Faults::default() }).await;
    let error = flood(config(&refusing, Duration::from_secs(5))).await.unwrap_err();
    let LoadError::Lost { cause, .. } = error else { panic!("{error}") };
    assert_eq!(cause.to_string(), "the broker refused the connection with code 5");
}

#[tokio::test]
async fn what_can_not_be_is_refused() {
    let broker = Broker::start(Faults::default()).await;
    let check = async |change: fn(&mut LoadConfig)| {
        let mut config = config(&broker, Duration::from_millis(10));
        change(&mut config);
        assert!(matches!(flood(config).await, Err(LoadError::Config(_))));
    };
    check(|c| c.users.clear()).await;
    check(|c| c.in_flight = 0).await;
    check(|c| c.in_flight = 65_536).await;
    check(|c| c.rate = Some(0.0)).await;
    check(|c| c.rate = Some(f64::NAN)).await;
    check(|c| c.payload = 1 << 20).await;
}
