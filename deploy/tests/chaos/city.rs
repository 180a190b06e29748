//! Two gateways, stream workers and sinks on one Kafka, a fleet in front, and what came of it in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use records::Name;

use super::support::course::course;
use super::support::device::Device;
use super::support::outcome::Outcome;
use super::support::site::Site;
use super::support::sluice::{Folder, Sluice, http_get};
use super::told;

const DEVICES: usize = 12;
const PATIENCE: Duration = Duration::from_secs(1800);

/// Devices that say little, and nothing while they are told to be silent: nothing of theirs waits after an outage.
const QUIET: usize = 4;
/// What each of them says before, and a second.
const QUIET_FIRST: usize = 100;
const QUIET_PER_SECOND: f64 = 5.0;

/// Windows close by what devices say, not by how long an outage lasts; and an hour of what a device says passes in
/// seconds, which is nothing to judge a clock by.
const STREAM: &str = "[stream]\npatience = \"12h\"\n[clock]\npolicy = \"trust\"\n";

type Address = Arc<Mutex<SocketAddr>>;

/// What a fleet says within one run, and when it began.
#[derive(Clone, Copy)]
pub struct Plan {
    /// First event time.
    start: i64,
    /// Event time that it covers; a device says something each second of it.
    minutes: i64,
    /// The same for each quiet device, up to the same end; 0: there are none.
    quiet_minutes: i64,
}

/// How many messages the fleet says in a second.
pub fn per_second() -> f64 {
    f64::from(told("SLUICE_CHAOS_RATE", 5_000))
}

impl Plan {
    /// As many minutes as are said in `length`.
    pub fn lasting(length: Duration) -> Plan {
        let messages = length.as_secs_f64() * per_second() / DEVICES as f64;
        let minutes = (messages / 60.0).ceil() as i64;
        let now = deploy::clock::now().millis();
        let start = (now - (minutes + 60) * 60_000).div_euclid(60_000) * 60_000;
        Plan { start, minutes, quiet_minutes: 0 }
    }

    /// With quiet devices that speak for 20 s, are silent until [`City::end_silence`], and then speak for `length`.
    pub fn with_quiet_devices(self, length: Duration) -> Plan {
        let messages = QUIET_FIRST as f64 + length.as_secs_f64() * QUIET_PER_SECOND;
        Plan { quiet_minutes: (messages / 60.0).ceil() as i64, ..self }
    }

    fn devices(self) -> usize {
        if self.quiet_minutes > 0 { DEVICES + QUIET } else { DEVICES }
    }

    fn minutes_of(self, index: usize) -> i64 {
        if index < DEVICES { self.minutes } else { self.quiet_minutes }
    }

    fn payloads(self, index: usize) -> Vec<Vec<u8>> {
        let minutes = self.minutes_of(index);
        course(index, self.start + (self.minutes - minutes) * 60_000, minutes)
    }

    fn count(self, index: usize) -> usize {
        usize::try_from(self.minutes_of(index)).expect("some minutes") * 60 + 1
    }

    fn messages(self) -> usize {
        (0..self.devices()).map(|index| self.count(index)).sum()
    }

    fn last(self) -> i64 {
        self.start + (self.minutes + 30) * 60_000
    }

    /// What comes of it without any fault, in one process.
    pub fn undisturbed(self) -> Outcome {
        let folder = Folder::new(&format!("[log]\npartitions = 4\n{STREAM}"));
        let devices = (0..self.devices()).map(|index| device(&folder, index, false)).collect();
        let sluice = folder.start();
        let address = Arc::new(Mutex::new(sluice.address("mqtt")));
        Fleet::start(self, devices, &[address], Arc::new(AtomicBool::new(false))).join();
        wait_for_the_last(&sluice, self);
        assert_eq!(sluice.stop(), Some(0), "{}", folder.log());
        self.comparable(Outcome::read(&folder.data(), 4))
    }

    /// The windows of the last reading are still open, or closed by patience: that is the wall clock's choice.
    fn comparable(self, mut outcome: Outcome) -> Outcome {
        outcome
            .aggregates
            .retain(|(_, _, window), _| window.start.millis() < self.start + self.minutes * 60_000);
        outcome
    }
}

