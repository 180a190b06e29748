//! One of each kind and version, as bytes that are kept for ever and as the shape that the README documents.
//!
//! A golden file is never edited: what once stood on a log must be read for as long as the program lives. A new
//! version gets new files beside the old.

use ciborium::{Value, cbor};
use expect_test::{Expect, ExpectFile, expect, expect_file};
use records::{
    Account, AccountCounts, AccountItem, Action, Aggregate, Alert, AlertState, Body, Crs, DecodeError,
    Device, Family, Flag, Limit, LimitKind, Name, Observation, Passage, Position, Quality, Quantity,
    Quarantined, Reading, Reason, Record, Rules, Severity, Share, Sighting, StatedPosition, Status, Subject,
    TagRead, Test, Tick, Timestamp, UseCase, VehicleClass, Verb, Window,
};

const INGEST: Timestamp = Timestamp(1_767_225_600_250);
const EVENT: Timestamp = Timestamp(1_767_225_600_000);

fn check(record: &Record, golden: &ExpectFile, shape: Result<Value, ciborium::value::Error>) {
    let mut bytes = Vec::new();
    record.encode(&mut bytes);
    golden.assert_eq(&hex(&bytes));
    assert_eq!(Record::decode(&bytes).as_ref(), Ok(record));
    let read: Value = ciborium::from_reader(bytes.as_slice()).expect("CBOR");
    assert_eq!(read, shape.expect("a shape"));
}

/// Sixteen bytes a line.
fn hex(bytes: &[u8]) -> String {
    let line = |line: &[u8]| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
    bytes.chunks(16).map(line).collect()
}

fn observation(body: Body) -> Observation {
    Observation {
        device: "probe-1".into(),
        epoch: 0,
        sequence: None,
        device_time: None,
        event_time: INGEST,
        ingest_time: INGEST,
        position: None,
        stated: None,
        is_late: false,
        body,
    }
}

fn reading(quantity: &str, value: f64, quality: Quality) -> Reading {
    Reading { quantity: Quantity::from_name(quantity), value, quality }
}

#[test]
fn a_position_that_was_stated_in_another_system() {
    let record = Observation {
        position: Some(Position { lon: 113.25, lat: 23.125 }),
        stated: Some(StatedPosition { crs: Crs::Gcj02, lon: 113.5, lat: 23.25 }),
        ..observation(Body::Readings(vec![reading("speed", 43.5, Quality::default())]))
    };
    check(
        &Record::Observation(record),
        &expect_file!["../golden/stated_position_v1.hex"],
        cbor!([1, 1, {
            1 => "probe-1",
            2 => INGEST.0,
            7 => [113.25, 23.125],
            9 => [62, 43.5, 2],
            13 => [2, 113.5, 23.25],
        }]),
    );
}

#[test]
fn readings() {
    let suspect = Quality::GOOD.failed(Test::Spike, Flag::Suspect).failed(Test::Neighbour, Flag::Suspect);
    let record = Observation {
        epoch: 3,
        sequence: Some(1000),
        device_time: Some(Timestamp(EVENT.0 - 30_000)),
        event_time: EVENT,
        position: Some(Position { lon: 113.5, lat: 22.25 }),
        is_late: true,
        ..observation(Body::Readings(vec![
            reading("pm2_5", 35.5, Quality::GOOD),
            reading("temperature", 21.3, Quality::default()),
            reading("pressure", 1_013.253_173_828_125, suspect),
            reading("radon", -0.0, Quality { flag: Flag::Missing, tests: 0 }),
        ]))
    };
    check(
        &Record::Observation(record),
        &expect_file!["../golden/readings_v1.hex"],
        cbor!([1, 1, {
            1 => "probe-1",
            2 => INGEST.0,
            3 => -250,
            4 => -30_000,
            5 => 3,
            6 => 1000,
            7 => [113.5, 22.25],
            8 => true,
            9 => [1, 35.5, 1, 20, 21.3, 2, 22, 1_013.253_173_828_125, 3 + 16 * 36, "radon", -0.0, 9],
        }]),
    );
}

#[test]
fn a_plain_reading_is_small() {
    let record = observation(Body::Readings(vec![reading("pm2_5", 35.5, Quality::default())]));
    check(
        &Record::Observation(record),
        &expect_file!["../golden/reading_v1.hex"],
        cbor!([1, 1, { 1 => "probe-1", 2 => INGEST.0, 9 => [1, 35.5, 2] }]),
    );
}

