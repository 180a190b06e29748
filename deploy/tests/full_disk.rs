//! A full data disk: devices see a slow broker, nothing acknowledged is lost, and all goes on when space returns.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use support::device::Device;
use support::disk::Disk;
use support::sluice::{Folder, http_get};

const MESSAGES: usize = 120_000;
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
#[ignore = "needs root for a small disk"]
fn nothing_acknowledged_is_lost_and_all_goes_on_when_space_returns() {
    let folder = Folder::new("");
    let disk = Disk::mount(folder.dir.path().join("disk"));
    folder.move_data(&disk.path().join("data"));
    let others = disk.fill(58);
    let password = folder.add_device("w-1", "weather", &[]);
    let sluice = folder.start();
    let address = sluice.address("mqtt");
    let start = deploy::clock::now().millis() - 3_600_000;

    let acknowledged = Arc::new(AtomicUsize::new(0));
    let count = acknowledged.clone();
    let device = std::thread::spawn(move || {
        let device = Device { id: "w-1".into(), password, in_flight: 500, per_second: None };
        let payloads: Vec<Vec<u8>> = (0..MESSAGES).map(|index| payload(index, start)).collect();
        device.publish_all(
            || address,
            &payloads,
            Instant::now() + PATIENCE,
            |index| {
                count.store(index + 1, Ordering::SeqCst);
            },
        );
    });

    let stalled_at = stall(&acknowledged);
    assert!(stalled_at < MESSAGES, "the disk was meant to be too small");
    assert!(folder.log().contains("the log can't be written"), "the terminal says so:\n{}", folder.log());
    assert_eq!(http_get(sluice.address("admin"), "/healthz").0, 200, "it waits, it does not die");

    std::fs::remove_file(others).expect("it was there");
    device.join().expect("everything is acknowledged, without a restart");
    let path = format!(
        "/api/v1/series?device=w-1&quantity=temperature&from={start}&to={}&bucket=1d",
        start + 7_200_000
    );
    let sum = |series: &serde_json::Value| -> u64 {
        let counts = series["count"].as_array().map(Vec::as_slice).unwrap_or_default();
        counts.iter().filter_map(serde_json::Value::as_u64).sum()
    };
    let series = sluice.get_until(&path, PATIENCE, |series| sum(series) >= MESSAGES as u64);
    assert_eq!(sum(&series), MESSAGES as u64, "each once");
    let lines = folder.log().lines().count();
    assert!(lines < 60, "an outage is told once, not {lines} times:\n{}", folder.log());
    assert_eq!(sluice.stop(), Some(0));
}

fn payload(index: usize, start: i64) -> Vec<u8> {
    let time = start + 10 * index as i64;
    format!(r#"{{"epoch": 1, "sequence": {index}, "time": {time}, "temperature": 21.5}}"#).into_bytes()
}

/// Waits until nothing has been acknowledged for two seconds, and returns how much had been.
fn stall(acknowledged: &AtomicUsize) -> usize {
    let deadline = Instant::now() + PATIENCE;
    let (mut last, mut since) = (0, Instant::now());
    while last == 0 || since.elapsed() < Duration::from_secs(2) {
        assert!(Instant::now() < deadline, "acknowledgements never stop");
        let now = acknowledged.load(Ordering::SeqCst);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    last
}
