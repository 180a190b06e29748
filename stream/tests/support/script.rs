//! The language of the scripts.

use records::{
    Action, AlertState, Body, Device, Family, Limit, LimitKind, Observation, Origin, Quantity, Reading,
    Record, Rules, Subject, TagRead, Tick, Timestamp, Topic, Verb,
};
use std::collections::BTreeMap;
use stream::rule::Ruleset;
use stream::{AreaConfig, AreaJob, Counts, DeviceConfig, DeviceJob, Job, Outputs, Partitions, Policy};

/// 2026-05-04T00:00:00Z.
const MIDNIGHT: i64 = 1_777_852_800_000;

const DEFAULT_RULES: &str = include_str!("../../rules/default.toml");
const ONE_EACH: Partitions =
    Partitions { telemetry: 1, observations: 1, aggregates: 1, alerts: 1, ledger: 1 };

/// A script.
pub struct Script;

impl Script {
    /// Its lines without what is expected.
    pub fn lines(script: &str) -> impl Iterator<Item = &str> {
        script.lines().filter(|line| !line.starts_with("out ") && !line.starts_with("counted"))
    }
}

/// Both jobs, one behind the other.
pub struct Stage {
    device: DeviceJob,
    area: AreaJob,
    config: DeviceConfig,
    rules: String,
    /// After all changes while records came.
    latest_rules: String,
    now: Timestamp,
    shown: Vec<String>,
    counts: Counts,
}

impl Default for Stage {
    fn default() -> Self {
        let (config, rules) = (DeviceConfig::default(), DEFAULT_RULES.to_owned());
        let (device, area) = jobs(&config, &rules);
        let shown = vec!["windows".into(), "alerts".into(), "sightings".into()];
        let (latest_rules, now, counts) = (rules.clone(), Timestamp(MIDNIGHT), Counts::default());
        Stage { device, area, config, rules, latest_rules, now, shown, counts }
    }
}

/// What the built-in rules expect of values: a script that expects something of its own expects nothing else.
fn default_qualities() -> &'static str {
    let at = DEFAULT_RULES.find("[[quality]]").expect("the built-in rules have some");
    &DEFAULT_RULES[at..]
}

fn jobs(config: &DeviceConfig, rules: &str) -> (DeviceJob, AreaJob) {
    let rules = Ruleset::parse(rules).unwrap_or_else(|problems| panic!("{problems:#?}"));
    (
        DeviceJob::new(config.clone(), rules.clone(), ONE_EACH),
        AreaJob::new(AreaConfig::default(), rules, ONE_EACH),
    )
}

impl Stage {
    /// Throws both jobs away and builds them from their snapshots.
    pub fn restart(&mut self) {
        let (mut device, mut area) = jobs(&self.config, &self.rules);
        device.restore(0, Some(&self.device.snapshot(0))).expect("it is our own");
        area.restore(0, Some(&self.area.snapshot(0))).expect("it is our own");
        (self.device, self.area) = (device, area);
    }