#[test]
fn tag_reads() {
    let read = |epc: &str| TagRead {
        epc: epc.into(),
        antenna: 0,
        rssi: None,
        count: 1,
        first_seen: None,
        last_seen: None,
    };
    let seen = TagRead {
        antenna: 2,
        rssi: Some(-61.5),
        count: 17,
        first_seen: Some(Timestamp(INGEST.0 - 900)),
        last_seen: Some(INGEST),
        ..read("3034257BF7194E4000001A85")
    };
    let bytes = vec![0x30, 0x34, 0x25, 0x7b, 0xf7, 0x19, 0x4e, 0x40, 0x00, 0x00, 0x1a, 0x85];
    check(
        &Record::Observation(observation(Body::TagReads(vec![seen, read("pallet 7")]))),
        &expect_file!["../golden/tag_reads_v1.hex"],
        cbor!([1, 1, {
            1 => "probe-1",
            2 => INGEST.0,
            10 => [
                { 1 => Value::Bytes(bytes), 2 => 2, 3 => -61.5, 4 => 17, 5 => -900, 6 => 0 },
                { 1 => "pallet 7" },
            ],
        }]),
    );
}

#[test]
fn passages() {
    let at = |ms| Timestamp(INGEST.0 + ms);
    let passages = vec![
        Passage { at: at(-800), lane: 2, speed: Some(48.5), class: VehicleClass::Truck },
        Passage { at: at(0), lane: 0, speed: None, class: VehicleClass::Unknown },
    ];
    check(
        &Record::Observation(observation(Body::Passages(passages))),
        &expect_file!["../golden/passages_v1.hex"],
        cbor!([1, 1, { 1 => "probe-1", 2 => INGEST.0, 11 => [-800, 2, 48.5, 2, 0, 0, null, 0] }]),
    );
}

#[test]
fn status() {
    let status = Status {
        firmware: Some("1.4.2".into()),
        uptime_s: Some(86_400),
        battery_v: Some(3.6),
        text: Some("door open".into()),
    };
    check(
        &Record::Observation(observation(Body::Status(status))),
        &expect_file!["../golden/status_v1.hex"],
        cbor!([1, 1, {
            1 => "probe-1",
            2 => INGEST.0,
            12 => { 1 => "1.4.2", 2 => 86_400, 3 => f64::from(3.6_f32), 4 => "door open" },
        }]),
    );
}

#[test]
fn device() {
    let record = Device {
        id: "probe-1".into(),
        family: Family::Air,
        label: "Town hall".into(),
        area: "centre".into(),
        rank: 4,
        position: Some(Position { lon: 113.5, lat: 22.25 }),
        is_enabled: false,
        updated_at: EVENT,
        limits: Vec::new(),
    };
    check(
        &Record::Device(record),
        &expect_file!["../golden/device_v1.hex"],
        cbor!([1, 2, {
            1 => "probe-1", 2 => 1, 3 => "Town hall", 4 => "centre", 5 => 4, 6 => [113.5, 22.25], 7 => true,
            8 => EVENT.0,
        }]),
    );
}

#[test]
fn a_device_with_limits_of_its_own() {
    let limit = |name, kind, value| Limit { quantity: Quantity::from_name(name), kind, value };
    let limits = vec![limit("pm2_5", LimitKind::Most, 500.0), limit("radon", LimitKind::GapSeconds, 90.0)];
    let record = Device {
        id: "probe-1".into(),
        family: Family::Air,
        label: Name::default(),
        area: Name::default(),
        rank: 0,
        position: None,
        is_enabled: true,
        updated_at: EVENT,
        limits,
    };
    check(
        &Record::Device(record),
        &expect_file!["../golden/device_limits_v1.hex"],
        cbor!([1, 2, { 1 => "probe-1", 2 => 1, 8 => EVENT.0, 9 => [1, 2, 500.0, "radon", 9, 90.0] }]),
    );
}

