//! Faults under 5,000 messages a second on a real Kafka: what was acknowledged is there once, and everything that
//! came of it equals a run without faults. The table in `deploy/README.md` says what was found.
//!
//! How much: `SLUICE_CHAOS_RATE`, messages a second, 5,000 unless told; `SLUICE_CHAOS_KILLS`, how often each process is killed in the first of them;
//! `SLUICE_CHAOS_AWAY`, for how many seconds Kafka is away, 20 unless told; `SLUICE_CHAOS_STOPS`, how often a process is asked to stop.

#[path = "../support/mod.rs"]
mod support;

mod city;
mod watcher;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use city::{City, Plan};
use support::broker::Broker;
use support::disk::Disk;
use watcher::{Watcher, percentile};

/// One fault at a time: two cores carry one flood.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn told(name: &str, otherwise: u32) -> u32 {
    std::env::var(name)
        .map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn given_broker() -> String {
    std::env::var("SLUICE_KAFKA").expect("SLUICE_KAFKA names a broker")
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// The next number of a linear congruential generator, for choices that only have to differ.
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

#[test]
#[ignore = "needs Kafka"]
fn every_role_is_killed_at_random() {
    let _turn = turn();
    let kills = told("SLUICE_CHAOS_KILLS", 1);
    let mut seed = u64::from(kills);
    let plan = Plan::lasting(seconds(10 + 12 * u64::from(kills)));
    let undisturbed = plan.undisturbed();
    let mut city = City::start(plan, &given_broker(), 1, &["stream-1"]);
    let mut rounds: Vec<&'static str> = city.names().repeat(kills as usize);
    let count = rounds.len();
    for kill in 1..=count {
        city.wait_for_share(0.9 * kill as f64 / (count + 1) as f64);
        let name = rounds.swap_remove(next(&mut seed) as usize % rounds.len());
        city.kill(name);
        std::thread::sleep(Duration::from_millis(next(&mut seed) % 500));
        city.run(name);
    }
    city.judge(&undisturbed);
    println!("{count} kills in {} messages", undisturbed.observations.len());
}

/// Devices that speak in the outage have a backlog after it; the quiet ones have none, and are as fast as before at
/// once, whatever the others still have to catch up on.
#[test]
#[ignore = "needs Kafka"]
fn the_broker_is_away() {
    let _turn = turn();
    let away = u64::from(told("SLUICE_CHAOS_AWAY", 20));
    let (away, after) = (seconds(away), seconds(30 + away / 5));
    let plan = Plan::lasting(seconds(20) + away + after).with_quiet_devices(after);
    let undisturbed = plan.undisturbed();
    let broker = Broker::start(1);
    let city = City::start(plan, &broker.address, 1, &["stream-1"]);
    let watcher = Watcher::start(&city.site);
    watcher.wait();
    // The first seconds are those in which everybody finds everybody.
    let settled = Instant::now() + seconds(5);
    city.wait_for_quiet_devices(false);
    let (gone, before) = (Instant::now(), city.share());
    broker.kill(1);
    std::thread::sleep(away);
    let during = (city.share() - before) * undisturbed.observations.len() as f64 / away.as_secs_f64();
    broker.restart(1);
    let back = Instant::now();
    city.end_silence();
    city.wait_for_quiet_devices(true);
    let (spoken, sights) = (Instant::now(), watcher.end());
    assert!(
        during > city::per_second() / 2.0,
        "devices saw the outage: only {during} a second were acknowledged in it"
    );
    let normal = percentile(&sights.ways(settled, gone), 99);
    sights.tell(back);
    // Told and not judged: how fast it goes is a matter of the machine, the build, and who else uses both.
    let swift = sights.swift_after(back, 2 * normal);
    println!(
        "live data was at most {normal:?} on its way (p99), and at most twice that {swift:?} s after the return"
    );
    let drained = sights.drained_after(back, seconds(1));
    let end = drained.map_or(spoken, |drained| back + drained);
    let draining = percentile(&sights.ways(back + seconds(swift.unwrap_or(0)), end), 99);
    println!(
        "{during:.0} messages a second were taken in the outage; live p99 while draining {draining:?}; drained {drained:?} after the return"
    );
    city.judge(&undisturbed);
}

#[test]
#[ignore = "needs Kafka"]
fn a_leader_of_three_is_killed() {
    let _turn = turn();
    let plan = Plan::lasting(seconds(40));
    let undisturbed = plan.undisturbed();
    let broker = Broker::start(3);
    let city = City::start(plan, &broker.address, 3, &["stream-1"]);
    let watcher = Watcher::start(&city.site);
    city.wait_for_share(0.25);
    // With four partitions on three brokers each broker leads one at least.
    let since = Instant::now();
    broker.kill(2);
    city.wait_for_share(0.85);
    let gaps = watcher.end().gaps(since);
    broker.restart(2);
    city.judge(&undisturbed);
    // Told and not judged, as above.
    println!("longest time without a new observation, by partition: {gaps:?}");
}

#[test]
#[ignore = "needs Kafka"]
fn workers_join_and_leave() {
    let _turn = turn();
    let plan = Plan::lasting(seconds(30));
    let undisturbed = plan.undisturbed();
    let mut city = City::start(plan, &given_broker(), 1, &["stream-1"]);
    city.wait_for_share(0.2);
    city.run("stream-2");
    city.run("stream-3");
    city.wait_for_share(0.5);
    // Under its own name, within the session timeout: nothing moves.
    let watcher = Watcher::start(&city.site);
    city.wait_for_share(0.6);
    let since = Instant::now();
    city.kill("stream-2");
    city.run("stream-2");
    city.wait_for_share(0.75);
    let gaps = watcher.end().gaps(since);
    city.stop("stream-1");
    city.kill("stream-3");
    city.judge(&undisturbed);
    println!("longest time without a new observation around a restart, by partition: {gaps:?}");
}

#[test]
#[ignore = "needs Kafka"]
fn everything_is_killed_at_once() {
    let _turn = turn();
    let plan = Plan::lasting(seconds(30));
    let undisturbed = plan.undisturbed();
    let broker = Broker::start(1);
    let mut city = City::start(plan, &broker.address, 1, &["stream-1", "stream-2"]);
    city.wait_for_share(0.4);
    let names = city.names();
    broker.kill(1);
    for name in &names {
        city.kill(name);
    }
    broker.restart(1);
    for name in names {
        city.run(name);
    }
    city.judge(&undisturbed);
}

/// Kafka is away and the gateway's disk is full: its devices wait, and go on when there is room, with Kafka still away.
#[test]
#[ignore = "needs Kafka, and root for a small disk"]
fn the_disk_of_a_spool_is_full() {
    let _turn = turn();
    let plan = Plan::lasting(seconds(60));
    let undisturbed = plan.undisturbed();
    let broker = Broker::start(1);
    let dir = tempfile::tempdir().expect("a folder for the disk");
    let disk = Disk::mount(dir.path().join("disk"));
    let others = disk.fill(54);
    let city = City::start_in(plan, &broker.address, 1, &["stream-1"], |name, folder| {
        if name == "gateway-1" {
            folder.move_data(&disk.path().join("data"));
        }
    });
    city.wait_for_share(0.05);
    broker.kill(1);
    let taken = wait_until_it_stands(&city);
    assert!(city.is_healthy("gateway-1"), "it waits, it does not die");
    let told = city.log_of("gateway-1");
    assert!(told.contains("can't be written"), "it says so:\n{told}");
    std::fs::remove_file(others).expect("it was there");
    let freed = Instant::now();
    while city.taken_by(1) < taken + 1_000 {
        assert!(freed.elapsed() < seconds(60), "nothing more is taken");
        std::thread::sleep(Duration::from_millis(20));
    }
    println!("full after {taken} messages; 1,000 more were taken {:?} after it was freed", freed.elapsed());
    broker.restart(1);
    city.judge(&undisturbed);
}

/// Until gateway 1 has acknowledged nothing for three seconds; returns how much it had.
fn wait_until_it_stands(city: &City) -> usize {
    let (mut last, mut since) = (city.taken_by(1), Instant::now());
    while since.elapsed() < seconds(3) {
        std::thread::sleep(Duration::from_millis(100));
        let now = city.taken_by(1);
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    last
}

/// Asked to stop at any moment of start, load, backlog, rebalance and outage, every process ends in order, and soon.
#[test]
#[ignore = "needs Kafka"]
fn stopping_is_prompt_whenever_it_is_asked() {
    let _turn = turn();
    let stops = told("SLUICE_CHAOS_STOPS", 8);
    let mut seed = u64::from(stops);
    let plan = Plan::lasting(seconds(20 + 4 * u64::from(stops)));
    let undisturbed = plan.undisturbed();
    let broker = Broker::start(1);
    let mut city = City::start(plan, &broker.address, 1, &["stream-1", "stream-2"]);
    city.wait_for_share(0.02);
    let (names, mut longest) = (city.names(), (Duration::ZERO, ""));
    for stop in 0..stops as usize {
        let name = names[stop % names.len()];
        let is_outage = next(&mut seed).is_multiple_of(4);
        if is_outage {
            broker.kill(1);
            std::thread::sleep(Duration::from_millis(next(&mut seed) % 3_000));
        }
        let took = if next(&mut seed).is_multiple_of(2) {
            city.start_and_stop(name, Duration::from_millis(next(&mut seed) % 1_500))
        } else {
            city.stop(name)
        };
        println!("{name}{} ended in {took:?}", if is_outage { ", without Kafka," } else { "" });
        longest = longest.max((took, name));
        if is_outage {
            broker.restart(1);
        }
        city.run(name);
        std::thread::sleep(Duration::from_millis(next(&mut seed) % 2_000));
    }
    city.judge(&undisturbed);
    println!("{stops} stops, the longest of {} took {:?}", longest.1, longest.0);
}