    /// Runs a line and says what came out.
    pub fn run(&mut self, line: &str) -> Vec<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [] => Vec::new(),
            [word, ..] if word.starts_with('#') => Vec::new(),
            ["show", shown @ ..] => {
                self.shown.extend(shown.iter().map(|word| word.to_string()));
                Vec::new()
            }
            ["policy", name] => {
                let policy = Policy::ALL.into_iter().find(|policy| policy.name() == *name).expect("a policy");
                Family::ALL.iter().for_each(|family| *self.config.clock.policy_mut(*family) = policy);
                (self.device, self.area) = jobs(&self.config, &self.rules);
                Vec::new()
            }
            ["idle", hours] => {
                let hours: u64 = hours.parse().expect("hours");
                self.config.idle_after = std::time::Duration::from_secs(3600 * hours);
                (self.device, self.area) = jobs(&self.config, &self.rules);
                Vec::new()
            }
            [
                kind @ ("job" | "place" | "pattern" | "threshold" | "absence" | "quality" | "area_share"),
                ..,
            ] => {
                if *kind == "quality" {
                    self.rules = self.rules.replace(default_qualities(), "");
                }
                let rule = line.trim_start_matches(kind).trim().replace("; ", "\n");
                self.rules += &format!("[[{kind}]]\n{rule}\n");
                self.latest_rules = self.rules.clone();
                (self.device, self.area) = jobs(&self.config, &self.rules);
                Vec::new()
            }
            ["change", at, ..] => {
                let change = line.splitn(3, ' ').nth(2).expect("old => new");
                let (old, new) = change.split_once(" => ").expect("old => new");
                let text = self.latest_rules.replace(old, new);
                assert_ne!(text, self.latest_rules, "{line}");
                self.change_rules(time(at), text)
            }
            ["remove", kind, id, at] => {
                let mut table: toml::Table = self.latest_rules.parse().expect("TOML");
                let rules = table.get_mut(*kind).and_then(toml::Value::as_array_mut).expect("a kind");
                rules.retain(|rule| rule["id"].as_str() != Some(id));
                self.change_rules(time(at), table.to_string())
            }
            ["restart"] => {
                self.restart();
                Vec::new()
            }
            ["count"] => vec![self.counted()],
            ["device", id, family, area, rest @ ..] => {
                self.record(device(id, family, area, &Options::of(rest)))
            }
            ["in", at, device, rest @ ..] => self.message(at, device, rest, readings),
            ["reads", at, device, rest @ ..] => self.message(at, device, rest, reads),
            ["tick", at] => {
                self.now = self.now.max(time(at));
                self.record(Record::Tick(Tick { at: time(at), source: 0, sources: 1 }))
            }
            ["ack", alert, "by", actor, "at", at] => self.acknowledge(alert, actor, time(at)),
            _ => panic!("no such line: {line}"),
        }
    }

    /// The jobs are still built from the old ones: what holds is in their state.
    fn change_rules(&mut self, at: Timestamp, text: String) -> Vec<String> {
        let replaces = std::mem::replace(&mut self.latest_rules, text.clone());
        self.record(Record::Rules(Rules { at, text, replaces }))
    }

    fn message(&mut self, at: &str, device: &str, rest: &[&str], body: fn(&[&str]) -> Body) -> Vec<String> {
        let event_time = time(at);
        let options = Options::of(rest);
        let ingest_time = options.get("at").map_or(event_time.max(self.now), |at| time(&at));
        self.now = self.now.max(ingest_time);
        let device_time = match options.get("clock").as_deref() {
            None => Some(event_time),
            Some("none") => None,
            Some(at) => Some(time(at)),
        };
        if options.get("from").is_some_and(|from| !self.admits(device, &from)) {
            return Vec::new();
        }
        self.record(Record::Observation(Observation {
            device: device.into(),
            epoch: options.number("epoch").unwrap_or(0),
            sequence: options.get("seq").map(|sequence| sequence.parse().expect("a number")),
            device_time,
            event_time,
            ingest_time,
            position: options.get("on").map(|text| position(&text)),
            stated: None,
            is_late: false,
            body: body(rest),
        }))
    }

    /// As the loop asks before it runs a forwarded record.
    fn admits(&mut self, device: &str, from: &str) -> bool {
        let parts: Vec<&str> = from.split('/').collect();
        let [gateway, spool, offset] = parts[..] else { panic!("from=<gateway>/<spool>/<offset>") };
        let number = |text: &str| text.parse().expect("a number");
        let origin = Origin { gateway, spool: number(spool), offset: number(offset) };
        let is_new = self.device.admit(0, device.as_bytes(), origin);
        self.counts.add(stream::Fact::Resent, u64::from(!is_new));
        is_new
    }

    fn acknowledge(&mut self, alert: &str, actor: &str, at: Timestamp) -> Vec<String> {
        let subject = alert.split('/').nth(1).expect("rule/subject/time");
        let action = |subject| {
            Record::Action(Action {
                alert: alert.into(),
                subject,
                verb: Verb::Acknowledge,
                actor: actor.into(),
                at,
                note: String::new(),
            })
        };
        if !["standing-queue", "tag-missing"].iter().any(|rule| alert.starts_with(rule)) {
            return self.record(action(Subject::Device(subject.into())));
        }
        let mut out = Outputs::new(ONE_EACH);
        self.area.run(0, subject.as_bytes(), action(Subject::Area(subject.into())), &mut out);
        self.show_area(out)
    }

    /// Through both jobs.
    fn record(&mut self, record: Record) -> Vec<String> {
        let mut out = Outputs::new(ONE_EACH);
        self.device.run(0, b"", record, &mut out);
        self.note(&mut out);
        let mut shown = Vec::new();
        let mut behind = Outputs::new(ONE_EACH);
        for (place, batch) in out.take() {
            for (key, value) in batch.iter() {
                let record = Record::decode(value).expect("what a job writes can be read");
                shown.extend(self.show(&record, place.topic));
                if place.topic == Topic::Aggregates {
                    self.area.run(0, key, record, &mut behind);
                }
            }
        }
        shown.extend(self.show_area(behind));
        shown
    }

    fn show_area(&mut self, mut out: Outputs) -> Vec<String> {
        let mut shown = Vec::new();
        for (place, batch) in out.take() {
            for (_, value) in batch.iter() {
                let record = Record::decode(value).expect("what a job writes can be read");
                shown.extend(self.show(&record, place.topic));
            }
        }
        let counts = out.take_counts();
        let late = counts.of(stream::Fact::RowLate);
        let ignored = counts.of(stream::Fact::ActionIgnored);
        self.counts.add(stream::Fact::RowLate, late);
        self.counts.add(stream::Fact::ShareLate, counts.of(stream::Fact::ShareLate));
        self.counts.add(stream::Fact::ActionIgnored, ignored);
        shown
    }

    fn note(&mut self, out: &mut Outputs) {
        for (fact, times) in out.take_counts().iter() {
            self.counts.add(fact, times);
        }
    }

    fn counted(&mut self) -> String {
        let unremarkable = ["Observation", "Device", "Tick", "Action", "Unsequenced"];
        let mut line = "counted".to_owned();
        for (fact, times) in std::mem::take(&mut self.counts).iter() {
            let name = format!("{fact:?}");
            if !unremarkable.contains(&name.as_str()) {
                line += &format!(" {name}={times}");
            }
        }
        line
    }

    fn show(&self, record: &Record, topic: Topic) -> Option<String> {
        let (what, line) = match record {
            Record::Observation(message) => ("observations", show_observation(message)),
            Record::Aggregate(row) => {
                let window = format!("[{},{})", clock(row.window.start), clock(row.window.end));
                let mut line = format!("{} {} {window} n={}", row.subject.name(), row.quantity, row.count);
                if row.good != row.count {
                    line += &format!(" good={}", row.good);
                }
                line += &format!(" mean={} min={} max={} sum={}", row.mean, row.min, row.max, row.sum);
                if row.revision > 0 {
                    line += &format!(" revision={}", row.revision);
                }
                line +=
                    &format!(" as of {}{}", clock(row.as_of), if row.is_backfill { " backfill" } else { "" });
                ("windows", line)
            }
            Record::Sighting(row) => {
                let (first, last) = (clock(row.first_seen), clock(row.last_seen));
                let line = format!("sighting {} {} {first} to {last} n={}", row.device, row.epc, row.count);
                ("sightings", format!("{line} as of {}", clock(row.as_of)))
            }
            Record::Alert(alert) => {
                let state = match (alert.state, alert.transition) {
                    (AlertState::Open, 0) => "opens",
                    (AlertState::Open, _) => "changes",
                    (AlertState::Acknowledged, _) if alert.actor.is_some() => "acknowledged",
                    (AlertState::Acknowledged, _) => "changes",
                    (AlertState::Cleared, _) => "clears",
                };
                let severity = alert.severity.name();
                let (since, at) = (clock(alert.opened_at), clock(alert.at));
                let mut line = format!("alert {} {state} {severity} since {since} at {at}", alert.id);
                line += &format!(
                    " as of {}{}",
                    clock(alert.as_of),
                    if alert.is_backfill { " backfill" } else { "" }
                );
                line += &format!(": {}", alert.text);
                ("alerts", line)
            }
            Record::Share(share) => {
                let window = format!("[{},{})", clock(share.window.start), clock(share.window.end));
                let line = format!("share of {} in {} {window}", share.device, share.job);
                ("shares", format!("{line} revision={} as of {}", share.revision, clock(share.as_of)))
            }
            Record::Tick(tick) => ("ticks", format!("tick {}", clock(tick.at))),
            Record::Device(device) => ("devices", format!("device {} on {topic}", device.id)),
            Record::Account(account) => {
                let mut line = format!("account {} {}", account.device, clock(account.hour));
                for (item, name) in records::AccountItem::ALL {
                    if account.counts.of(item) > 0 {
                        line += &format!(" {name}={}", account.counts.of(item));
                    }
                }
                ("ledger", line)
            }
            Record::Rules(rules) => ("rules", format!("rules hold from {}", clock(rules.at))),
            Record::Action(_) | Record::Quarantined(_) => panic!("not written by a job"),
        };
        self.shown.iter().any(|shown| shown == what).then(|| format!("out {line}"))
    }
}

