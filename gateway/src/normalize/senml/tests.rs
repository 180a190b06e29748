//! The examples of RFC 8428, section 5, in both forms, and what breaks its rules.

use super::record::Value as SenmlValue;
use super::resolve::{Resolved, resolve};
use super::{pack, telemetry};
use crate::normalize::{Arrival, Observations, Rejection};
use ciborium::Value as Cbor;
use proptest::prelude::*;
use records::{Crs, Name, Position, Reason, Timestamp};

/// 2027-01-15T08:00:00Z.
const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn observe(payload: &[u8]) -> Result<Observations, Rejection> {
    telemetry(Arrival { device: &Name::new("d-1"), crs: Crs::Wgs84, ingest_time: NOW }, payload)
}

/// An observation a line: when, where, what.
fn told(payload: &[u8]) -> String {
    let observations = observe(payload).unwrap();
    let line = |observation: &records::Observation| {
        let records::Body::Readings(readings) = &observation.body else { panic!("a pack tells readings") };
        let readings: String =
            readings.iter().map(|reading| format!(" {}={}", reading.quantity, reading.value)).collect();
        let at = observation.device_time.map_or("now".to_owned(), |time| time.millis().to_string());
        let place = observation.position.map(|Position { lon, lat }| format!(" at {lon},{lat}"));
        format!("{at}{}{readings}\n", place.unwrap_or_default())
    };
    observations.as_slice().iter().map(line).collect()
}

fn resolved(json: &str) -> Vec<Resolved> {
    let from_json = resolve(pack::read(json.as_bytes()).unwrap()).unwrap();
    assert_eq!(resolve(pack::read(&cbor(json)).unwrap()).unwrap(), from_json, "{json}");
    from_json
}

/// The pack in CBOR with the labels of table 4.
fn cbor(json: &str) -> Vec<u8> {
    const CODES: [(&str, i64); 15] = [
        ("bver", -1),
        ("bn", -2),
        ("bt", -3),
        ("bu", -4),
        ("bv", -5),
        ("bs", -6),
        ("n", 0),
        ("u", 1),
        ("v", 2),
        ("vs", 3),
        ("vb", 4),
        ("s", 5),
        ("t", 6),
        ("ut", 7),
        ("vd", 8),
    ];
    let Cbor::Array(mut records) =
        Cbor::serialized(&serde_json::from_str::<serde_json::Value>(json).unwrap()).unwrap()
    else {
        panic!("a pack is an array")
    };
    for record in &mut records {
        for (key, value) in record.as_map_mut().unwrap() {
            let code = CODES.iter().find(|(name, _)| key.as_text() == Some(name)).unwrap().1;
            if code == 8 {
                *value = Cbor::Bytes(vec![1, 2, 3]);
            }
            *key = Cbor::from(code);
        }
    }
    let mut bytes = Vec::new();
    ciborium::into_writer(&Cbor::Array(records), &mut bytes).unwrap();
    bytes
}

fn number(name: &str, unit: &str, value: f64, time: f64) -> Resolved {
    Resolved {
        name: name.to_owned(),
        unit: Some(unit.to_owned()),
        value: Some(SenmlValue::Number(value)),
        sum: None,
        time,
    }
}

#[test]
fn a_single_data_point() {
    let pack = r#"[{"n":"urn:dev:ow:10e2073a01080063","u":"Cel","v":23.1}]"#;
    assert_eq!(resolved(pack), [number("urn:dev:ow:10e2073a01080063", "Cel", 23.1, 0.0)]);
    assert_eq!(told(pack.as_bytes()), "now 10e2073a01080063=23.1\n");
}

