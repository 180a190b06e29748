//! Tag reads, sightings and passages of the log as rows of the store.

use records::{Body, Observation, Sighting, Timestamp};
use store::{Happening, HappeningRow};

/// A row per tag read or vehicle of a message.
pub(crate) fn of_observation(rows: &mut Vec<HappeningRow>, observation: &Observation) {
    let Observation { device, device_time, event_time, ingest_time, body, .. } = observation;
    // What the clock model did to the message, it does to the times within, which are the device's.
    let correction = device_time.map_or(0, |at| event_time.millis().saturating_sub(at.millis()));
    let corrected = |at: Timestamp| Timestamp(at.millis().saturating_add(correction));
    let row = |kind, at| HappeningRow {
        kind,
        device: device.clone(),
        at,
        until: at,
        ingest_time: *ingest_time,
        tag: None,
        area: None,
        count: 1,
        place: 0,
        rssi: None,
        speed: None,
        class: 0,
    };
    match body {
        Body::TagReads(reads) => rows.extend(reads.iter().map(|read| {
            let at = read.first_seen.map_or(*event_time, corrected);
            HappeningRow {
                until: read.last_seen.map_or(*event_time, corrected).max(at),
                tag: Some(read.epc.clone()),
                count: read.count,
                place: read.antenna,
                rssi: read.rssi,
                ..row(Happening::TagRead, at)
            }
        })),
        Body::Passages(passages) => rows.extend(passages.iter().map(|passage| HappeningRow {
            place: passage.lane.into(),
            speed: passage.speed,
            class: passage.class as u8,
            ..row(Happening::Passage, corrected(passage.at))
        })),
        Body::Readings(_) | Body::Status(_) => {}
    }
}

/// The row of a sighting.
pub(crate) fn of_sighting(sighting: Sighting) -> HappeningRow {
    HappeningRow {
        kind: Happening::Sighting,
        device: sighting.device,
        at: sighting.first_seen,
        until: sighting.last_seen,
        ingest_time: sighting.as_of,
        tag: Some(sighting.epc),
        area: Some(sighting.area),
        count: sighting.count,
        place: 0,
        rssi: None,
        speed: None,
        class: 0,
    }
}
