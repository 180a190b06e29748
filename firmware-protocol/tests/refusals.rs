//! What is refused, and how the refusal is worded: it ends up before the person who wrote the firmware.

#![allow(clippy::unwrap_used)]

use firmware_protocol::{
    Content, EncodeError, Passage, Position, Reading, TagRead, Telemetry, TelemetryFrame,
};
use firmware_protocol::{
    DecodeError, FrameContent, MAX_PASSAGES, MAX_READINGS, MAX_TAG_READS, ReplyFrame, StateFrame,
};
use firmware_protocol::{Epc, State, encode_state, encode_telemetry, quantities};

#[track_caller]
fn check(bytes: &[u8], expected: &str) {
    let refused = TelemetryFrame::from_bytes(bytes).expect_err("must be refused");
    let kind = match &refused {
        DecodeError::Empty => "empty",
        DecodeError::Malformed(_) => "malformed",
        DecodeError::Invalid(_) => "invalid",
    };
    assert_eq!(format!("{kind}: {refused}"), expected);
}

#[track_caller]
fn check_hex(hex: &str, expected: &str) {
    let digits: String = hex.split_whitespace().collect();
    let bytes = (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap());
    check(&bytes.collect::<Vec<u8>>(), expected);
}

#[test]
fn neither_json_nor_cbor() {
    check(b"", "empty: empty payload");
    check(b" \n", "empty: empty payload");
    check(b"hello", "malformed: neither a JSON object nor a CBOR map: starts with byte 0x68");
    check(b"[1]", "malformed: neither a JSON object nor a CBOR map: starts with byte 0x5b");
    check(b"\xef\xbb\xbf{}", "malformed: neither a JSON object nor a CBOR map: starts with byte 0xef");
}

#[test]
fn json_that_is_cut_short_or_too_long() {
    check(b"{", "malformed: not JSON: EOF while parsing an object at line 1 column 1");
    check(b"{\"pm2_5\": 1} x", "malformed: not JSON: trailing characters at line 1 column 14");
    check(b"{\"pm2_5\": 1e999}", "malformed: not JSON: number out of range at line 1 column 15");
    check(b"{\"pm2_5\": NaN}", "malformed: not JSON: expected value at line 1 column 11");
    check(b"{\"pm2_5\": 01}", "malformed: not JSON: invalid number at line 1 column 12");
}

