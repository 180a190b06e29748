//! The frames of `firmware-protocol`: flat JSON and CBOR maps.

use super::{Arrival, Normalized, Observations, Rejection};
use firmware_protocol::{
    Class, DecodeError, FrameContent, FrameQuantity, FrameReading, StateFrame, TelemetryFrame,
};
use records::{
    Body, Name, Observation, Passage, Quality, Quantity, Reading, Reason, Status, TagRead, Timestamp,
    VehicleClass,
};

/// What a frame says.
pub(super) fn telemetry(arrival: Arrival<'_>, payload: &[u8]) -> Normalized {
    let frame = TelemetryFrame::from_bytes(payload).map_err(rejection)?;
    let place = frame.position.map(|position| (position.lon, position.lat));
    let observation = arrival.observation(frame.time.map(Timestamp), place, body(frame.content));
    Ok(Observations::One(Observation { epoch: frame.epoch, sequence: frame.sequence, ..observation }))
}

/// What came on `up/{device}/state`.
pub fn state(arrival: Arrival<'_>, payload: &[u8]) -> Normalized {
    let frame = StateFrame::from_bytes(payload).map_err(rejection)?;
    let status = Status {
        firmware: frame.firmware.map(Name::from),
        uptime_s: frame.uptime_s,
        battery_v: frame.battery_v,
        text: frame.text.map(Name::from),
    };
    Ok(Observations::One(arrival.observation(None, None, Body::Status(status))))
}

fn body(content: FrameContent) -> Body {
    match content {
        FrameContent::Readings(readings) => Body::Readings(readings.into_iter().map(reading).collect()),
        FrameContent::TagReads(tags) => Body::TagReads(tags.iter().map(tag_read).collect()),
        FrameContent::Passages(passages) => Body::Passages(passages.iter().map(passage).collect()),
    }
}

fn reading(reading: FrameReading) -> Reading {
    Reading { quantity: quantity(&reading.quantity), value: reading.value, quality: Quality::default() }
}

/// The two tables agree (a test compares them), so a code is a code; the name is the way back if ever they don't.
fn quantity(quantity: &FrameQuantity) -> Quantity {
    let known = match quantity {
        FrameQuantity::Code(code) => Quantity::from_code(*code),
        FrameQuantity::Name(_) => None,
    };
    known.unwrap_or_else(|| Quantity::from_name(quantity.name()))
}

fn tag_read(tag: &firmware_protocol::TagRead) -> TagRead {
    TagRead {
        epc: smol_str::format_smolstr!("{}", tag.epc),
        antenna: tag.antenna,
        rssi: tag.rssi,
        count: tag.count,
        first_seen: tag.first.map(Timestamp),
        last_seen: tag.last.map(Timestamp),
    }
}

fn passage(passage: &firmware_protocol::Passage) -> Passage {
    Passage {
        at: Timestamp(passage.time),
        lane: passage.lane,
        speed: passage.speed,
        class: match passage.class {
            Class::Unknown => VehicleClass::Unknown,
            Class::Car => VehicleClass::Car,
            Class::Truck => VehicleClass::Truck,
            Class::Bus => VehicleClass::Bus,
            Class::TwoWheeler => VehicleClass::TwoWheeler,
        },
    }
}

