//! `kill -9` in the middle of a flood, and the same telemetry on other numbers of partitions: what was acknowledged
//! is there exactly once, and windows and alerts equal those of an undisturbed run.

mod support;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use records::Name;
use support::course::course;
use support::device::Device;
use support::outcome::Outcome;
use support::sluice::Folder;

const DEVICES: usize = 12;
const MINUTES: i64 = 40;
const PATIENCE: Duration = Duration::from_secs(240);

/// Runs the fleet against a server that is killed `kills` times, and returns what was acknowledged and what came out.
fn run(start: i64, partitions: u32, workers: u32, kills: u32) -> (BTreeSet<(Name, u64)>, Outcome) {
    let folder = Folder::new(&format!("[log]\npartitions = {partitions}\n[stream]\nworkers = {workers}\n"));
    let devices: Vec<Device> = (0..DEVICES)
        .map(|index| {
            let id = format!("m-{index}");
            let password = folder.add_device(&id, "machine", &["--area", "plant/line-1"]);
            Device { id, password, in_flight: 50, per_second: None }
        })
        .collect();
    let mut sluice = folder.start();
    let address: Arc<Mutex<SocketAddr>> = Arc::new(Mutex::new(sluice.address("mqtt")));
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    let threads: Vec<_> = devices
        .into_iter()
        .enumerate()
        .map(|(index, device)| {
            let (address, acknowledged) = (address.clone(), acknowledged.clone());
            std::thread::spawn(move || {
                let current = || *address.lock().expect("no panic while it is held");
                let payloads = course(index, start, MINUTES);
                device.publish_all(current, &payloads, Instant::now() + PATIENCE, |sequence| {
                    let key = (Name::from(device.id.as_str()), sequence as u64);
                    acknowledged.lock().expect("no panic while it is held").insert(key);
                });
            })
        })
        .collect();
    let total = DEVICES * (MINUTES as usize * 60 + 1);
    let delivered = || acknowledged.lock().expect("no panic while it is held").len();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64 ^ start.unsigned_abs();
    for kill in 1..=kills as usize {
        // Somewhere behind each share of the flood, so that every kill hits it in its middle.
        while delivered() < total * kill / (kills as usize + 2) {
            assert!(threads.iter().all(|thread| !thread.is_finished()), "a device ended before kill {kill}");
            std::thread::sleep(Duration::from_millis(1));
        }
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_micros((seed >> 33) % 10_000));
        assert!(delivered() < total, "kill {kill} came when all was done");
        sluice.kill();
        sluice = folder.start();
        *address.lock().expect("no panic while it is held") = sluice.address("mqtt");
    }
    for thread in threads {
        thread.join().expect("the device is done");
    }
    for index in 0..DEVICES {
        let last = start + (MINUTES + 30) * 60_000;
        let path = format!("/api/v1/series?device=m-{index}&quantity=vibration&from={last}&to={}", last + 1);
        sluice.get_until(&path, PATIENCE, |series| {
            series["t"].as_array().is_some_and(|times| times.len() == 1)
        });
    }
    assert_eq!(sluice.stop(), Some(0), "its log:\n{}", folder.log());
    let acknowledged = std::mem::take(&mut *acknowledged.lock().expect("no panic while it is held"));
    let mut outcome = Outcome::read(&folder.data(), partitions);
    // The window of the last reading is still open, or closed by patience: that is the wall clock's choice.
    outcome.aggregates.retain(|(_, _, window), _| window.start.millis() < start + MINUTES * 60_000);
    (acknowledged, outcome)
}

fn start() -> i64 {
    (deploy::clock::now().millis() - 3 * 3_600_000).div_euclid(60_000) * 60_000
}

#[test]
fn ten_kills_lose_nothing_double_nothing_and_change_nothing() {
    let start = start();
    let (_, undisturbed) = run(start, 4, 2, 0);
    assert_eq!(undisturbed.observations.len(), DEVICES * (MINUTES as usize * 60 + 1));
    assert!(undisturbed.aggregates.len() >= DEVICES * MINUTES as usize, "{}", undisturbed.aggregates.len());
    assert!(undisturbed.alerts.len() >= 2 * DEVICES, "alerts open and clear: {}", undisturbed.alerts.len());

    let (acknowledged, killed) = run(start, 4, 2, 10);
    for key in &acknowledged {
        assert_eq!(killed.observations.get(key), Some(&1), "{key:?} was acknowledged");
    }
    assert_eq!(killed.observations, undisturbed.observations);
    assert_eq!(killed.aggregates, undisturbed.aggregates);
    assert_eq!(killed.alerts, undisturbed.alerts);
}

#[test]
fn partitions_and_workers_change_nothing() {
    let start = start();
    let (_, one) = run(start, 1, 1, 0);
    for (partitions, workers) in [(2, 2), (4, 3)] {
        let (_, other) = run(start, partitions, workers, 0);
        assert_eq!(other, one, "{partitions} partitions, {workers} workers");
    }
}