#[test]
fn account() {
    let mut counts = AccountCounts::default();
    for (place, (item, _)) in (1..).zip(AccountItem::ALL) {
        counts.add(item, place * 30 % 11);
    }
    assert!(!counts.is_balanced());
    check(
        &Record::Account(Account { device: "probe-1".into(), hour: EVENT, counts }),
        &expect_file!["../golden/account_v1.hex"],
        cbor!([1, 8, {
            1 => "probe-1", 2 => EVENT.0,
            3 => 8, 4 => 5, 5 => 2, 6 => 10, 7 => 7, 8 => 4, 9 => 1, 10 => 9, 11 => 6, 12 => 3,
        }]),
    );
}

#[test]
fn share() {
    let window = Window { start: EVENT, end: Timestamp(EVENT.0 + 60_000) };
    let (device, area, job) = ("probe-1".into(), "north".into(), "district".into());
    let as_of = Timestamp(EVENT.0 + 70_000);
    let (revision, values) = (2, vec![0x80]);
    let share = Share { device, area, job, definition: 0, window, revision, values, as_of };
    check(
        &Record::Share(share.clone()),
        &expect_file!["../golden/share_v1.hex"],
        cbor!([1, 9, {
            1 => "probe-1", 2 => "north", 3 => "district", 4 => EVENT.0, 5 => 60_000, 6 => 10_000, 7 => 2,
            8 => Value::Bytes(vec![0x80]),
        }]),
    );
    check(
        &Record::Share(Share { definition: 300, ..share }),
        &expect_file!["../golden/share_defined_v1.hex"],
        cbor!([1, 9, {
            1 => "probe-1", 2 => "north", 3 => "district", 4 => EVENT.0, 5 => 60_000, 6 => 10_000, 7 => 2,
            8 => Value::Bytes(vec![0x80]), 9 => 300,
        }]),
    );
}

#[test]
fn rules() {
    let (text, replaces) = ("[air]\n".to_owned(), "[rain]\n".to_owned());
    check(
        &Record::Rules(Rules { at: EVENT, text, replaces }),
        &expect_file!["../golden/rules_v1.hex"],
        cbor!([1, 10, { 1 => EVENT.0, 2 => "[air]\n", 3 => "[rain]\n" }]),
    );
}

#[test]
fn tick() {
    check(
        &Record::Tick(Tick { at: EVENT, source: 2, sources: 4 }),
        &expect_file!["../golden/tick_v1.hex"],
        cbor!([1, 3, { 1 => EVENT.0, 2 => 2, 3 => 4 }]),
    );
}

#[test]
fn action() {
    let record = Action {
        alert: "pm2_5/probe-1/1767225600000".into(),
        subject: Subject::Device("probe-1".into()),
        verb: Verb::Acknowledge,
        actor: "wei".into(),
        at: INGEST,
        note: "on my way".into(),
    };
    check(
        &Record::Action(record),
        &expect_file!["../golden/action_v1.hex"],
        cbor!([1, 4, {
            1 => "pm2_5/probe-1/1767225600000", 2 => "probe-1", 4 => 1, 5 => "wei", 6 => INGEST.0, 7 => "on my way",
        }]),
    );
}

fn aggregate() -> Aggregate {
    Aggregate {
        subject: Subject::Device("probe-1".into()),
        area: "centre".into(),
        quantity: Quantity::from_name("pm2_5"),
        window: Window { start: EVENT, end: Timestamp(EVENT.0 + 60_000) },
        revision: 0,
        count: 12,
        good: 0,
        sum: 0.0,
        mean: 0.0,
        min: 0.0,
        max: 0.0,
        as_of: Timestamp(EVENT.0 + 75_000),
        is_backfill: false,
    }
}

#[test]
fn aggregate_of_a_device() {
    let record = Aggregate {
        revision: 1,
        good: 11,
        sum: 390.5,
        mean: 35.5,
        min: 30.1,
        max: 41.0,
        is_backfill: true,
        ..aggregate()
    };
    check(
        &Record::Aggregate(record),
        &expect_file!["../golden/aggregate_v1.hex"],
        cbor!([1, 5, {
            1 => "probe-1", 3 => "centre", 4 => 1, 5 => EVENT.0, 6 => 60_000, 7 => 15_000, 8 => 1, 9 => 12,
            10 => 11, 11 => [390.5, 35.5, 30.1, 41.0], 12 => true,
        }]),
    );
}