fn name(index: usize) -> String {
    if index < DEVICES { format!("m-{index}") } else { format!("{QUIET_PREFIX}{index}") }
}

/// How the names of quiet devices begin.
pub const QUIET_PREFIX: &str = "quiet-";

fn device(folder: &Folder, index: usize, is_paced: bool) -> Device {
    let (id, is_quiet) = (name(index), index >= DEVICES);
    let area: &[&str] = if is_quiet { &[] } else { &["--area", "plant/line-1"] };
    let password = folder.add_device(&id, "machine", area);
    let pace = if is_quiet { QUIET_PER_SECOND } else { per_second() / DEVICES as f64 };
    Device { id, password, in_flight: 50, per_second: is_paced.then_some(pace) }
}

fn wait_for_the_last(sinks: &Sluice, plan: Plan) {
    for index in 0..plan.devices() {
        let (name, last) = (name(index), plan.last());
        let path = format!("/api/v1/series?device={name}&quantity=vibration&from={last}&to={}", last + 1);
        sinks.get_until(&path, PATIENCE, |series| {
            series["t"].as_array().is_some_and(|times| times.len() == 1)
        });
    }
}

/// Devices that insist until all is acknowledged.
struct Fleet {
    threads: Vec<JoinHandle<()>>,
    acknowledged: Arc<Mutex<BTreeSet<(Name, u64)>>>,
}

impl Fleet {
    /// Every device has a gateway, by its number. Quiet ones wait while `silence`.
    fn start(plan: Plan, devices: Vec<Device>, gateways: &[Address], silence: Arc<AtomicBool>) -> Fleet {
        let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
        let thread = |(index, device): (usize, Device)| {
            let (address, acknowledged) = (gateways[index % gateways.len()].clone(), acknowledged.clone());
            let silence = silence.clone();
            std::thread::spawn(move || {
                let current = || *address.lock().expect("no panic while it is held");
                let payloads = plan.payloads(index);
                let deadline = Instant::now() + PATIENCE;
                let say = |from: usize, to: usize| {
                    device.publish_all(current, &payloads[from..to], deadline, |number| {
                        let key = (Name::from(device.id.as_str()), (from + number) as u64);
                        acknowledged.lock().expect("no panic while it is held").insert(key);
                    });
                };
                let first = if index < DEVICES { payloads.len() } else { QUIET_FIRST };
                say(0, first);
                while silence.load(Ordering::Relaxed) && first < payloads.len() {
                    std::thread::sleep(Duration::from_millis(5));
                }
                say(first, payloads.len());
            })
        };
        let threads = devices.into_iter().enumerate().map(thread).collect();
        Fleet { threads, acknowledged }
    }

    fn join(self) -> BTreeSet<(Name, u64)> {
        for thread in self.threads {
            thread.join().expect("the device is done");
        }
        std::mem::take(&mut *self.acknowledged.lock().expect("no panic while it is held"))
    }
}

/// The processes, and the fleet in front of them.
pub struct City {
    /// Where they meet.
    pub site: Arc<Site>,
    plan: Plan,
    folders: BTreeMap<&'static str, Folder>,
    running: BTreeMap<&'static str, Sluice>,
    addresses: BTreeMap<&'static str, Address>,
    fleet: Option<Fleet>,
    silence: Arc<AtomicBool>,
}

const GATEWAYS: [&str; 2] = ["gateway-1", "gateway-2"];