fn rejection(error: DecodeError) -> Rejection {
    let reason = match error {
        DecodeError::Empty => Reason::Empty,
        DecodeError::Malformed(_) => Reason::Malformed,
        DecodeError::Invalid(_) => Reason::Invalid,
    };
    Rejection::new(reason, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::{Crs, Position};

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn observe(payload: &[u8]) -> Result<Observation, Rejection> {
        telemetry(Arrival { device: &Name::new("d-1"), crs: Crs::Wgs84, ingest_time: NOW }, payload).map(only)
    }

    fn only(observations: Observations) -> Observation {
        let Observations::One(observation) = observations else { panic!("a frame is one observation") };
        observation
    }

    #[test]
    fn the_two_quantity_tables_agree() {
        let devices: Vec<_> =
            firmware_protocol::QUANTITIES.iter().map(|row| (row.code, row.name, row.unit)).collect();
        let ours: Vec<_> =
            Quantity::registry().iter().map(|info| (info.code, info.name, info.unit)).collect();
        assert_eq!(devices, ours);
    }

    #[test]
    fn json_becomes_an_observation() {
        let observation = observe(br#"{"pm2_5": 180.0, "radon": 3}"#).unwrap();
        assert_eq!(
            (observation.device_time, observation.event_time, observation.ingest_time),
            (None, NOW, NOW)
        );
        let Body::Readings(readings) = observation.body else { panic!("not readings") };
        let told: Vec<_> = readings.iter().map(|reading| (reading.quantity.name(), reading.value)).collect();
        assert_eq!(told, [("pm2_5", 180.0), ("radon", 3.0)]);
        assert!(readings.iter().all(|reading| reading.quality == Quality::default()));
    }

    #[test]
    fn both_forms_of_a_frame_become_the_same() {
        let frame = TelemetryFrame {
            epoch: 3,
            sequence: Some(u64::from(u32::MAX) + 7),
            time: Some(NOW.millis() - 1000),
            position: Some(firmware_protocol::Position { lon: 121.47, lat: 31.23 }),
            content: FrameContent::Readings(vec![
                FrameReading { quantity: FrameQuantity::from_name("temperature"), value: -3.25 },
                FrameReading { quantity: FrameQuantity::from_name("radon"), value: 1e9 },
            ]),
        };
        let cbor = observe(&frame.to_cbor().unwrap()).unwrap();
        assert_eq!(cbor, observe(&frame.to_json()).unwrap());
        assert_eq!((cbor.epoch, cbor.sequence), (3, frame.sequence));
        assert_eq!(cbor.event_time, NOW - std::time::Duration::from_secs(1));
        assert_eq!(cbor.position, Some(Position { lon: 121.47, lat: 31.23 }));
    }

    #[test]
    fn an_absurd_device_time_is_kept_for_the_stream_to_judge() {
        for absurd in [0, 3_786_912_000_000, firmware_protocol::MIN_TIME, firmware_protocol::MAX_TIME] {
            let frame = TelemetryFrame { time: Some(absurd), ..TelemetryFrame::default() };
            let observation = observe(&frame.to_cbor().unwrap()).unwrap();
            assert_eq!(observation.device_time, Some(Timestamp(absurd)));
            assert_eq!((observation.event_time, observation.ingest_time), (Timestamp(absurd), NOW));
        }
    }

    #[test]
    fn tags_and_passages_keep_all_they_say() {
        let epc = firmware_protocol::Epc::from_hex("3074257bf7194e4000001a85").unwrap();
        let tag = firmware_protocol::TagRead {
            rssi: Some(-51.5),
            antenna: 2,
            count: 9,
            first: Some(1),
            last: Some(2),
            ..firmware_protocol::TagRead::of(epc)
        };
        let frame =
            TelemetryFrame { content: FrameContent::TagReads(vec![tag]), ..TelemetryFrame::default() };
        let expected = TagRead {
            epc: Name::new("3074257BF7194E4000001A85"),
            antenna: 2,
            rssi: Some(-51.5),
            count: 9,
            first_seen: Some(Timestamp(1)),
            last_seen: Some(Timestamp(2)),
        };
        assert_eq!(observe(&frame.to_json()).unwrap().body, Body::TagReads(vec![expected]));

        let passage = firmware_protocol::Passage { time: 5, lane: 3, speed: Some(62.5), class: Class::Bus };
        let frame =
            TelemetryFrame { content: FrameContent::Passages(vec![passage]), ..TelemetryFrame::default() };
        let expected = Passage { at: Timestamp(5), lane: 3, speed: Some(62.5), class: VehicleClass::Bus };
        assert_eq!(observe(&frame.to_cbor().unwrap()).unwrap().body, Body::Passages(vec![expected]));
    }

    #[test]
    fn a_state_becomes_a_status() {
        let payload = br#"{"firmware": "1.4.2", "uptime_s": 86400, "battery_v": 3.5}"#;
        let arrival = Arrival { device: &Name::new("d-1"), crs: Crs::Wgs84, ingest_time: NOW };
        let observation = only(state(arrival, payload).unwrap());
        let expected = Status {
            firmware: Some(Name::new("1.4.2")),
            uptime_s: Some(86400),
            battery_v: Some(3.5),
            text: None,
        };
        assert_eq!(observation.body, Body::Status(expected));
        assert_eq!((observation.device_time, observation.event_time), (None, NOW));
    }

    #[test]
    fn what_cannot_be_read_is_told_apart() {
        let check =
            |payload: &[u8], reason| assert_eq!(observe(payload).unwrap_err().reason, reason, "{payload:?}");
        check(b"", Reason::Empty);
        check(b"  ", Reason::Empty);
        check(b"hello", Reason::Malformed);
        check(b"{\"pm2_5\": 1", Reason::Malformed);
        check(b"\xa1", Reason::Malformed);
        check(b"{\"pm2_5\": \"high\"}", Reason::Invalid);
    }

    #[test]
    fn quarantine_keeps_the_start_of_what_came() {
        let long = "é".repeat(400);
        let arrival = Arrival { device: &Name::new("d-1"), crs: Crs::Wgs84, ingest_time: NOW };
        let quarantined =
            Rejection::new(Reason::TooLarge, long.as_str()).quarantine(arrival, &long, &[7; 10_000]);
        assert_eq!(quarantined.payload, vec![7; 4096]);
        assert_eq!((quarantined.topic_name.len(), quarantined.detail.len()), (512, 512));
    }
}