#[test]
fn aggregate_of_an_area_without_a_value() {
    let record = Aggregate { subject: Subject::Area("centre".into()), ..aggregate() };
    check(
        &Record::Aggregate(record),
        &expect_file!["../golden/aggregate_empty_v1.hex"],
        cbor!([1, 5, {
            2 => "centre", 3 => "centre", 4 => 1, 5 => EVENT.0, 6 => 60_000, 7 => 15_000, 9 => 12, 10 => 0,
        }]),
    );
}

#[test]
fn sighting() {
    let record = Sighting {
        area: "line-1".into(),
        device: "reader-3".into(),
        epc: "3034257BF7194E4000001A85".into(),
        first_seen: EVENT,
        last_seen: Timestamp(EVENT.0 + 1200),
        count: 17,
        as_of: Timestamp(EVENT.0 + 3200),
    };
    let bytes = vec![0x30, 0x34, 0x25, 0x7b, 0xf7, 0x19, 0x4e, 0x40, 0x00, 0x00, 0x1a, 0x85];
    check(
        &Record::Sighting(record),
        &expect_file!["../golden/sighting_v1.hex"],
        cbor!([1, 6, {
            1 => "line-1", 2 => "reader-3", 3 => Value::Bytes(bytes), 4 => EVENT.0, 5 => 1200, 6 => 2000, 7 => 17,
        }]),
    );
}

#[test]
fn quarantined() {
    let record = Quarantined {
        device: "probe-1".into(),
        topic_name: "up/probe-1/telemetry".into(),
        ingest_time: INGEST,
        reason: Reason::Malformed,
        detail: "ends inside a string".into(),
        payload: b"{\"pm2_5".to_vec(),
        count: 1,
    };
    check(
        &Record::Quarantined(record),
        &expect_file!["../golden/quarantined_v1.hex"],
        cbor!([1, 7, {
            1 => "probe-1", 2 => "up/probe-1/telemetry", 3 => INGEST.0, 4 => 1, 5 => "ends inside a string",
            6 => Value::Bytes(b"{\"pm2_5".to_vec()),
        }]),
    );
}

#[test]
fn dropped() {
    let record = Quarantined {
        device: "loop-1".into(),
        topic_name: "up/loop-1/telemetry".into(),
        ingest_time: INGEST,
        reason: Reason::Dropped,
        detail: "published with QoS 0 while the spool was nearly full".into(),
        payload: Vec::new(),
        count: 250,
    };
    check(
        &Record::Quarantined(record),
        &expect_file!["../golden/dropped_v1.hex"],
        cbor!([1, 7, {
            1 => "loop-1", 2 => "up/loop-1/telemetry", 3 => INGEST.0, 4 => 7,
            5 => "published with QoS 0 while the spool was nearly full", 7 => 250,
        }]),
    );
}

fn check_alert(alert: Alert, golden: &Expect) {
    let mut bytes = Vec::new();
    alert.encode(&mut bytes);
    golden.assert_eq(std::str::from_utf8(&bytes).expect("UTF-8"));
    assert_eq!(Record::decode(&bytes), Ok(Record::Alert(Box::new(alert))));
}

#[test]
fn alert() {
    let opened = Alert {
        id: "pm2_5/probe-1/1767225600000".into(),
        transition: 0,
        rule: "pm2_5".into(),
        use_case: UseCase::Environment,
        subject: Subject::Device("probe-1".into()),
        area: "centre".into(),
        position: None,
        state: AlertState::Open,
        severity: Severity::Severe,
        opened_at: EVENT,
        at: EVENT,
        as_of: INGEST,
        quantity: "iaqi_pm2_5".into(),
        value: 201.0,
        threshold: 200.0,
        text: "PM2.5 heavily polluted".into(),
        source: "HJ 633".into(),
        is_backfill: false,
        actor: None,
        note: None,
    };
    let acknowledged = Alert {
        transition: 1,
        state: AlertState::Acknowledged,
        position: Some(Position { lon: 113.5, lat: 22.25 }),
        actor: Some("wei".into()),
        note: Some("on my way".into()),
        ..opened.clone()
    };
    check_alert(
        opened,
        &expect![[
            r#"{"version":1,"id":"pm2_5/probe-1/1767225600000","transition":0,"rule":"pm2_5","use_case":"environment","subject":{"device":"probe-1"},"area":"centre","state":"open","severity":"severe","opened_at":1767225600000,"at":1767225600000,"as_of":1767225600250,"quantity":"iaqi_pm2_5","value":201.0,"threshold":200.0,"text":"PM2.5 heavily polluted","source":"HJ 633","is_backfill":false}"#
        ]],
    );
    check_alert(
        acknowledged,
        &expect![[
            r#"{"version":1,"id":"pm2_5/probe-1/1767225600000","transition":1,"rule":"pm2_5","use_case":"environment","subject":{"device":"probe-1"},"area":"centre","position":{"lon":113.5,"lat":22.25},"state":"acknowledged","severity":"severe","opened_at":1767225600000,"at":1767225600000,"as_of":1767225600250,"quantity":"iaqi_pm2_5","value":201.0,"threshold":200.0,"text":"PM2.5 heavily polluted","source":"HJ 633","is_backfill":false,"actor":"wei","note":"on my way"}"#
        ]],
    );
}