impl City {
    /// Starts gateways, these stream workers and sinks, and lets the fleet begin.
    pub fn start(plan: Plan, brokers: &str, copies: u32, workers: &[&'static str]) -> City {
        City::start_in(plan, brokers, copies, workers, |_, _| {})
    }

    /// The same; `furnish` is told each process's name and folder before anything runs in it.
    pub fn start_in(
        plan: Plan,
        brokers: &str,
        copies: u32,
        workers: &[&'static str],
        furnish: impl Fn(&str, &Folder),
    ) -> City {
        let site = Arc::new(Site::new(brokers, copies));
        let (folders, running, addresses) = Default::default();
        let silence = Arc::new(AtomicBool::new(true));
        let mut city = City { site, plan, folders, running, addresses, fleet: None, silence };
        for name in ["sinks-1"].iter().chain(workers).chain(&GATEWAYS) {
            let folder = city.site.process(name, STREAM);
            furnish(name, &folder);
            city.folders.insert(name, folder);
        }
        let devices =
            (0..plan.devices()).map(|index| device(&city.folders[GATEWAYS[index % 2]], index, true));
        let devices: Vec<Device> = devices.collect();
        for name in ["sinks-1"].iter().chain(workers).chain(&GATEWAYS) {
            city.run(name);
        }
        let gateways: Vec<Address> = GATEWAYS.iter().map(|name| city.addresses[name].clone()).collect();
        city.fleet = Some(Fleet::start(plan, devices, &gateways, city.silence.clone()));
        city
    }

    /// Quiet devices speak again.
    pub fn end_silence(&self) {
        self.silence.store(false, Ordering::Relaxed);
    }

    /// Waits until the quiet devices have said what they say before their silence, or all.
    pub fn wait_for_quiet_devices(&self, is_all: bool) {
        let deadline = Instant::now() + PATIENCE;
        for index in DEVICES..self.plan.devices() {
            let last = if is_all { self.plan.count(index) } else { QUIET_FIRST } - 1;
            let key = (Name::from(name(index)), last as u64);
            while !self.acknowledged().contains(&key) {
                assert!(Instant::now() < deadline, "{key:?} is not acknowledged");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    fn acknowledged(&self) -> MutexGuard<'_, BTreeSet<(Name, u64)>> {
        let fleet = self.fleet.as_ref().expect("it has begun");
        fleet.acknowledged.lock().expect("no panic while it is held")
    }

    /// How many messages this gateway (1 or 2) has acknowledged.
    pub fn taken_by(&self, gateway: usize) -> usize {
        let ours: BTreeSet<Name> =
            (0..DEVICES).filter(|index| index % 2 == gateway - 1).map(|index| name(index).into()).collect();
        self.acknowledged().iter().filter(|(device, _)| ours.contains(device)).count()
    }

    /// Starts a process, for the first time or again.
    pub fn run(&mut self, name: &'static str) {
        let site = &self.site;
        let folder = self.folders.entry(name).or_insert_with(|| site.process(name, STREAM));
        let role = name.split('-').next().expect("a name begins with its role");
        let process = folder.try_start(&[role]).unwrap_or_else(|| panic!("{name}:\n{}", folder.log()));
        if GATEWAYS.contains(&name) {
            let address = process.address("mqtt");
            let known = self.addresses.entry(name).or_insert_with(|| Arc::new(Mutex::new(address)));
            *known.lock().expect("no panic while it is held") = address;
        }
        self.running.insert(name, process);
    }

    /// `kill -9`.
    pub fn kill(&mut self, name: &'static str) {
        self.running.remove(name).expect("it was running").kill();
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(&mut self, name: &'static str) -> Duration {
        let process = self.running.remove(name).expect("it was running");
        let asked = Instant::now();
        assert_eq!(process.stop(), Some(0), "{name}:\n{}", self.folders[name].log());
        asked.elapsed()
    }

    /// Whether a process says that it is healthy.
    pub fn is_healthy(&self, name: &'static str) -> bool {
        http_get(self.running[name].address("admin"), "/healthz").0 == 200
    }

    /// What a process has told on its terminal.
    pub fn log_of(&self, name: &'static str) -> String {
        self.folders[name].log()
    }

    /// Starts a process anew and asks it to stop `after` that, ready or not; returns how long it took to end.
    pub fn start_and_stop(&mut self, name: &'static str, after: Duration) -> Duration {
        self.stop(name);
        let role = name.split('-').next().expect("a name begins with its role");
        let process = self.folders[name].begin(&[role]);
        std::thread::sleep(after);
        let asked = Instant::now();
        let code = process.stop();
        assert_eq!(code, Some(0), "{name}, stopped {after:?} after its start:\n{}", self.folders[name].log());
        asked.elapsed()
    }

    /// Who runs.
    pub fn names(&self) -> Vec<&'static str> {
        self.running.keys().copied().collect()
    }

    /// Which share of the fleet's messages is acknowledged.
    pub fn share(&self) -> f64 {
        self.acknowledged().len() as f64 / self.plan.messages() as f64
    }

    /// Waits until that share is acknowledged.
    pub fn wait_for_share(&self, share: f64) {
        let deadline = Instant::now() + PATIENCE;
        while self.share() < share {
            assert!(Instant::now() < deadline, "only {} acknowledged", self.share());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Nobody has ended who should have gone on.
    fn check_alive(&mut self) {
        for (name, process) in &mut self.running {
            assert!(process.is_running(), "{name} has ended:\n{}", self.folders[name].log());
        }
    }

    /// Each kind of warning, and how often it was told.
    fn tell_warnings(&self) {
        for (name, folder) in &self.folders {
            let log = folder.log();
            let warnings = log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR"));
            let (mut kinds, mut total) = (BTreeMap::<String, usize>::new(), 0);
            for line in warnings {
                let kind: String = line.chars().skip(20).filter(|c| !c.is_ascii_digit()).take(110).collect();
                *kinds.entry(kind).or_default() += 1;
                total += 1;
            }
            println!("{name}: {total} warnings");
            kinds.iter().for_each(|(kind, count)| println!("  {count} × {kind}"));
        }
    }

    /// Lets the fleet end and everything arrive, stops, and holds what is there against what was acknowledged and
    /// against a run without faults.
    pub fn judge(mut self, undisturbed: &Outcome) {
        self.end_silence();
        let acknowledged = self.fleet.take().expect("it has begun").join();
        self.check_alive();
        wait_for_the_last(&self.running["sinks-1"], self.plan);
        for index in 0..self.plan.devices() {
            check_series(&self.running["sinks-1"], index, self.plan);
        }
        for name in self.names() {
            self.stop(name);
        }
        self.tell_warnings();
        let outcome = self.plan.comparable(self.site.outcome());
        assert_eq!(acknowledged.len(), self.plan.messages());
        for key in &acknowledged {
            assert_eq!(outcome.observations.get(key), Some(&1), "{key:?} was acknowledged");
        }
        assert_eq!(outcome.observations, undisturbed.observations);
        assert!(outcome.aggregates == undisturbed.aggregates, "{}", difference(&outcome, undisturbed));
        assert_eq!(outcome.alerts, undisturbed.alerts);
    }
}

/// The local series have each reading once.
fn check_series(sinks: &Sluice, index: usize, plan: Plan) {
    let (from, to) = (plan.start, plan.last() + 1);
    let name = name(index);
    let path = format!("/api/v1/series?device={name}&quantity=vibration&from={from}&to={to}&bucket=1d");
    let sum = |series: &serde_json::Value| -> u64 {
        let counts = series["count"].as_array().map(Vec::as_slice).unwrap_or_default();
        counts.iter().filter_map(serde_json::Value::as_u64).sum()
    };
    let expected = plan.count(index) as u64;
    let series = sinks.get_until(&path, PATIENCE, |series| sum(series) >= expected);
    assert_eq!(sum(&series), expected, "{name}");
}

fn difference(ours: &Outcome, other: &Outcome) -> String {
    let keys: BTreeSet<_> = ours.aggregates.keys().chain(other.aggregates.keys()).collect();
    let differs = |key: &&&_| ours.aggregates.get(**key) != other.aggregates.get(**key);
    let line =
        |key: &_| format!("{key:?}: {:?}, not {:?}", ours.aggregates.get(key), other.aggregates.get(key));
    let different: Vec<_> = keys.iter().filter(differs).collect();
    let first: Vec<_> = different.iter().take(5).map(|key| line(**key)).collect();
    format!("{} of {} windows differ: {first:#?}", different.len(), keys.len())
}
