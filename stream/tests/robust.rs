//! Whatever the records say, the jobs neither panic nor hang, and their state survives a snapshot.

mod support;

use proptest::prelude::*;
use records::{
    Action, Aggregate, Body, Device, Family, Observation, Quality, Quantity, Reading, Record, Rules, Share,
    Sighting, Subject, TagRead, Tick, Timestamp, Verb, Window,
};
use stream::aggregate::{Accumulator, Wants};
use stream::rule::Ruleset;
use stream::{AreaConfig, AreaJob, DeviceConfig, DeviceJob, Job, Outputs, Partitions};

const PARTITIONS: Partitions =
    Partitions { telemetry: 2, observations: 1, aggregates: 1, alerts: 1, ledger: 1 };

fn instant() -> impl Strategy<Value = Timestamp> {
    let edges = vec![i64::MIN, i64::MIN + 1, -1, 0, 946_684_800_000, i64::MAX - 1, i64::MAX];
    let sane = 1_777_852_800_000..1_777_853_400_000i64;
    prop_oneof![1 => prop::sample::select(edges), 1 => any::<i64>(), 6 => sane].prop_map(Timestamp)
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![2 => any::<f64>(), 1 => Just(f64::NAN), 6 => -10.0..200.0f64]
}

fn quantity() -> impl Strategy<Value = Quantity> {
    let names = vec![
        "pm2_5",
        "rainfall",
        "vibration",
        "occupancy",
        "speed",
        "tag_reads",
        "tags_missing",
        "radon",
        "",
    ];
    prop::sample::select(names).prop_map(Quantity::from_name)
}

fn word() -> impl Strategy<Value = records::Name> {
    prop::sample::select(vec!["a", "b", "c", "", "E280"]).prop_map(records::Name::from)
}

fn body() -> impl Strategy<Value = Body> {
    let reading = (quantity(), number()).prop_map(|(quantity, value)| Reading {
        quantity,
        value,
        quality: Quality::default(),
    });
    let read = (word(), any::<u32>(), prop::option::of(instant()), prop::option::of(instant())).prop_map(
        |(epc, count, first_seen, last_seen)| TagRead {
            epc,
            antenna: 0,
            rssi: None,
            count,
            first_seen,
            last_seen,
        },
    );
    prop_oneof![
        2 => prop::collection::vec(reading, 0..5).prop_map(Body::Readings),
        1 => prop::collection::vec(read, 0..5).prop_map(Body::TagReads),
        1 => Just(Body::Passages(Vec::new())),
    ]
}

prop_compose! {
    fn observation()(
        device in word(), epoch in 0..7u32, sequence in prop::option::of(any::<u64>()),
        device_time in prop::option::of(instant()), ingest_time in instant(), body in body(),
    ) -> Observation {
        let event_time = ingest_time;
        Observation {
            device, epoch, sequence, device_time, event_time, ingest_time, position: None, stated: None, is_late: false, body,
        }
    }
}

prop_compose! {
    fn device()(
        id in word(), family in prop::sample::select(Family::ALL.to_vec()), area in word(),
        rank in any::<u32>(), is_enabled: bool, updated_at in instant(),
    ) -> Device {
        let limits = Vec::new();
        Device { id, family, label: "".into(), area, rank, position: None, is_enabled, updated_at, limits }
    }
}

prop_compose! {
    fn aggregate()(
        device in word(), area in word(), quantity in quantity(), start in instant(), end in instant(),
        mean in number(), good in any::<u32>(), as_of in instant(), is_area: bool,
    ) -> Aggregate {
        let subject = if is_area { Subject::Area(device) } else { Subject::Device(device) };
        Aggregate {
            subject, area, quantity, window: Window { start, end }, revision: 0, count: good, good,
            sum: mean, mean, min: mean, max: mean, as_of, is_backfill: false,
        }
    }
}

prop_compose! {
    fn sighting()(
        area in word(), device in word(), epc in word(), first_seen in instant(), last_seen in instant(),
        count in any::<u32>(), as_of in instant(),
    ) -> Sighting {
        Sighting { area, device, epc, first_seen, last_seen, count, as_of }
    }
}

prop_compose! {
    fn action()(
        rule in prop::sample::select(vec!["vibration-zone/", "standing-queue/", "", "/"]),
        name in word(), is_area: bool, at in instant(),
    ) -> Action {
        let subject = if is_area { Subject::Area(name.clone()) } else { Subject::Device(name.clone()) };
        let alert = format!("{rule}{name}/0").into();
        Action { alert, subject, verb: Verb::Acknowledge, actor: name, at, note: String::new() }
    }
}