#[test]
fn what_is_refused_and_why() {
    let check = |hex: &str, expected: DecodeError| {
        let digits = hex.replace(' ', "");
        let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex");
        let bytes: Vec<u8> = (0..digits.len()).step_by(2).map(byte).collect();
        assert_eq!(Record::decode(&bytes), Err(expected), "{hex}");
    };
    let malformed = |what: &str| DecodeError::Malformed(what.to_owned());
    check("83 02 03 a1 01 00", DecodeError::Version(2));
    check("84 02 03 a1 01 00 00", DecodeError::Version(2));
    check("83 19 0100 03 a1 01 00", DecodeError::Version(255));
    check("83 00 03 a1 01 00", malformed("version 0"));
    check("82 01 03", malformed("not an array of three"));
    check("9f 01 03 a1 01 00 ff", malformed("not an array of three"));
    check("83 01 0b a0", malformed("no kind 11"));
    check("83 01 00 a0", malformed("no kind 0"));
    check("83 01 03 a1 01 00 00", malformed("bytes behind its end"));
    check("83 01 03 a0", malformed("field 1 is missing"));
    check("83 01 03 bf 01 00 ff", malformed("a map of indefinite length"));
    check("83 01 03 a2 01 00 01 00", malformed("keys must ascend"));
    check("83 01 03 a3 01 00 03 01 02 00", malformed("keys must ascend"));
    let observation = |body: &str| format!("83 01 01 a3 01 61 61 02 00 {body}");
    check("83 01 01 a2 01 61 61 02 00", malformed("an observation of nothing"));
    check(&observation("09 82 01 f9 0000"), malformed("readings are threes"));
    check(&observation("09 83 01 f9 7c00 01"), malformed("a number that is not finite"));
    check(&observation("09 83 01 f9 7e00 01"), malformed("a number that is not finite"));
    check(&observation("09 83 19 ffff f9 0000 01"), malformed("no quantity 65535"));
    check(&observation("09 83 01 f9 0000 05"), malformed("no such flag"));
    check(&observation("09 83 01 f9 0000 1a 00100001"), malformed("no such test"));
    check(&observation("09 9b ffffffffffffffff 01 f9 0000 01"), malformed("an array longer than the record"));
    check(&observation("0a 9a 7fffffff a0"), malformed("an array longer than the record"));
    check(&observation("0b 84 00 00 fa 7f800000 00"), malformed("a number that is not finite"));
    check(&observation("0b 84 00 00 f6 05"), malformed("VehicleClass has no code 5"));
}

#[test]
fn what_is_refused_of_an_alert() {
    let decode = |text: &str| Record::decode(text.as_bytes());
    assert_eq!(decode(r#"{"version":2}"#), Err(DecodeError::Version(2)));
    assert_eq!(decode(r#"{"version":1000}"#), Err(DecodeError::Version(255)));
    for text in ["{", "{}", r#"{"version":1}"#, r#"{"version":-1}"#, r#"{"version":0}"#] {
        assert!(matches!(decode(text), Err(DecodeError::Malformed(_))), "{text}");
    }
}

#[test]
fn names_that_take_more_than_their_place_are_kept() {
    let long = Name::from("a".repeat(70_000));
    let record = Record::Tick(Tick { at: EVENT, source: u32::MAX, sources: u32::MAX });
    let device = Record::Observation(Observation { device: long, ..observation(Body::Readings(vec![])) });
    for record in [record, device] {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        assert_eq!(Record::decode(&bytes), Ok(record));
    }
}
