//! Messages through whole mappings.

use super::*;
use proptest::prelude::*;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn pointer(text: &str) -> Pointer {
    Pointer::parse(text).unwrap()
}

fn mapping() -> Mapping {
    let filter = Filter::parse("plant/+/line/+/temp").unwrap();
    let reading = |name: &str, at: &str, unit: Option<&str>| {
        MappedReading::new(Quantity::from_name(name), pointer(at), unit.map(str::to_owned)).unwrap()
    };
    Mapping {
        device: Template::parse("m-{1}-{2}-{/unit}", &filter).unwrap(),
        family: Family::Machine,
        area: Template::parse("plant-{1}/line-{2}", &filter).unwrap(),
        time: Some((pointer("/at"), TimeFormat::parse("%Y-%m-%d %H:%M:%S", Some("+08:00")).unwrap())),
        sequence: Some(pointer("/n")),
        position: Some((pointer("/where/0"), pointer("/where/1"))),
        crs: Crs::Wgs84,
        readings: vec![
            reading("bearing_temperature", "/values/a~1b", Some("K")),
            reading("vibration", "/values/rms", None),
            reading("running", "/on", None),
        ],
        filter,
    }
}

/// Who, then when, where and what; or why not.
fn told(payload: &str) -> String {
    let mapped = mapping().apply("plant/7/line/b/temp", payload.as_bytes(), NOW).unwrap();
    let device =
        mapped.device.map(|device| format!("{} {} in {}: ", device.id, device.family.name(), device.area));
    let said = match mapped.normalized {
        Ok(Observations::One(observation)) => {
            let Body::Readings(readings) = &observation.body else { panic!("a mapping makes readings") };
            let readings: String =
                readings.iter().map(|reading| format!(" {}={}", reading.quantity, reading.value)).collect();
            let place =
                observation.position.map(|at| format!(" at {},{}", at.lon, at.lat)).unwrap_or_default();
            format!("{:?} {}{place}{readings}", observation.sequence, observation.event_time.millis())
        }
        Ok(other) => panic!("{other:?}"),
        Err(rejection) => format!("{}: {}", rejection.reason.name(), rejection.detail),
    };
    device.unwrap_or_default() + &said
}

#[test]
fn a_message_is_told_in_our_words() {
    let payload = r#"{"unit": 3, "at": "2025-11-25 00:00:00", "n": 41, "where": [113.25, 23.125],
        "values": {"a/b": 300.15, "rms": "2.75"}, "on": true, "more": [{}]}"#;
    assert_eq!(
        told(payload),
        "m-7-b-3 machine in plant-7/line-b: Some(41) 1764000000000 at 113.25,23.125 \
         bearing_temperature=27 vibration=2.75 running=1"
    );
    let sparse = r#"{"unit": "x", "at": "2025-11-25 00:00:00", "n": 42, "values": {"a/b": null, "rms": 1}}"#;
    assert_eq!(told(sparse), "m-7-b-x machine in plant-7/line-b: Some(42) 1764000000000 vibration=1");
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let at = r#""at": "2025-11-25 00:00:00""#;
    let check = |payload: &str, expected: &str| {
        let told = told(payload);
        assert!(told.ends_with(expected), "{payload}: {told}");
    };
    check("", "empty: the payload is empty");
    check("{", "malformed: EOF while parsing an object at line 1 column 1");
    check("{}", "invalid: there is no name at /unit");
    check(r#"{"unit": "a b"}"#, r#"invalid: "m-7-b-a b" can't be a device id"#);
    check(&format!(r#"{{"unit": 1, {at}, "n": 1}}"#), "invalid: none of the mapping's readings is there");
    check(&format!(r#"{{"unit": 1, {at}, "on": 1}}"#), "invalid: there is no sequence number at /n");
    check(&format!(r#"{{"unit": 1, {at}, "n": -1, "on": 1}}"#), "invalid: there is no sequence number at /n");
    check(r#"{"unit": 1, "n": 1, "on": 1}"#, "invalid: there is no time at /at");
    check(r#"{"unit": 1, "n": 1, "on": 1, "at": 7}"#, "invalid: /at: 7 is no such time");
    check(&format!(r#"{{"unit": 1, {at}, "n": 1, "on": "high"}}"#), "invalid: /on is no number");
    check(&format!(r#"{{"unit": 1, {at}, "n": 1, "on": "NaN"}}"#), "invalid: /on is no number");
    let nowhere = |place: &str| format!(r#"{{"unit": 1, {at}, "n": 1, "on": 1, "where": {place}}}"#);
    check(&nowhere("[200, 1]"), "invalid: 200, 1 is not on Earth");
    check(&nowhere("[20]"), "invalid: /where/0 and /where/1 go together");
}

#[test]
fn mistakes_in_a_mapping_are_told() {
    let filter = Filter::parse("plant/+").unwrap();
    for wrong in ["{", "{0}", "{2}", "{name}", "{/a~2}"] {
        assert!(Template::parse(wrong, &filter).is_err(), "{wrong}");
    }
    for wrong in ["a", "/a~", "/~2"] {
        assert!(Pointer::parse(wrong).is_err(), "{wrong}");
    }
    let unit = MappedReading::new(Quantity::from_name("o3"), pointer(""), Some("ppm".to_owned()));
    assert_eq!(unit.unwrap_err(), "o3 is measured in ug/m3, which \"ppm\" can't be turned into");
}

proptest! {
    #[test]
    fn any_bytes_do(bytes in prop::collection::vec(any::<u8>(), 0..100), topic in "[a-z/$+#é]{0,20}") {
        let _ = mapping().apply("plant/7/line/b/temp", &bytes, NOW);
        let _ = mapping().apply(&topic, &bytes, NOW);
    }
}
