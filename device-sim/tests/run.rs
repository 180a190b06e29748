//! A city against a broker: everything arrives, whatever the broker does.

#![allow(clippy::unwrap_used)]

mod broker;

use broker::{Broker, Faults};
use device_sim::config::Fleet;
use device_sim::run::{Clock, Progress, RunConfig, run};
use device_sim::{City, CityConfig};
use firmware_protocol::TelemetryFrame;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

const NOW: i64 = 1_795_478_400_000;

/// Ten devices of every family.
fn city() -> Arc<City> {
    let fleet = |count, every_s| Fleet { count, every_s };
    let config = CityConfig {
        air: fleet(3, 60),
        water: fleet(1, 120),
        weather: fleet(1, 60),
        traffic: fleet(2, 60),
        rfid: fleet(2, 60),
        machine: fleet(1, 30),
        incident: Some(Vec::new()),
        ..CityConfig::default()
    };
    Arc::new(City::new(&config, NOW).unwrap())
}

/// A clock that starts at the city's start.
fn clock() -> Clock {
    let start = Instant::now();
    Arc::new(move || NOW + i64::try_from(start.elapsed().as_millis()).unwrap())
}

fn to(broker: &Broker) -> RunConfig {
    RunConfig { port: broker.port, ..RunConfig::default() }
}

/// What a device has to say in a stretch, by payload.
fn said(city: &City, device: usize, from: i64, to: i64) -> Vec<Vec<u8>> {
    city.schedule(device, from, to).map(|message| message.payload).collect()
}

#[tokio::test]
async fn backlog_then_live_each_message_once_and_in_order() {
    let (city, broker) = (city(), Broker::start(Faults::default()).await);
    let backlog = Duration::from_secs(4 * 3_600);
    let until = NOW + 600_000;
    let config = RunConfig { backlog, until: Some(until), speed: 1_000.0, ..to(&broker) };
    let progress = Arc::new(Progress::default());
    let report = run(city.clone(), config, clock(), progress, CancellationToken::new()).await;
    let mut live = 0;
    for (number, device) in city.devices().iter().enumerate() {
        let expected = said(&city, number, NOW - 4 * 3_600_000, until);
        live += said(&city, number, NOW, until).len() as u64;
        assert_eq!(broker.payloads(&format!("up/{}/telemetry", device.id)), expected, "{}", device.id);
    }
    assert!(report.is_live() && report.total > 3_000);
    assert_eq!((report.live, report.connected, report.refused), (live, 0, 0));
    assert_eq!(broker.count() as u64, report.total + live);
}

/// Windows over several devices need all of them at about the same place.
#[tokio::test]
async fn the_devices_of_a_backlog_stay_abreast() {
    let (city, broker) = (city(), Broker::start(Faults::default()).await);
    let config = RunConfig { backlog: Duration::from_secs(6 * 3_600), until: Some(NOW), ..to(&broker) };
    run(city, config, clock(), Arc::new(Progress::default()), CancellationToken::new()).await;
    let times: Vec<i64> = broker
        .arrivals()
        .iter()
        .map(|payload| TelemetryFrame::from_bytes(payload).unwrap().time.unwrap() - (NOW - 6 * 3_600_000))
        .collect();
    assert!(times.len() > 4_000 && times.is_sorted_by_key(|time| time / 1_800_000), "slices of half an hour");
    assert!(!times.is_sorted(), "within a slice they speak at the same time");
}

#[tokio::test]
async fn a_broker_that_hangs_up_gets_everything_at_least_once() {
    let (city, broker) =
        (city(), Broker::start(Faults { close_after: Some(137), ..Faults::default() }).await);
    let config = RunConfig { backlog: Duration::from_secs(4 * 3_600), until: Some(NOW), ..to(&broker) };
    let progress = Arc::new(Progress::default());
    let report = run(city.clone(), config, clock(), progress, CancellationToken::new()).await;
    assert_eq!(report.delivered, report.total);
    assert!(broker.connections() > 20, "{}", broker.connections());
    for (number, device) in city.devices().iter().enumerate() {
        let expected: BTreeSet<_> = said(&city, number, NOW - 4 * 3_600_000, NOW).into_iter().collect();
        let received = broker.payloads(&format!("up/{}/telemetry", device.id));
        assert_eq!(received.into_iter().collect::<BTreeSet<_>>(), expected, "{}", device.id);
    }
}

#[tokio::test]
async fn a_refused_device_tries_again_and_stops_when_told() {
    let (city, broker) =
        (city(), Broker::start(Faults { password: Some("right"), ..Faults::default() }).await);
    let wrong = city.devices().iter().map(|device| (device.id.clone(), "wrong".to_string())).collect();
    let config = RunConfig { passwords: wrong, backlog: Duration::from_secs(60), ..to(&broker) };
    let (progress, stop) = (Arc::new(Progress::default()), CancellationToken::new());
    let running = tokio::spawn(run(city, config, clock(), progress.clone(), stop.clone()));
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let report = progress.report();
    assert!(report.refused > 10 && report.connected == 0 && report.delivered == 0, "{report:?}");
    assert!(broker.connections() < 100, "it must wait between attempts");
    stop.cancel();
    timeout(Duration::from_secs(2), running).await.unwrap().unwrap();
}

#[tokio::test]
async fn live_devices_stop_when_told() {
    let (city, broker) =
        (city(), Broker::start(Faults { password: Some("right"), ..Faults::default() }).await);
    let right = city.devices().iter().map(|device| (device.id.clone(), "right".to_string())).collect();
    let config =
        RunConfig { passwords: right, backlog: Duration::from_secs(3_600), speed: 60.0, ..to(&broker) };
    let (progress, stop) = (Arc::new(Progress::default()), CancellationToken::new());
    assert!(!progress.report().is_live());
    let running = tokio::spawn(run(city, config, clock(), progress.clone(), stop.clone()));
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let report = progress.report();
    assert!(report.is_live() && report.live >= 10 && report.connected == 10, "{report:?}");
    stop.cancel();
    timeout(Duration::from_secs(2), running).await.unwrap().unwrap();
    assert_eq!(progress.report().connected, 0);
}
