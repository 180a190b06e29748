//! Passages: one flat array of time, lane, speed, class, time, …; times are differences to the event time.

use super::value::{Value, after, at, read_array, write_array};
use super::{DecodeError, malformed};
use crate::{Passage, Timestamp};
use minicbor::data::Type;
use minicbor::{Decoder, Encoder};

const ITEMS: usize = 4;

pub(super) fn write_all(passages: &[Passage], event_time: Timestamp, out: &mut Vec<u8>) {
    write_array(passages.len() * ITEMS, out);
    for passage in passages {
        after(event_time, passage.at).write(out);
        passage.lane.write(out);
        match passage.speed {
            Some(speed) => speed.write(out),
            None => drop(Encoder::new(&mut *out).null()),
        }
        passage.class.write(out);
    }
}

pub(super) fn read_all(
    decoder: &mut Decoder<'_>,
    event_time: Timestamp,
) -> Result<Vec<Passage>, DecodeError> {
    let items = read_array(decoder)?;
    if !items.is_multiple_of(ITEMS) {
        return Err(malformed("passages are fours"));
    }
    (0..items / ITEMS).map(|_| read_one(decoder, event_time)).collect()
}

fn read_one(decoder: &mut Decoder<'_>, event_time: Timestamp) -> Result<Passage, DecodeError> {
    Ok(Passage {
        at: at(event_time, Value::read(decoder)?),
        lane: Value::read(decoder)?,
        speed: read_speed(decoder)?,
        class: Value::read(decoder)?,
    })
}

fn read_speed(decoder: &mut Decoder<'_>) -> Result<Option<f32>, DecodeError> {
    match decoder.datatype()? {
        Type::Null => Ok(decoder.null().map(|()| None)?),
        _ => f32::read(decoder).map(Some),
    }
}
