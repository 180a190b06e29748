//! The mirror between logs in memory: what is chosen, in which order, and that beginning again neither loses nor
//! doubles.
#![allow(clippy::unwrap_used, reason = "clippy does not see that this is test code")]

use gateway::mirror::{self, Choice, Metrics, MirrorError, Note, Notes, Options, Quality, Source, Target};
use records::{
    Alert, AlertState, Batch, Body, Device, Entry, Family, LogError, MemoryLog, Mirrored, Name, Observation,
    Producer, Reading, Record, Severity, Subject, Tick, Timestamp, Topic, TopicPartition, UseCase,
    partition_of,
};
use records::{Flag, Quality as Flags, Quantity};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const TOPICS: [Topic; 2] = [Topic::Alerts, Topic::Observations];

/// A province's log in memory, whose commits may fail before or after they have happened.
#[derive(Clone, Default)]
struct Province {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    copies: Vec<(TopicPartition, Batch)>,
    notes: Notes,
    commits: u32,
    /// Every nth commit fails; every other failure after it has happened.
    fails_every: Option<u32>,
}

impl Target for Province {
    fn partitions(&self, _: Topic) -> u32 {
        3
    }

    async fn commit(
        &mut self,
        copies: Vec<(TopicPartition, Batch)>,
        notes: Vec<Note>,
    ) -> Result<(), LogError> {
        let mut state = self.state.lock().unwrap();
        state.commits += 1;
        let fails = state.fails_every.is_some_and(|every| state.commits.is_multiple_of(every));
        let is_in_doubt = fails && (state.commits / state.fails_every.unwrap()).is_multiple_of(2);
        if !fails || is_in_doubt {
            state.copies.extend(copies);
            for (note, says) in notes {
                match says {
                    Some(says) => state.notes.insert(note, says),
                    None => state.notes.remove(&note),
                };
            }
        }
        if fails { Err(LogError::Unavailable("injected".into())) } else { Ok(()) }
    }
}

impl Province {
    fn notes(&self) -> Notes {
        self.state.lock().unwrap().notes.clone()
    }

