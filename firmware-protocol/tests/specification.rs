//! The README is the specification: its examples and its table are what the code does.

#![allow(clippy::unwrap_used)]

use ciborium::value::Value;
use firmware_protocol::{QUANTITIES, ReplyFrame, StateFrame, TelemetryFrame};

const README: &str = include_str!("../README.md");

/// A frame of any kind, so that the examples go through one check.
#[derive(Debug, PartialEq)]
enum Frame {
    Telemetry(TelemetryFrame),
    State(StateFrame),
    Reply(ReplyFrame),
}

impl Frame {
    fn read(kind: &str, bytes: &[u8]) -> Frame {
        match kind {
            "telemetry" => Frame::Telemetry(TelemetryFrame::from_bytes(bytes).unwrap()),
            "state" => Frame::State(StateFrame::from_bytes(bytes).unwrap()),
            "reply" => Frame::Reply(ReplyFrame::from_bytes(bytes).unwrap()),
            other => panic!("{other} is no kind of frame"),
        }
    }

    fn to_cbor(&self) -> Vec<u8> {
        match self {
            Frame::Telemetry(frame) => frame.to_cbor(),
            Frame::State(frame) => frame.to_cbor(),
            Frame::Reply(frame) => frame.to_cbor(),
        }
        .unwrap()
    }

    fn to_json(&self) -> Vec<u8> {
        match self {
            Frame::Telemetry(frame) => frame.to_json(),
            Frame::State(frame) => frame.to_json(),
            Frame::Reply(frame) => frame.to_json(),
        }
    }
}

/// (kind, bytes, JSON twin) of each example.
fn examples() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let blocks = README.split("```hex ").skip(1);
    let read = |block: &'static str| {
        let (kind, rest) = block.split_once('\n').unwrap();
        let (hex, rest) = rest.split_once("```").unwrap();
        let json =
            rest.trim_start().strip_prefix("```json").expect("a JSON twin follows").split("```").next();
        let bytes = hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        (kind, bytes, json.unwrap())
    };
    blocks.map(read).collect()
}

#[test]
fn examples_decode_and_come_back_as_the_same_bytes() {
    assert_eq!(examples().len(), 10);
    for (kind, bytes, json) in examples() {
        let frame = Frame::read(kind, &bytes);
        assert_eq!(frame.to_cbor(), bytes, "{json}");
        assert_eq!(Frame::read(kind, json.as_bytes()), frame, "{json}");
        assert_eq!(Frame::read(kind, &frame.to_json()), frame, "{json}");
    }
}

/// Somebody else's reader finds the numbers under the keys that the tables name.
#[test]
fn examples_mean_the_same_to_another_reader() {
    for (kind, bytes, json) in examples() {
        let Value::Map(entries) = ciborium::from_reader(&bytes[..]).unwrap() else {
            panic!("no map: {json}")
        };
        for (key, value) in entries {
            let Value::Integer(key) = key else { panic!("key {key:?} in {json}") };
            let (key, frame) = (i128::from(key), Frame::read(kind, &bytes));
            assert_eq!(seen_by(&frame, key), simplified(value), "key {key} of {json}");
        }
    }
}

fn seen_by(frame: &Frame, key: i128) -> Value {
    use firmware_protocol::FrameContent::{Passages, Readings, TagReads};
    match (frame, key) {
        (Frame::Telemetry(frame), 1) => frame.epoch.into(),
        (Frame::Telemetry(frame), 2) => frame.sequence.unwrap().into(),
        (Frame::Telemetry(frame), 3) => frame.time.unwrap().into(),
        (Frame::Telemetry(frame), 4) => {
            let position = frame.position.unwrap();
            Value::Array(vec![position.lon.into(), position.lat.into()])
        }
        (Frame::Telemetry(frame), key) => match (&frame.content, key) {
            (Readings(readings), 5) => {
                Value::Array(readings.iter().map(|reading| reading.value.into()).collect())
            }
            (TagReads(tags), 6) => Value::Array(tags.iter().map(|tag| tag.epc.as_bytes().into()).collect()),
            (Passages(passages), 7) => {
                Value::Array(passages.iter().map(|passage| passage.time.into()).collect())
            }
            _ => panic!("no key {key}"),
        },
        (Frame::State(frame), 1) => frame.firmware.clone().unwrap().into(),
        (Frame::State(frame), 2) => frame.uptime_s.unwrap().into(),
        (Frame::State(frame), 3) => f64::from(frame.battery_v.unwrap()).into(),
        (Frame::State(frame), 4) => frame.text.clone().unwrap().into(),
        (Frame::Reply(frame), 1) => frame.id.into(),
        (Frame::Reply(frame), 2) => frame.ok.into(),
        (Frame::Reply(frame), 3) => frame.text.clone().unwrap().into(),
        _ => panic!("no key {key}"),
    }
}

/// Maps as the list of their values, items of arrays of maps as the value under key 1.
fn simplified(value: Value) -> Value {
    match value {
        Value::Map(entries) => Value::Array(entries.into_iter().map(|(_, value)| value).collect()),
        Value::Array(items) => Value::Array(items.into_iter().map(first).collect()),
        other => other,
    }
}

fn first(item: Value) -> Value {
    match item {
        Value::Map(entries) => {
            let (key, value) = entries.into_iter().next().unwrap();
            assert_eq!(key, 1.into());
            value
        }
        other => other,
    }
}

#[test]
fn the_table_of_quantities_is_the_codes() {
    let (_, section) = README.split_once("## Quantities").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows: Vec<Vec<&str>> = section
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| code"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let expected: Vec<Vec<String>> =
        QUANTITIES.iter().map(|q| vec![q.code.to_string(), q.name.to_string(), q.unit.to_string()]).collect();
    assert_eq!(rows, expected);
}