fn show_observation(message: &Observation) -> String {
    let mut line = format!("observation {} {}", message.device, clock(message.event_time));
    if let Body::Readings(readings) = &message.body {
        for reading in readings {
            line += &format!(" {}={} {:?}", reading.quantity, reading.value, reading.quality.flag);
            use records::Test::*;
            for test in [Gap, Range, Spike, Rate, FlatLine, Neighbour, Clock] {
                if reading.quality.has_failed(test) {
                    line += &format!("({test:?})");
                }
            }
        }
    }
    if message.is_late {
        line += " late";
    }
    line
}

fn device(id: &str, family: &str, area: &str, options: &Options) -> Record {
    Record::Device(Device {
        id: id.into(),
        family: Family::from_name(family).unwrap_or_else(|| panic!("no family {family}")),
        label: options.get("label").unwrap_or_default().into(),
        area: if area == "-" { "".into() } else { area.into() },
        rank: options.number("rank").unwrap_or(0),
        position: options.get("on").map(|text| position(&text)),
        is_enabled: !options.has("off"),
        updated_at: options.get("at").map_or(Timestamp(MIDNIGHT - 60_000), |at| time(&at)),
        limits: options.get("limits").map_or(Vec::new(), |text| text.split(',').map(limit).collect()),
    })
}