    /// Every copy, as `see` tells it, in the order in which they came.
    fn seen(&self, see: impl Fn(TopicPartition, Entry<'_>) -> String) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let each = state.copies.iter().flat_map(|(to, batch)| batch.entries().map(|entry| (*to, entry)));
        each.map(|(to, entry)| see(to, entry)).collect()
    }
}

fn everything() -> Choice {
    Choice { areas: Vec::new(), min_severity: Severity::Minor, quality: Quality::Any }
}

/// Passes over what is below where it should begin: logs in memory begin where the group has committed.
async fn mirror_once(
    city: &MemoryLog,
    group: &str,
    to: &Province,
    choice: Choice,
) -> Result<(), MirrorError> {
    let readers = TOPICS.map(|topic| city.consumer(&format!("{group}.{topic}"), &[topic])).into();
    let source = Source { city: "gz".into(), log: "1".into(), to: "gd".into(), readers };
    let options = Options { commit_bytes: 300, ..Options::default() };
    let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
    let (stop, clock) = (CancellationToken::new(), Arc::new(|| Timestamp(0)));
    let notes = to.notes();
    let running = mirror::run(source, to.clone(), &notes, choice, clock, options, metrics, stop);
    tokio::time::timeout(Duration::from_secs(60), running).await.expect("it ends with the source")
}

async fn put(log: &MemoryLog, topic: Topic, key: &str, record: &Record, mirrored: Option<Mirrored<'_>>) {
    let mut value = Vec::new();
    record.encode(&mut value);
    let partition = partition_of(key.as_bytes(), log.partitions(topic));
    let entry = Entry { key: key.as_bytes(), value: &value, origin: None, mirrored };
    log.append(vec![(TopicPartition { topic, partition }, Batch::from_iter([entry]))]).await.unwrap();
}

fn alert(id: &str, transition: u32, area: &str, state: AlertState, severity: Severity) -> Record {
    let (at, name) = (Timestamp(1000), Name::from);
    Record::Alert(Box::new(Alert {
        id: id.into(),
        transition,
        rule: name("r"),
        use_case: UseCase::Environment,
        subject: Subject::Device(name("d")),
        area: area.into(),
        position: None,
        state,
        severity,
        opened_at: at,
        at,
        as_of: at,
        quantity: name("pm25"),
        value: 1.0,
        threshold: 1.0,
        text: String::new(),
        source: name("s"),
        is_backfill: false,
        actor: None,
        note: None,
    }))
}

fn observation(device: &str, sequence: u64, flag: Flag) -> Record {
    let reading =
        Reading { quantity: Quantity::from_name("vibration"), value: 1.0, quality: Flags { flag, tests: 0 } };
    Record::Observation(Observation {
        device: device.into(),
        epoch: 0,
        sequence: Some(sequence),
        device_time: None,
        event_time: Timestamp(1),
        ingest_time: Timestamp(1),
        position: None,
        stated: None,
        is_late: false,
        body: Body::Readings(vec![reading]),
    })
}

fn entry_of(device: &str, area: &str, updated_at: i64) -> Record {
    Record::Device(Device {
        id: device.into(),
        family: Family::Machine,
        label: Name::default(),
        area: area.into(),
        rank: 0,
        position: None,
        is_enabled: true,
        limits: Default::default(),
        updated_at: Timestamp(updated_at),
    })
}

fn briefly(_: TopicPartition, entry: Entry<'_>) -> String {
    match Record::decode(entry.value).unwrap() {
        Record::Alert(alert) => format!("{} {}", alert.id, alert.transition),
        Record::Observation(of) => format!("{} {}", of.device, of.sequence.unwrap()),
        Record::Device(device) => format!("{} in {}", device.id, device.area),
        other => format!("{other:?}"),
    }
}

/// Beginning again after every third commit, which has happened or not: each record once, in the order of its key.
#[tokio::test(start_paused = true)]
async fn whatever_fails_nothing_is_lost_or_doubled() {
    let city = MemoryLog::new(|_| 2);
    for number in 0..300 {
        let device = format!("d{}", number % 7);
        put(&city, Topic::Observations, &device, &observation(&device, number / 7, Flag::Good), None).await;
    }
    city.close();
    let province = Province::default();
    province.state.lock().unwrap().fails_every = Some(3);
    let mut failures = 0;
    // A group of its own each time: what the city's log knows of us is lost, and the province knows.
    while let Err(error) = mirror_once(&city, &format!("m{failures}"), &province, everything()).await {
        assert!(matches!(error, MirrorError::Target(LogError::Unavailable(_))), "{error:?}");
        failures += 1;
    }
    assert!(failures > 10, "{failures}");
    let mut seen = province.seen(briefly);
    assert_eq!(seen.len(), 300);
    for device in 0..7 {
        let prefix = format!("d{device} ");
        let numbers =
            seen.iter().filter_map(|line| line.strip_prefix(&prefix)).map(|n| n.parse::<u64>().unwrap());
        assert!(numbers.is_sorted(), "d{device}");
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 300);
    let places = province.seen(|_, entry| {
        let Mirrored { trail, partition, offset } = entry.mirrored.unwrap();
        format!("{trail} {partition}/{offset}")
    });
    assert!(places.iter().any(|place| place == "gz 0/0") && places.iter().any(|place| place == "gz 1/0"));
}

#[tokio::test(start_paused = true)]
async fn what_has_been_at_the_target_does_not_go_back() {
    let city = MemoryLog::new(|_| 1);
    for (n, trail) in ["gd", "sz,gd", "sz", "gd2", "a,b"].into_iter().enumerate() {
        let mirrored = Some(Mirrored { trail, partition: 5, offset: n as u64 });
        put(&city, Topic::Observations, "d", &observation("d", n as u64, Flag::Good), mirrored).await;
    }
    city.close();
    let province = Province::default();
    mirror_once(&city, "m", &province, everything()).await.unwrap();
    let trails = province.seen(|_, entry| {
        let Mirrored { trail, partition, offset } = entry.mirrored.unwrap();
        format!("{trail} {partition}/{offset}")
    });
    assert_eq!(trails, ["sz,gz 5/2", "gd2,gz 5/3", "a,b,gz 5/4"], "and where it began stays with it");
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_was_bad_enough_once_is_told_to_its_end() {
    let (city, province) = (MemoryLog::new(|_| 1), Province::default());
    let choice = Choice { min_severity: Severity::Severe, ..everything() };
    let tell = async |id: &str, transition, state, severity| {
        put(&city, Topic::Alerts, id, &alert(id, transition, "a", state, severity), None).await;
    };
    tell("small", 0, AlertState::Open, Severity::Moderate).await;
    tell("grows", 0, AlertState::Open, Severity::Minor).await;
    tell("grows", 1, AlertState::Open, Severity::Severe).await;
    // The mirror ends and begins again here: what it told is noted at the province.
    let stopping = {
        let (city, province, choice) = (city.clone(), province.clone(), choice.clone());
        tokio::spawn(async move { mirror_once(&city, "m", &province, choice).await })
    };
    while province.seen(briefly).is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stopping.abort();
    tell("grows", 2, AlertState::Acknowledged, Severity::Minor).await;
    tell("grows", 3, AlertState::Cleared, Severity::Minor).await;
    tell("small", 1, AlertState::Cleared, Severity::Moderate).await;
    city.close();
    mirror_once(&city, "m2", &province, choice).await.unwrap();
    assert_eq!(province.seen(briefly), ["grows 1", "grows 2", "grows 3"]);
    assert!(province.notes().keys().all(|note| !note.starts_with("alert/")), "what has ended is forgotten");
}

#[tokio::test(start_paused = true)]
async fn areas_hold_what_lies_in_them_and_devices_belong_where_their_entry_says() {
    let (city, province) = (MemoryLog::new(|_| 1), Province::default());
    let choice = Choice { areas: vec!["plant".into()], quality: Quality::Usable, ..everything() };
    let observed = async |device: &str, record: Record| {
        put(&city, Topic::Observations, device, &record, None).await;
    };
    observed("unknown", observation("unknown", 0, Flag::Good)).await;
    observed("d", entry_of("d", "plant/line-1", 1)).await;
    observed("d", observation("d", 1, Flag::Good)).await;
    observed("d", observation("d", 2, Flag::Bad)).await;
    observed("d", entry_of("d", "plants", 2)).await;
    observed("d", observation("d", 3, Flag::Good)).await;
    observed("d", Record::Tick(Tick { at: Timestamp(1), source: 0, sources: 1 })).await;
    city.close();
    mirror_once(&city, "m", &province, choice).await.unwrap();
    assert_eq!(province.seen(briefly), ["d in plant/line-1", "d 1", "d in plants"]);
}
