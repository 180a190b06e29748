//! Any bytes are survived, and what is written comes back.

#![allow(clippy::unwrap_used)]

use firmware_protocol::{
    Class, Epc, FrameContent, FrameQuantity, FrameReading, MAX_TIME, MIN_TIME, Passage, Position, QUANTITIES,
    ReplyFrame, StateFrame, TagRead, TelemetryFrame,
};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::HashSet;

fn finite() -> impl Strategy<Value = f64> {
    any::<f64>().prop_filter("finite", |value| value.is_finite())
}

fn finite_single() -> impl Strategy<Value = f32> {
    any::<f32>().prop_filter("finite", |value| value.is_finite())
}

fn time() -> impl Strategy<Value = i64> {
    prop_oneof![1_700_000_000_000_i64..1_800_000_000_000, MIN_TIME..=MAX_TIME]
}

fn quantity() -> impl Strategy<Value = FrameQuantity> {
    let known = (0..QUANTITIES.len()).prop_map(|index| FrameQuantity::Code(QUANTITIES[index].code));
    let reserved = ["epoch", "sequence", "time", "position", "tags", "passages"];
    let named = "[^\\pC]{1,16}".prop_filter("not reserved", move |name| !reserved.contains(&name.as_str()));
    prop_oneof![3 => known, 1 => named.prop_map(|name| FrameQuantity::from_name(&name))]
}

fn readings() -> impl Strategy<Value = FrameContent> {
    vec((quantity(), finite()), 0..20).prop_map(|pairs| {
        let mut seen = HashSet::new();
        let once = pairs.into_iter().filter(|(quantity, _)| seen.insert(quantity.clone()));
        FrameContent::Readings(once.map(|(quantity, value)| FrameReading { quantity, value }).collect())
    })
}

fn tag_read() -> impl Strategy<Value = TagRead> {
    let epc = vec(any::<u8>(), 1..=62).prop_map(|bytes| Epc::from_bytes(&bytes).unwrap());
    let parts =
        (epc, prop::option::of(finite_single()), any::<u16>(), any::<u32>(), prop::option::of(time()));
    (parts, prop::option::of(time())).prop_map(|((epc, rssi, antenna, count, first), last)| TagRead {
        epc,
        rssi,
        antenna,
        count,
        first,
        last,
    })
}

fn passage() -> impl Strategy<Value = Passage> {
    (time(), any::<u8>(), prop::option::of(finite_single()), 0..5_u8).prop_map(
        |(time, lane, speed, class)| Passage { time, lane, speed, class: Class::from_code(class).unwrap() },
    )
}

fn telemetry() -> impl Strategy<Value = TelemetryFrame> {
    let position = (-180.0..=180.0, -90.0..=90.0).prop_map(|(lon, lat)| Position { lon, lat });
    let content = prop_oneof![
        readings(),
        vec(tag_read(), 0..20).prop_map(FrameContent::TagReads),
        vec(passage(), 0..20).prop_map(FrameContent::Passages),
    ];
    let (sequence, time) = (prop::option::of(any::<u64>()), prop::option::of(time()));
    (any::<u32>(), sequence, time, prop::option::of(position), content).prop_map(
        |(epoch, sequence, time, position, content)| TelemetryFrame {
            epoch,
            sequence,
            time,
            position,
            content,
        },
    )
}

proptest! {
    #[test]
    fn telemetry_comes_back_from_both_twins(frame in telemetry()) {
        let cbor = frame.to_cbor().unwrap();
        prop_assert_eq!(&TelemetryFrame::from_bytes(&cbor), &Ok(frame.clone()));
        let json = frame.to_json();
        let read = TelemetryFrame::from_bytes(&json);
        prop_assert_eq!(read, Ok(frame), "{}", String::from_utf8_lossy(&json));
    }

    #[test]
    fn every_cut_and_every_addition_is_refused(frame in telemetry(), extra in any::<u8>()) {
        let mut cbor = frame.to_cbor().unwrap();
        for length in 0..cbor.len() {
            prop_assert!(TelemetryFrame::from_bytes(&cbor[..length]).is_err());
        }
        cbor.push(extra);
        prop_assert!(TelemetryFrame::from_bytes(&cbor).is_err());
    }

    #[test]
    fn state_and_reply_come_back(
        firmware in prop::option::of(".{0,40}"),
        uptime_s in prop::option::of(any::<u64>()),
        battery_v in prop::option::of(finite_single()),
        text in prop::option::of(".{0,40}"),
        (id, ok) in any::<(u64, bool)>(),
    ) {
        let state = StateFrame { firmware, uptime_s, battery_v, text: text.clone() };
        prop_assert_eq!(StateFrame::from_bytes(&state.to_cbor().unwrap()), Ok(state.clone()));
        prop_assert_eq!(StateFrame::from_bytes(&state.to_json()), Ok(state));
        let reply = ReplyFrame { id, ok, text };
        prop_assert_eq!(ReplyFrame::from_bytes(&reply.to_cbor().unwrap()), Ok(reply.clone()));
        prop_assert_eq!(ReplyFrame::from_bytes(&reply.to_json()), Ok(reply));
    }

    #[test]
    fn any_bytes_are_survived(bytes in vec(any::<u8>(), 0..200)) {
        survive(&bytes);
    }

    /// Random bytes seldom get past the first: change a good frame a little instead.
    #[test]
    fn damaged_frames_are_survived(frame in telemetry(), damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        for mut bytes in [frame.to_cbor().unwrap(), frame.to_json()] {
            for (place, byte) in &damage {
                let place = place.index(bytes.len());
                bytes[place] = *byte;
            }
            survive(&bytes);
        }
    }
}

/// Whatever is read must be writable again, and read as the same.
fn survive(bytes: &[u8]) {
    for decoded in [TelemetryFrame::from_cbor(bytes), TelemetryFrame::from_json(bytes)].into_iter().flatten()
    {
        let again = TelemetryFrame::from_cbor(&decoded.to_cbor().unwrap());
        assert_eq!(again, Ok(decoded));
    }
    let _ = StateFrame::from_bytes(bytes);
    let _ = ReplyFrame::from_bytes(bytes);
}
