//! Two gateways, stream workers and sinks on one Kafka, a fleet in front, and what came of it in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use records::Name;

use super::support::course::course;
use super::support::device::Device;
use super::support::outcome::Outcome;
use super::support::site::Site;
use super::support::sluice::{Folder, Sluice};

const DEVICES: usize = 12;
const PER_SECOND: f64 = 5_000.0;
const PATIENCE: Duration = Duration::from_secs(900);

/// Windows close by what devices say, not by how long an outage lasts.
const STREAM: &str = "[stream]\npatience = \"12h\"\n";

type Address = Arc<Mutex<SocketAddr>>;

/// What a fleet says within one run, and when it began.
#[derive(Clone, Copy)]
pub struct Plan {
    /// First event time.
    pub start: i64,
    /// Event time that it covers; a device says something each second of it.
    pub minutes: i64,
}

impl Plan {
    /// As many minutes as are said in `length` at 5,000 messages a second.
    pub fn lasting(length: Duration) -> Plan {
        let messages = length.as_secs_f64() * PER_SECOND / DEVICES as f64;
        let minutes = (messages / 60.0).ceil() as i64;
        let now = deploy::clock::now().millis();
        Plan { start: (now - (minutes + 60) * 60_000).div_euclid(60_000) * 60_000, minutes }
    }

    fn messages(self) -> usize {
        DEVICES * (usize::try_from(self.minutes).expect("some minutes") * 60 + 1)
    }

    fn last(self) -> i64 {
        self.start + (self.minutes + 30) * 60_000
    }

    /// What comes of it without any fault, in one process.
    pub fn undisturbed(self) -> Outcome {
        let folder = Folder::new(&format!("[log]\npartitions = 4\n{STREAM}"));
        let devices = (0..DEVICES).map(|index| device(&folder, index, None)).collect();
        let sluice = folder.start();
        let address = Arc::new(Mutex::new(sluice.address("mqtt")));
        Fleet::start(self, devices, &[address]).join();
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

fn device(folder: &Folder, index: usize, per_second: Option<f64>) -> Device {
    let id = format!("m-{index}");
    let password = folder.add_device(&id, "machine", &["--area", "plant/line-1"]);
    Device { id, password, in_flight: 50, per_second }
}

fn wait_for_the_last(sinks: &Sluice, plan: Plan) {
    for index in 0..DEVICES {
        let last = plan.last();
        let path = format!("/api/v1/series?device=m-{index}&quantity=vibration&from={last}&to={}", last + 1);
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
    /// Every device has a gateway, by its number.
    fn start(plan: Plan, devices: Vec<Device>, gateways: &[Address]) -> Fleet {
        let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
        let thread = |(index, device): (usize, Device)| {
            let (address, acknowledged) = (gateways[index % gateways.len()].clone(), acknowledged.clone());
            std::thread::spawn(move || {
                let current = || *address.lock().expect("no panic while it is held");
                let payloads = course(index, plan.start, plan.minutes);
                device.publish_all(current, &payloads, Instant::now() + PATIENCE, |sequence| {
                    let key = (Name::from(device.id.as_str()), sequence as u64);
                    acknowledged.lock().expect("no panic while it is held").insert(key);
                });
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
}

const GATEWAYS: [&str; 2] = ["gateway-1", "gateway-2"];

impl City {
    /// Starts gateways, these stream workers and sinks, and lets the fleet begin.
    pub fn start(plan: Plan, brokers: &str, copies: u32, workers: &[&'static str]) -> City {
        let site = Arc::new(Site::new(brokers, copies));
        let (folders, running, addresses) = Default::default();
        let mut city = City { site, plan, folders, running, addresses, fleet: None };
        for name in ["sinks-1"].iter().chain(workers).chain(&GATEWAYS) {
            city.folders.insert(name, city.site.process(name, STREAM));
        }
        let devices = (0..DEVICES).map(|index| {
            let folder = &city.folders[GATEWAYS[index % 2]];
            device(folder, index, Some(PER_SECOND / DEVICES as f64))
        });
        let devices: Vec<Device> = devices.collect();
        for name in ["sinks-1"].iter().chain(workers).chain(&GATEWAYS) {
            city.run(name);
        }
        let gateways: Vec<Address> = GATEWAYS.iter().map(|name| city.addresses[name].clone()).collect();
        city.fleet = Some(Fleet::start(plan, devices, &gateways));
        city
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
    pub fn stop(&mut self, name: &'static str) {
        let process = self.running.remove(name).expect("it was running");
        assert_eq!(process.stop(), Some(0), "{name}:\n{}", self.folders[name].log());
    }

    /// Who runs.
    pub fn names(&self) -> Vec<&'static str> {
        self.running.keys().copied().collect()
    }

    /// Which share of the fleet's messages is acknowledged.
    pub fn share(&self) -> f64 {
        let fleet = self.fleet.as_ref().expect("it has begun");
        let acknowledged = fleet.acknowledged.lock().expect("no panic while it is held").len();
        acknowledged as f64 / self.plan.messages() as f64
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

    /// Lets the fleet end and everything arrive, stops, and holds what is there against what was acknowledged and
    /// against a run without faults.
    pub fn judge(mut self, undisturbed: &Outcome) {
        let acknowledged = self.fleet.take().expect("it has begun").join();
        self.check_alive();
        wait_for_the_last(&self.running["sinks-1"], self.plan);
        for index in 0..DEVICES {
            check_series(&self.running["sinks-1"], index, self.plan);
        }
        for name in self.names() {
            self.stop(name);
        }
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
    let path = format!("/api/v1/series?device=m-{index}&quantity=vibration&from={from}&to={to}&bucket=1d");
    let sum = |series: &serde_json::Value| -> u64 {
        let counts = series["count"].as_array().map(Vec::as_slice).unwrap_or_default();
        counts.iter().filter_map(serde_json::Value::as_u64).sum()
    };
    let expected = (plan.messages() / DEVICES) as u64;
    let series = sinks.get_until(&path, PATIENCE, |series| sum(series) >= expected);
    assert_eq!(sum(&series), expected, "m-{index}");
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