#[test]
fn json_of_another_shape() {
    check(
        br#"{"pm2_5": "high"}"#,
        r#"invalid: invalid type: string "high", expected a finite number as "pm2_5" at line 1 column 16"#,
    );
    check(
        br#"{"radon": true}"#,
        r#"invalid: invalid type: boolean `true`, expected a finite number as "radon" at line 1 column 14"#,
    );
    check(
        br#"{"a": {"b": 1}}"#,
        r#"invalid: invalid type: map, expected a finite number as "a" at line 1 column 7"#,
    );
    check(br#"{"pm2_5": 1, "pm2_5": 2}"#, "invalid: pm2_5 occurs twice at line 1 column 20");
    check(br#"{"radon": 1, "radon": 2}"#, "invalid: radon occurs twice at line 1 column 20");
    check(br#"{"epoch": 1, "epoch": 1}"#, "invalid: epoch occurs twice at line 1 column 20");
    check(br#"{"epoch": 4294967296}"#, "invalid: epoch is beyond 32 bits at line 1 column 21");
    check(
        br#"{"sequence": 1.5}"#,
        r#"invalid: invalid value: floating point `1.5`, expected a whole number from 0 as "sequence" at line 1 column 16"#,
    );
    check(
        br#"{"sequence": -1}"#,
        r#"invalid: invalid type: integer `-1`, expected a whole number from 0 as "sequence" at line 1 column 15"#,
    );
    check(
        br#"{"time": "2026-11-24T08:00:00"}"#,
        "invalid: invalid value: string \"2026-11-24T08:00:00\", expected a time: milliseconds since 1970 (UTC), \
         or RFC 3339 with an offset, years 0 to 9999 at line 1 column 30",
    );
    check(
        br#"{"position": [113.26, 123.13]}"#,
        "invalid: expected a position: [longitude, latitude] in degrees at line 1 column 29",
    );
    check(
        br#"{"position": [113.26, 23.13, 5]}"#,
        "invalid: expected a position: [longitude, latitude] in degrees at line 1 column 31",
    );
    check(
        br#"{"": 1}"#,
        "invalid: a member's name is empty, too long or has control characters at line 1 column 3",
    );
}

#[test]
fn json_tags_and_passages() {
    check(br#"{"tags": [{"rssi": -50}]}"#, "invalid: missing field `epc` at line 1 column 23");
    check(
        br#"{"tags": [{"epc": "30F"}]}"#,
        "invalid: an epc is an even number of hex digits at line 1 column 23",
    );
    check(
        br#"{"tags": [{"epc": "30", "epk": 1}]}"#,
        "invalid: unknown field `epk`, expected one of `epc`, `rssi`, `antenna`, `count`, `first`, `last` \
         at line 1 column 29",
    );
    check(
        br#"{"passages": [{"time": 1, "class": "tank"}]}"#,
        "invalid: class is none of unknown, car, truck, bus, two_wheeler at line 1 column 42",
    );
    check(
        br#"{"pm2_5": 1, "tags": []}"#,
        "invalid: more than one of readings, tags and passages in one message at line 1 column 24",
    );
}

#[test]
fn null_is_a_missing_reading() {
    let frame =
        TelemetryFrame::from_json(br#"{"pm2_5": null, "sequence": null, "time": null, "tags": null}"#);
    assert_eq!(frame, Ok(TelemetryFrame::default()));
    assert_eq!(TelemetryFrame::from_cbor(&[0xa1, 5, 0xa2, 1, 0xf6, 2, 0xf7]), Ok(TelemetryFrame::default()));
}

#[test]
fn cbor_that_is_cut_short_or_too_long() {
    check_hex("a1", "malformed: frame: cut short");
    check_hex("bf 01 01", "malformed: frame: cut short");
    check_hex("a1 05 a1 01 fb 40", "malformed: pm2_5: cut short");
    check_hex("bb ff ff ff ff ff ff ff ff", "malformed: frame: cut short");
    check_hex("a1 05 bb ff ff ff ff ff ff ff ff", "malformed: readings: cut short");
    check_hex("a1 06 9b ff ff ff ff ff ff ff ff", "malformed: tag reads: cut short");
    check_hex("a0 00", "malformed: 1 bytes follow the frame's end at byte 1");
}

#[test]
fn cbor_of_another_shape() {
    check_hex("a1 08 00", "invalid: frame: has the unknown key 8 at byte 1");
    check_hex("a1 20 00", "invalid: frame: has the unknown key -1 at byte 1");
    check_hex("a2 02 07 02 08", "invalid: frame: has the key 2 twice (byte 3)");
    check_hex("a1 01 1b 00 00 00 01 00 00 00 00", "invalid: epoch: can't be 4294967296");
    check_hex("a1 02 20", "invalid: sequence: can't be -1");
    check_hex(
        "a1 03 1b 7f ff ff ff ff ff ff ff",
        "invalid: time: 9223372036854775807 lies outside of the years 0 to 9999",
    );
    check_hex("a1 05 a1 01 f9 7e 00", "invalid: pm2_5: is not finite");
    check_hex("a1 05 a1 01 fa 7f 80 00 00", "invalid: pm2_5: is not finite");
    check_hex("a1 05 a2 01 00 01 00", "invalid: readings: have pm2_5 twice (byte 5)");
    check_hex("a1 05 a2 01 00 65 706d325f35 00", "invalid: readings: have pm2_5 twice (byte 5)");
    check_hex("a1 05 a1 09 00", "invalid: readings: have the unknown quantity code 9 at byte 3");
    check_hex("a1 05 a1 60 00", "invalid: readings: have an unusable name at byte 3");
    check_hex("a1 04 81 00", "invalid: position: is not [longitude, latitude] in degrees");
    check_hex("a1 04 83 00 00 00", "invalid: position: is not [longitude, latitude]");
    check_hex("a1 04 82 18 b5 00", "invalid: position: is not [longitude, latitude] in degrees");
    check_hex("a1 06 81 a0", "invalid: tag reads: hold a tag without epc (key 1)");
    check_hex("a1 06 81 a1 01 40", "invalid: epc: an epc has 1 to 62 bytes");
    check_hex("a1 07 81 a0", "invalid: passages: hold a passage without time (key 1)");
    check_hex("a1 07 81 a2 01 00 04 05", "invalid: class: is none of 0 to 4");
    check_hex("a2 05 a0 06 80", "invalid: frame: holds more than one of readings, tag reads and passages");
}

#[test]
fn the_bounds_hold_on_both_sides() {
    let names: Vec<String> = (0..=MAX_READINGS).map(|n| format!("q{n}")).collect();
    let readings: Vec<Reading<'_>> = names.iter().map(|name| Reading::named(name, 1.0)).collect();
    let tags = vec![TagRead::of(Epc::from_bytes(&[1]).unwrap()); MAX_TAG_READS + 1];
    let passages =
        vec![Passage { time: 0, lane: 0, speed: None, class: Default::default() }; MAX_PASSAGES + 1];
    bounds(Content::Readings(&readings[..MAX_READINGS]), Content::Readings(&readings));
    bounds(Content::TagReads(&tags[..MAX_TAG_READS]), Content::TagReads(&tags));
    bounds(Content::Passages(&passages[..MAX_PASSAGES]), Content::Passages(&passages));
}

fn frame(content: Content<'_>) -> Telemetry<'_> {
    Telemetry { epoch: 0, sequence: None, time: None, position: None, content }
}

fn bounds(most: Content<'_>, too_many: Content<'_>) {
    let mut buffer = vec![0; 65_536];
    assert_eq!(encode_telemetry(&frame(too_many), &mut buffer), Err(EncodeError::TooMany));
    let length = encode_telemetry(&frame(most), &mut buffer).unwrap();
    let decoded = TelemetryFrame::from_cbor(&buffer[..length]).unwrap();
    assert_eq!(TelemetryFrame::from_json(&decoded.to_json()), Ok(decoded.clone()));
    let with_one_more = match decoded.content {
        FrameContent::Readings(mut items) => {
            items.push(items[0].clone());
            FrameContent::Readings(items)
        }
        FrameContent::TagReads(items) => FrameContent::TagReads([&items[..], &items[..1]].concat()),
        FrameContent::Passages(items) => FrameContent::Passages([&items[..], &items[..1]].concat()),
    };
    let json = TelemetryFrame { content: with_one_more, ..Default::default() }.to_json();
    assert!(matches!(TelemetryFrame::from_json(&json), Err(DecodeError::Invalid(_))));
    let indefinite = too_long_in_cbor(&buffer[..length]);
    assert!(matches!(TelemetryFrame::from_cbor(&indefinite), Err(DecodeError::Invalid(_))));
}

/// The frame's only collection made indefinite, with its own content once more.
fn too_long_in_cbor(frame: &[u8]) -> Vec<u8> {
    let (kind, items) = (frame[2] & 0xe0 | 0x1f, &frame[5..]);
    [&[0xa1, frame[1], kind], items, items, &[0xff]].concat()
}

#[test]
fn the_device_is_told_too() {
    let mut buffer = [0; 64];
    #[track_caller]
    fn refuse(content: Content<'_>, expected: EncodeError) {
        assert_eq!(encode_telemetry(&frame(content), &mut [0; 64]), Err(expected));
    }
    refuse(Content::Readings(&[Reading::of(quantities::PM2_5, f64::NAN)]), EncodeError::NotFinite);
    refuse(Content::Readings(&[Reading::of(9, 1.0)]), EncodeError::Quantity);
    refuse(Content::Readings(&[Reading::named("", 1.0)]), EncodeError::Quantity);
    refuse(Content::Readings(&[Reading::named("a\n", 1.0)]), EncodeError::Quantity);
    let twice = [Reading::of(quantities::PM2_5, 1.0), Reading::named("pm2_5", 1.0)];
    refuse(Content::Readings(&twice), EncodeError::Duplicate);
    refuse(Content::Readings(&[Reading::named("x", 1.0), Reading::named("x", 2.0)]), EncodeError::Duplicate);
    let tag = TagRead { first: Some(i64::MAX), ..TagRead::of(Epc::from_bytes(&[1]).unwrap()) };
    refuse(Content::TagReads(&[tag]), EncodeError::Time);
    let off_earth =
        Telemetry { position: Some(Position { lon: 0.0, lat: f64::NAN }), ..frame(Content::Readings(&[])) };
    assert_eq!(encode_telemetry(&off_earth, &mut buffer), Err(EncodeError::Position));
    let wordy = "x".repeat(1_025);
    let state = State { text: Some(&wordy), ..State::default() };
    assert_eq!(encode_state(&state, &mut [0; 2_000]), Err(EncodeError::Text));
    let full = [Reading::of(quantities::PM2_5, 1.0)];
    for length in 0..7 {
        assert_eq!(
            encode_telemetry(&frame(Content::Readings(&full)), &mut buffer[..length]),
            Err(EncodeError::BufferFull)
        );
    }
    assert_eq!(encode_telemetry(&frame(Content::Readings(&full)), &mut buffer), Ok(7));
}

#[test]
fn state_and_reply_refusals() {
    assert!(matches!(StateFrame::from_bytes(br#"{"battery": 3.7}"#), Err(DecodeError::Invalid(_))));
    assert!(matches!(StateFrame::from_bytes(br#"{"battery_v": 1e300}"#), Err(DecodeError::Invalid(_))));
    assert!(matches!(ReplyFrame::from_bytes(&[0xa1, 1, 1]), Err(DecodeError::Invalid(_))));
    assert!(matches!(ReplyFrame::from_bytes(br#"{"ok": true}"#), Err(DecodeError::Invalid(_))));
    let wordy = format!(r#"{{"text": "{}"}}"#, "x".repeat(1_025));
    assert!(matches!(StateFrame::from_bytes(wordy.as_bytes()), Err(DecodeError::Invalid(_))));
}
