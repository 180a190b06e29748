//! How long a reading is on its way from a device's socket to a reader of Kafka, through a gateway with its spool.
//!
//! `SLUICE_LATENCY_RATE`: messages a second, 2,000 unless told. The way is told and not judged: it is a matter of the
//! machine, the build, and who else uses both.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use records::{Consumer, Record, Topic};
use support::course::course;
use support::device::Device;
use support::site::Site;

const DEVICES: usize = 20;
const SECONDS: usize = 10;
/// The first seconds are those in which everybody finds everybody.
const SETTLING: usize = 2;
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
#[ignore = "needs Kafka"]
fn a_reading_is_soon_on_kafka() {
    let rate: usize =
        std::env::var("SLUICE_LATENCY_RATE").map_or(2_000, |text| text.parse().expect("a number"));
    let each = rate * SECONDS / DEVICES;
    let site = Site::on_the_given_broker();
    let folder = site.process("gateway-1", "");
    let devices: Vec<Device> = (0..DEVICES)
        .map(|index| {
            let (id, per_second) = (format!("m-{index}"), Some(rate as f64 / DEVICES as f64));
            let password = folder.add_device(&id, "machine", &[]);
            Device { id, password, in_flight: 100, per_second }
        })
        .collect();
    let gateway = folder.try_start(&["gateway"]).expect("the gateway starts");
    let address = gateway.address("mqtt");
    let start = deploy::clock::now().millis() - 86_400_000;
    let is_told = AtomicBool::new(false);
    let mut ways = std::thread::scope(|scope| {
        let ways = scope.spawn(|| watch(&site, each * DEVICES, &is_told));
        while !is_told.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(10));
        }
        for (index, device) in devices.iter().enumerate() {
            scope.spawn(move || {
                let mut payloads = course(index, start, each.div_ceil(60) as i64);
                payloads.truncate(each);
                device.publish_all(|| address, &payloads, Instant::now() + PATIENCE, |_| {});
            });
        }
        ways.join().expect("watching does not fail")
    });
    assert_eq!(ways.len(), each * DEVICES);
    let mut ways = ways.split_off(rate * SETTLING);
    ways.sort_unstable();
    let at = |thousandths: usize| ways[(ways.len() - 1) * thousandths / 1000];
    println!(
        "{rate} messages a second, publish to Kafka: p50 {} ms, p99 {} ms, p99.9 {} ms",
        at(500),
        at(990),
        at(999)
    );
    assert_eq!(gateway.stop(), Some(0), "{}", folder.log());
}

/// How many milliseconds each of so many readings was on its way, in the order in which they came.
fn watch(site: &Site, count: usize, is_told: &AtomicBool) -> Vec<i64> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let log = site.log("watcher").await;
        let mut consumer = log.consumer("watcher", &[Topic::Telemetry]);
        is_told.store(true, Ordering::Release);
        let (mut ways, deadline) = (Vec::with_capacity(count), Instant::now() + PATIENCE);
        while ways.len() < count {
            assert!(Instant::now() < deadline, "only {} of {count} have come", ways.len());
            let Ok(fetched) = tokio::time::timeout(Duration::from_secs(1), consumer.poll()).await else {
                continue;
            };
            let fetched = fetched.expect("Kafka stays").expect("nobody closes this log");
            let now = deploy::clock::now().millis();
            for (_, _, value) in fetched.records() {
                if let Ok(Record::Observation(observation)) = Record::decode(value) {
                    ways.push(now - observation.ingest_time.millis());
                }
            }
        }
        log.close().await;
        ways
    })
}