#[test]
fn multiple_data_points_of_several_instants() {
    let pack = r#"[{"bn":"urn:dev:ow:10e2073a0108006:","bt":1.276020076001e+09,"bu":"A","bver":5,
         "n":"voltage","u":"V","v":120.1},
        {"n":"current","t":-5,"v":1.2},{"n":"current","t":-4,"v":1.3},{"n":"current","t":-3,"v":1.4},
        {"n":"current","t":-2,"v":1.5},{"n":"current","t":-1,"v":1.6},{"n":"current","v":1.7}]"#;
    let all = resolved(pack);
    assert_eq!(all[0], number("urn:dev:ow:10e2073a0108006:voltage", "V", 120.1, 1_276_020_076.001));
    assert_eq!(all[6], number("urn:dev:ow:10e2073a0108006:current", "A", 1.7, 1_276_020_076.001));
    expect_test::expect![[r#"
        1276020071001 current=1.2
        1276020072001 current=1.3
        1276020073001 current=1.4
        1276020074001 current=1.5
        1276020075001 current=1.6
        1276020076001 voltage=120.1 current=1.7
    "#]]
    .assert_eq(&told(&cbor(pack)));
}

#[test]
fn a_sensor_that_moves() {
    let pack = r#"[{"bn":"urn:dev:ow:10e2073a01080063","bt":1.320067464e+09,"bu":"%RH","v":20},
        {"u":"lon","v":24.30621},{"u":"lat","v":60.07965},
        {"t":60,"v":20.3},{"u":"lon","t":60,"v":24.30622},{"u":"lat","t":60,"v":60.07965},
        {"t":120,"v":20.7},{"u":"lon","t":120,"v":24.30623},{"u":"lat","t":120,"v":60.07966},
        {"u":"%EL","t":150,"v":98},{"t":180,"v":21.2},{"u":"lon","t":180,"v":24.30628},{"u":"lat","t":180,"v":60.07967}]"#;
    assert_eq!(resolved(pack).len(), 13);
    expect_test::expect![[r#"
        1320067464000 at 24.30621,60.07965 10e2073a01080063=20
        1320067524000 at 24.30622,60.07965 10e2073a01080063=20.3
        1320067584000 at 24.30623,60.07966 10e2073a01080063=20.7
        1320067614000 10e2073a01080063=98
        1320067644000 at 24.30628,60.07967 10e2073a01080063=21.2
    "#]]
    .assert_eq(&told(pack.as_bytes()));
}

#[test]
fn other_values_resolve_and_a_text_is_no_reading() {
    let pack = r#"[{"bn":"urn:dev:ow:10e2073a01080063:","n":"temp","u":"Cel","v":23.1},
        {"n":"label","vs":"Machine Room"},{"n":"open","vb":false},{"n":"nfc-reader","vd":"aGkgCg"}]"#;
    let values: Vec<_> = resolved(pack).into_iter().map(|record| record.value.unwrap()).collect();
    use SenmlValue::{Boolean, Data, Number, Text};
    assert_eq!(values, [Number(23.1), Text, Boolean(false), Data]);
    let rejection = observe(pack.as_bytes()).unwrap_err();
    assert_eq!(rejection.reason, Reason::Invalid);
    assert_eq!(rejection.detail, "urn:dev:ow:10e2073a01080063:label is no number, and a reading is one");
}

#[test]
fn a_collection_of_nodes() {
    let pack = r#"[{"bn":"2001:db8::2/","bt":1.320078429e+09,"n":"temperature","u":"Cel","v":25.2},
        {"n":"humidity","u":"%RH","v":30},
        {"bn":"2001:db8::1/","n":"temperature","u":"Cel","v":12.3},{"n":"humidity","u":"%RH","v":67}]"#;
    assert_eq!(resolved(pack)[2], number("2001:db8::1/temperature", "Cel", 12.3, 1_320_078_429.0));
    let detail = observe(pack.as_bytes()).unwrap_err().detail;
    assert_eq!(
        detail,
        "2001:db8::2/temperature and 2001:db8::1/temperature are both temperature of one instant"
    );
}

