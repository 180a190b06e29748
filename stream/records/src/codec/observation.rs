//! Observation: ingest time is absolute, the other times are differences.

use super::kind::{Kind, write_head};
use super::map::{MapReader, MapWriter};
use super::value::{after, at};
use super::{DecodeError, malformed, passage, reading, status, tag_read};
use crate::{Body, Observation, Timestamp};

impl Observation {
    /// Appends the bytes that [`crate::Record::encode`] would.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let device_after = self.device_time.map(|time| after(self.event_time, time));
        let mut map = write_head(Kind::Observation, out);
        map.field(1, &self.device);
        map.field(2, &self.ingest_time);
        map.unless(3, &after(self.ingest_time, self.event_time), &0);
        map.optional(4, device_after.as_ref());
        map.unless(5, &self.epoch, &0);
        map.optional(6, self.sequence.as_ref());
        map.optional(7, self.position.as_ref());
        map.unless(8, &self.is_late, &false);
        write_body(self, &mut map);
        map.optional(13, self.stated.as_ref());
    }
}

fn write_body(observation: &Observation, map: &mut MapWriter<'_>) {
    let event_time = observation.event_time;
    match &observation.body {
        Body::Readings(readings) => reading::write_all(readings, map.key(9)),
        Body::TagReads(reads) => tag_read::write_all(reads, event_time, map.key(10)),
        Body::Passages(passages) => passage::write_all(passages, event_time, map.key(11)),
        Body::Status(status) => status::write(status, map.key(12)),
    }
}

#[inline]
pub(super) fn read(map: &mut MapReader<'_, '_>) -> Result<Observation, DecodeError> {
    let device = map.field(1)?;
    let ingest_time = map.field(2)?;
    let event_time = at(ingest_time, map.or(3, 0)?);
    Ok(Observation {
        device,
        ingest_time,
        event_time,
        device_time: map.optional(4)?.map(|after| at(event_time, after)),
        epoch: map.or(5, 0)?,
        sequence: map.optional(6)?,
        position: map.optional(7)?,
        is_late: map.or(8, false)?,
        body: read_body(map, event_time)?,
        stated: map.optional(13)?,
    })
}

#[inline]
fn read_body(map: &mut MapReader<'_, '_>, event_time: Timestamp) -> Result<Body, DecodeError> {
    if map.has(9)? {
        reading::read_all(map.value()).map(Body::Readings)
    } else if map.has(10)? {
        tag_read::read_all(map.value(), event_time).map(Body::TagReads)
    } else if map.has(11)? {
        passage::read_all(map.value(), event_time).map(Body::Passages)
    } else if map.has(12)? {
        status::read(map.value()).map(Body::Status)
    } else {
        Err(malformed("an observation of nothing"))
    }
}