prop_compose! {
    fn share()(
        area in word(), device in word(), job in prop::sample::select(vec!["line-minutes", "north", "rain-day", "?"]),
        start in instant(), end in instant(), revision in 0..3u32, as_of in instant(), value in -10.0..200.0f64,
        count in 0..4usize, noise in prop::option::of(any::<Vec<u8>>()),
    ) -> Share {
        let mut one = Accumulator::default();
        one.add(start, value, Quality::GOOD, Wants { ends: true, spread: true, circle: true, sketch: true, steps: false });
        let values = minicbor::to_vec(vec![one; count]).expect("a Vec takes everything");
        let (job, window) = (job.into(), Window { start, end });
        Share { device, area, job, definition: 0, window, revision, values: noise.unwrap_or(values), as_of }
    }
}

fn rules() -> impl Strategy<Value = Rules> {
    let default = include_str!("../rules/default.toml");
    let texts = [
        default.to_owned(),
        format!("{default}{}", include_str!("support/jobs.toml")),
        default.replace("machine_s = 60", "machine_s = 30").replace("[[queue]]", "[[queue]] # again"),
        "nonsense".to_owned(),
    ];
    (instant(), 0..texts.len()).prop_map(move |(at, which)| Rules {
        at,
        text: texts[which].clone(),
        replaces: String::new(),
    })
}

fn record() -> impl Strategy<Value = Record> {
    let tick = (instant(), 0..3u32, 0..3u32).prop_map(|(at, source, sources)| Tick { at, source, sources });
    prop_oneof![
        6 => observation().prop_map(Record::Observation),
        2 => device().prop_map(Record::Device),
        2 => tick.prop_map(Record::Tick),
        1 => action().prop_map(Record::Action),
        4 => aggregate().prop_map(Record::Aggregate),
        3 => sighting().prop_map(Record::Sighting),
        3 => share().prop_map(Record::Share),
        1 => rules().prop_map(Record::Rules),
    ]
}

/// Runs the records, with a detour through a snapshot after each.
fn run(mut job: impl Job, records: Vec<(Vec<u8>, Record)>) {
    let mut out = Outputs::new(PARTITIONS);
    for (key, record) in records {
        // A number that is not finite does not pass the codec.
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        let Ok(record) = Record::decode(&bytes) else { continue };
        job.run(0, &key, record, &mut out);
        let bytes = job.snapshot(0);
        job.restore(0, Some(&bytes)).expect("it is our own");
        assert_eq!(job.snapshot(0), bytes);
    }
    for (_, batch) in out.take() {
        batch
            .iter()
            .for_each(|(_, value)| drop(Record::decode(value).expect("what a job writes can be read")));
    }
}

fn keyed() -> impl Strategy<Value = Vec<(Vec<u8>, Record)>> {
    let key = prop_oneof![4 => word().prop_map(|word| word.as_bytes().to_vec()), 1 => Just(vec![0xff])];
    prop::collection::vec((key, record()), 0..60)
}

proptest! {
    #[test]
    fn the_device_job_takes_anything(records in keyed()) {
        run(DeviceJob::new(DeviceConfig::default(), Ruleset::default(), PARTITIONS), records);
    }

    #[test]
    fn user_defined_jobs_take_anything(records in keyed()) {
        let rules = concat!(include_str!("../rules/default.toml"), include_str!("support/jobs.toml"));
        let rules = rules.replace("family = \"air\"\nwindow", "family = \"other\"\nwindow");
        let rules = rules.replace("family = \"machine\"\nwindow", "family = \"other\"\nearly_s = 20\nwindow");
        let rules = rules.replace("count = 4", "calendar = \"month\", zone = \"Asia/Shanghai\"");
        let rules = Ruleset::parse(&rules).expect("still valid");
        run(DeviceJob::new(DeviceConfig::default(), rules, PARTITIONS), records);
    }

    #[test]
    fn the_area_job_takes_anything(records in keyed()) {
        let rules = concat!(include_str!("../rules/default.toml"), include_str!("support/jobs.toml"));
        let rules = Ruleset::parse(rules).expect("they are valid");
        run(AreaJob::new(AreaConfig::default(), rules, PARTITIONS), records);
    }

    #[test]
    fn foreign_bytes_are_no_state(bytes: Vec<u8>, cut in 0..2000usize, at in 0..2000usize, to: u8) {
        let job = || DeviceJob::new(DeviceConfig::default(), Ruleset::default(), PARTITIONS);
        prop_assert!(job().restore(0, Some(&bytes)).is_err());
        let mut own = job();
        let mut out = Outputs::new(PARTITIONS);
        support::fleet::city(1).into_iter().take(40).for_each(|input| own.run(0, b"", input.record, &mut out));
        let mut bytes = own.snapshot(0);
        let whole = bytes.len();
        bytes.truncate(cut);
        prop_assert!(cut >= whole || job().restore(0, Some(&bytes)).is_err());
        if let Some(byte) = bytes.get_mut(at) {
            *byte = to;
            // It may still be state; it may be refused; it must not be the end.
            let _ = job().restore(0, Some(&bytes));
        }
    }
}