#[test]
fn base_value_and_sum_and_units_of_the_registry() {
    let pack = r#"[{"bu":"Pa","bv":100000,"n":"pressure","v":1320},{"n":"battery","u":"mV","v":-96300},
        {"bs":7,"n":"energy","s":5,"t":-1.5,"ut":60},{"n":"open","u":"/","vb":true,"t":-1.5}]"#;
    expect_test::expect![[r#"
        1799999998500 energy_sum=12 open=1 open_sum=7
        now pressure=1013.2 battery=3.7
    "#]]
    .assert_eq(&told(&cbor(pack)));
}

#[test]
fn what_breaks_a_rule_is_told() {
    let check = |pack: &str, reason, detail: &str| {
        let rejection = observe(pack.as_bytes()).unwrap_err();
        assert!(rejection.detail.contains(detail), "{pack}: {}", rejection.detail);
        assert_eq!(rejection.reason, reason, "{pack}");
    };
    let invalid = |pack, detail| check(pack, Reason::Invalid, detail);
    invalid("[]", "at least one record");
    invalid("[1]", "a SenML record");
    invalid(r#"[{"n":"a"}]"#, "record 1: has neither a value nor a sum");
    invalid(r#"[{"n":"a","v":1,"vs":"x"}]"#, "more than one of");
    invalid(r#"[{"n":"a","v":1,"v":2}]"#, "more than one of");
    invalid(r#"[{"n":"a","n":"b","v":1}]"#, "n occurs twice");
    invalid(r#"[{"n":"a","v":"1"}]"#, "v holds what it may not");
    invalid(r#"[{"n":"a","v":null}]"#, "v holds what it may not");
    invalid(r#"[{"n":"a","v":1,"new_":1}]"#, "must be understood");
    invalid(r#"[{"v":1}]"#, "is not a SenML name");
    invalid(r#"[{"bn":":","n":"a","v":1}]"#, "is not a SenML name");
    invalid(r#"[{"n":"a b","v":1}]"#, "is not a SenML name");
    invalid(r#"[{"n":"a:","v":1}]"#, "does not end in the name");
    invalid(r#"[{"n":"a","v":1},{"n":"b","v":1,"bver":5}]"#, "differ in bver");
    invalid(r#"[{"n":"a","v":1,"bver":11}]"#, "bver 11");
    invalid(r#"[{"n":"a","v":1,"t":1e300}]"#, "outside the years");
    invalid(r#"[{"n":"a","v":1,"bt":1e308,"t":1e308}]"#, "no number");
    invalid(r#"[{"u":"lon","n":"a","v":200},{"u":"lat","n":"a","v":2}]"#, "200 is no lon");
    invalid(r#"[{"u":"lon","n":"a","v":20}]"#, "go together");
    invalid(r#"[{"n":"temperature","u":"%RH","v":20}]"#, "measured in Cel");
    check("[{", Reason::Malformed, "EOF");
    check(r#"[{"n":"a","v":1}] x"#, Reason::Malformed, "trailing");
    check(r#"[{"n":"a","v":1e999}]"#, Reason::Malformed, "out of range");
}

#[test]
fn what_is_not_known_is_passed_over() {
    assert_eq!(told(br#"  [{"n":"a","v":1,"x":{"deep":[1,2]},"bver":26}]"#), "now a=1\n");
}

#[test]
fn numbers_of_cbor() {
    let pack = |value: Cbor| {
        let record = Cbor::Map(vec![(0.into(), "a".into()), (2.into(), value), (99.into(), Cbor::Null)]);
        let mut bytes = Vec::new();
        ciborium::into_writer(&Cbor::Array(vec![record]), &mut bytes).unwrap();
        bytes
    };
    let fraction = |parts: &[Cbor]| Cbor::Tag(4, Box::new(Cbor::Array(parts.to_vec())));
    assert_eq!(told(&pack(fraction(&[(-1).into(), 231.into()]))), "now a=23.1\n");
    assert_eq!(told(&pack(Cbor::Integer((-7).into()))), "now a=-7\n");
    assert_eq!(told(&pack(Cbor::Float(0.5))), "now a=0.5\n");
    for wrong in
        [Cbor::Float(f64::NAN), Cbor::Float(f64::INFINITY), fraction(&[400.into(), 1.into()]), Cbor::Null]
    {
        assert_eq!(observe(&pack(wrong)).unwrap_err().reason, Reason::Invalid);
    }
    let behind = [pack(Cbor::Float(0.5)), vec![0]].concat();
    assert_eq!(observe(&behind).unwrap_err().reason, Reason::Malformed);
    assert_eq!(
        observe(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).unwrap_err().reason,
        Reason::Malformed
    );
}

/// Times below 2^28 seconds are relative (section 4.5.3).
#[test]
fn the_last_relative_time_and_the_first_absolute() {
    assert_eq!(told(br#"[{"n":"a","v":1,"t":268435455}]"#), "2068435455000 a=1\n");
    assert_eq!(told(br#"[{"n":"a","v":1,"t":268435456}]"#), "268435456000 a=1\n");
    assert_eq!(told(br#"[{"n":"a","v":1,"bt":268435456,"t":-1}]"#), "2068435455000 a=1\n");
}

proptest! {
    #[test]
    fn any_bytes_do(bytes in prop::collection::vec(any::<u8>(), 0..200), first in prop::sample::select(vec![0x81u8, 0x82, 0x9f, b'['])) {
        let _ = observe(&bytes);
        let _ = observe(&[&[first][..], &bytes].concat());
    }

    #[test]
    fn mutated_packs_do(at in 0usize..500, byte in any::<u8>(), cut in 0usize..500, in_cbor in any::<bool>()) {
        let json = r#"[{"bn":"u:","bt":1.320078429e+09,"bv":3,"bs":1,"bver":10,"n":"temperature","u":"Cel","v":25.2,"ut":3},
            {"n":"lon","u":"lon","v":30},{"n":"lat","u":"lat","v":30,"t":5},{"n":"x","vb":true,"s":3}]"#;
        let mut bytes = if in_cbor { cbor(json) } else { json.as_bytes().to_vec() };
        let len = bytes.len();
        bytes[at % len] = byte;
        let _ = observe(&bytes);
        let _ = observe(&bytes[..cut % len]);
    }
}
