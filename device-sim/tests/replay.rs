//! A recorded table becomes messages with its own times.

#![allow(clippy::unwrap_used)]

mod broker;

use broker::{Broker, Faults};
use device_sim::replay::{Map, ReplayConfig, ReplayError, Table, replay};
use firmware_protocol::{FrameContent, TelemetryFrame, parse_rfc3339};
use std::collections::HashMap;

const TABLE: &str = "\
date,station,temp_max,wind,note
2012/07/01,north,68.0,2.5,\"dry, warm\"
2012/07/02,south,NA,3.0,
2012/12/03,north,50.0,,
";

const MAP: &str = r#"
device_column = "station"
[time]
text = "{date} 12:30"
format = "%Y/%m/%d %H:%M"
zone = "America/Los_Angeles"
[[reading]]
column = "temp_max"
quantity = "temperature"
factor = 0.5555555555555556
offset = -17.77777777777778
[[reading]]
column = "wind"
quantity = "wind_speed"
"#;

fn map(text: &str) -> Map {
    toml::from_str(text).unwrap()
}

/// (sequence, time, readings) of a payload.
fn seen(payload: &[u8]) -> (u64, i64, Vec<(String, f64)>) {
    let frame = TelemetryFrame::from_cbor(payload).unwrap();
    let FrameContent::Readings(readings) = frame.content else { panic!("readings") };
    let readings = readings
        .into_iter()
        .map(|reading| (reading.quantity.name().to_string(), (reading.value * 1e6).round() / 1e6));
    (frame.sequence.unwrap(), frame.time.unwrap(), readings.collect())
}

fn at(text: &str) -> i64 {
    parse_rfc3339(text).unwrap()
}

#[tokio::test]
async fn rows_arrive_as_messages_of_their_devices() {
    let messages = map(MAP).messages(&Table::parse(TABLE).unwrap()).unwrap();
    let broker = Broker::start(Faults::default()).await;
    let config = ReplayConfig {
        host: "127.0.0.1".to_string(),
        port: broker.port,
        passwords: HashMap::new(),
        in_flight: 10,
        attempts: 3,
    };
    assert_eq!(replay(&config, &messages).await.unwrap(), 3);
    let of = |device: &str| -> Vec<_> {
        broker.payloads(&format!("up/{device}/telemetry")).iter().map(|payload| seen(payload)).collect()
    };
    let (temperature, wind) = ("temperature".to_string(), "wind_speed".to_string());
    let summer = at("2012-07-01T12:30:00-07:00");
    let winter = at("2012-12-03T12:30:00-08:00");
    assert_eq!(
        of("north"),
        [
            (0, summer, vec![(temperature.clone(), 20.0), (wind.clone(), 2.5)]),
            (1, winter, vec![(temperature, 10.0)])
        ]
    );
    assert_eq!(of("south"), [(0, at("2012-07-02T12:30:00-07:00"), vec![(wind, 3.0)])]);
}

#[tokio::test]
async fn a_broker_that_hangs_up_gets_every_row() {
    let rows: String = (0..500).map(|n| format!("{},{n}\n", n * 60)).collect();
    let table = Table::parse(&format!("t,x\n{rows}")).unwrap();
    let map = map(r#"
        device = "d-1"
        time = { text = "{t}", format = "unix_s" }
        reading = [{ column = "x", quantity = "x" }]
    "#);
    let broker = Broker::start(Faults { close_after: Some(200), ..Faults::default() }).await;
    let config = ReplayConfig {
        host: "127.0.0.1".to_string(),
        port: broker.port,
        passwords: HashMap::new(),
        in_flight: 20,
        attempts: 3,
    };
    assert_eq!(replay(&config, &map.messages(&table).unwrap()).await.unwrap(), 500);
    let mut arrived: Vec<_> =
        broker.payloads("up/d-1/telemetry").iter().map(|payload| seen(payload)).collect();
    arrived.sort_by_key(|(sequence, ..)| *sequence);
    arrived.dedup();
    let expected = (0..500).map(|n| (n, n as i64 * 60_000, vec![("x".to_string(), n as f64)]));
    assert_eq!(arrived, expected.collect::<Vec<_>>());
    let refusing = Broker::start(Faults { password: Some("x"), ..Faults::default() }).await;
    let config = ReplayConfig { port: refusing.port, ..config };
    assert!(matches!(replay(&config, &map.messages(&table).unwrap()).await, Err(ReplayError::Lost { .. })));
}

#[test]
fn times_of_every_form() {
    let check = |text: &str, format: &str, zone: &str, expected: &str| {
        let map = map(&format!(
            "device = \"d\"\ntime = {{ text = \"{{t}}\", format = \"{format}\", zone = \"{zone}\" }}\n\
             reading = [{{ column = \"x\", quantity = \"x\" }}]"
        ));
        let messages = map.messages(&Table::parse(&format!("t,x\n{text},1\n")).unwrap()).unwrap();
        assert_eq!(messages["d"][0].time, at(expected), "{text}");
    };
    check("2024-03-01T08:00:00+08:00", "rfc3339", "UTC", "2024-03-01T00:00:00Z");
    check("1709251200", "unix_s", "UTC", "2024-03-01T00:00:00Z");
    check("1709251200500", "unix_ms", "UTC", "2024-03-01T00:00:00.5Z");
    check("2024-03-01", "%Y-%m-%d", "Asia/Shanghai", "2024-02-29T16:00:00Z");
    check("01.03.2024 00:00 +0100", "%d.%m.%Y %H:%M %z", "Asia/Shanghai", "2024-02-29T23:00:00Z");
}

#[test]
fn every_problem_is_told_with_its_place() {
    let check = |map_text: &str, table: &str, expected: &[&str]| {
        let problems = map(map_text).messages(&Table::parse(table).unwrap()).unwrap_err();
        assert_eq!(problems, expected);
    };
    check(
        MAP,
        "date,station,temp_max,wind\nsoon,north,1,1\n2012/07/01,no rth,1,1\n2012/07/01,north,hot,1\n2012/07/01,north,inf,1\n",
        &[
            "line 2: \"soon 12:30\" is no time of the form \"%Y/%m/%d %H:%M\"",
            "line 3: \"no rth\" is no device id",
            "line 4: \"hot\" is no number",
            "line 5: \"inf\" is no number",
        ],
    );
    check(
        MAP,
        "day,place,wind\n",
        &[
            "device_column: the table has no column \"station\"",
            "time.text: the table has no column \"date\"",
            "reading[0]: the table has no column \"temp_max\"",
        ],
    );
    check(
        r#"
        time = { text = "{t", format = "unix_s", zone = "Mars/Olympus" }
        reading = [{ column = "x", quantity = "x" }, { column = "t", quantity = "x" }, { column = "t", quantity = "" }]
        "#,
        "t,x\n",
        &[
            "device: give either device or device_column",
            "time.text: a brace is not closed",
            "time.zone: unknown zone \"Mars/Olympus\"",
            "reading[1]: \"x\" is measured twice",
            "reading[2]: \"\" is no name of a quantity",
        ],
    );
}