/// `lon,lat`, degrees.
fn position(text: &str) -> records::Position {
    let (lon, lat) = text.split_once(',').expect("lon,lat");
    let degrees = |text: &str| text.parse().expect("degrees");
    records::Position { lon: degrees(lon), lat: degrees(lat) }
}

/// `quantity.kind:value`.
fn limit(text: &str) -> Limit {
    let (quantity, rest) = text.split_once('.').expect("quantity.kind:value");
    let (kind, value) = rest.split_once(':').expect("quantity.kind:value");
    let kind = LimitKind::from_name(kind).unwrap_or_else(|| panic!("no limit {kind}"));
    Limit { quantity: Quantity::from_name(quantity), kind, value: value.parse().expect("a number") }
}

const OPTIONS: [&str; 6] = ["at", "seq", "epoch", "clock", "from", "on"];

/// `quantity=value`, or a value of temperature.
fn readings(words: &[&str]) -> Body {
    let reading = |word: &&str| {
        let (name, value) = word.split_once('=').unwrap_or(("temperature", word));
        if OPTIONS.contains(&name) {
            return None;
        }
        let (quantity, quality) = (Quantity::from_name(name), records::Quality::default());
        Some(Reading { quantity, value: value.parse().expect("a number"), quality })
    };
    Body::Readings(words.iter().filter_map(reading).collect())
}

fn reads(words: &[&str]) -> Body {
    let words = words.iter().filter(|word| !word.contains('='));
    let read = |epc: &&str| TagRead {
        epc: (*epc).into(),
        antenna: 1,
        rssi: None,
        count: 1,
        first_seen: None,
        last_seen: None,
    };
    Body::TagReads(words.map(read).collect())
}

/// `key=value` and single words.
struct Options(BTreeMap<String, String>);

impl Options {
    fn of(words: &[&str]) -> Options {
        let pair = |word: &&str| match word.split_once('=') {
            Some((key, value)) => (key.to_owned(), value.to_owned()),
            None => (word.to_string(), String::new()),
        };
        Options(words.iter().map(pair).collect())
    }

    fn get(&self, key: &str) -> Option<String> {
        self.0.get(key).cloned()
    }

    fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    fn number(&self, key: &str) -> Option<u32> {
        self.get(key).map(|value| value.parse().expect("a number"))
    }
}

/// `h:mm[:ss[.mmm]]` of the day, or milliseconds since 1970 after `@`.
pub fn time(text: &str) -> Timestamp {
    if let Some(millis) = text.strip_prefix('@') {
        return Timestamp(millis.parse().expect("milliseconds"));
    }
    let mut millis = 0.0;
    for (part, unit) in text.split(':').zip([3_600_000.0, 60_000.0, 1000.0]) {
        millis += part.parse::<f64>().expect("h:mm[:ss[.mmm]]") * unit;
    }
    Timestamp(MIDNIGHT + millis.round() as i64)
}

fn clock(at: Timestamp) -> String {
    let millis = at.0 - MIDNIGHT;
    if !(0..86_400_000).contains(&millis) {
        return format!("@{}", at.0);
    }
    let (seconds, millis) = (millis / 1000, millis % 1000);
    let mut text = format!("{}:{:02}", seconds / 3600, seconds / 60 % 60);
    if seconds % 60 != 0 || millis != 0 {
        text += &format!(":{:02}", seconds % 60);
    }
    if millis != 0 {
        text += &format!(".{millis:03}");
    }
    text
}
