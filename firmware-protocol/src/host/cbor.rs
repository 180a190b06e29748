//! Frames from CBOR. Reads in one pass; allocates for what is there, never for what a length claims.

use super::{DecodeError, FrameContent, FrameQuantity, FrameReading, ReplyFrame, StateFrame, TelemetryFrame};
use crate::quantity::{index_of_code, is_name};
use crate::{
    Class, Epc, MAX_PASSAGES, MAX_READINGS, MAX_TAG_READS, MAX_TEXT, MAX_TIME, MIN_TIME, Passage, Position,
    Quantity, TagRead,
};
use minicbor::data::Type;
use minicbor::decode::{Decoder, Error};
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

type Result<T> = core::result::Result<T, DecodeError>;

pub fn telemetry(bytes: &[u8]) -> Result<TelemetryFrame> {
    let mut frame = TelemetryFrame::default();
    let mut content = None;
    whole(bytes, "frame", |d, key| {
        match key {
            1 => frame.epoch = integer(d, "epoch")?,
            2 => frame.sequence = Some(integer(d, "sequence")?),
            3 => frame.time = Some(time(d, "time")?),
            4 => frame.position = Some(position(d)?),
            5 => one_kind(&mut content, FrameContent::Readings(readings(d)?))?,
            6 => one_kind(
                &mut content,
                FrameContent::TagReads(items(d, "tag reads", MAX_TAG_READS, tag_read)?),
            )?,
            7 => {
                one_kind(&mut content, FrameContent::Passages(items(d, "passages", MAX_PASSAGES, passage)?))?
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    frame.content = content.unwrap_or_default();
    Ok(frame)
}

pub fn state(bytes: &[u8]) -> Result<StateFrame> {
    let mut frame = StateFrame::default();
    whole(bytes, "frame", |d, key| {
        match key {
            1 => frame.firmware = Some(text(d, "firmware")?),
            2 => frame.uptime_s = Some(integer(d, "uptime_s")?),
            3 => frame.battery_v = Some(single(d, "battery_v")?),
            4 => frame.text = Some(text(d, "text")?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(frame)
}

pub fn reply(bytes: &[u8]) -> Result<ReplyFrame> {
    let (mut id, mut ok, mut words) = (None, None, None);
    whole(bytes, "frame", |d, key| {
        match key {
            1 => id = Some(integer(d, "id")?),
            2 => ok = Some(d.bool().map_err(|error| broken(error, "ok"))?),
            3 => words = Some(text(d, "text")?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let id = id.ok_or_else(|| invalid("frame", "has no id (key 1)"))?;
    let ok = ok.ok_or_else(|| invalid("frame", "has no ok (key 2)"))?;
    Ok(ReplyFrame { id, ok, text: words })
}

/// Two kinds in one frame would be two observations under one sequence number.
fn one_kind(place: &mut Option<FrameContent>, content: FrameContent) -> Result<()> {
    match place.replace(content) {
        None => Ok(()),
        Some(_) => Err(invalid("frame", "holds more than one of readings, tag reads and passages")),
    }
}

fn readings(d: &mut Decoder<'_>) -> Result<Vec<FrameReading>> {
    let length = d.map().map_err(|error| broken(error, "readings"))?;
    let mut readings = Vec::with_capacity(capacity(d, length, MAX_READINGS));
    let mut known = 0_u128;
    elements(d, length, "readings", |d| {
        if readings.len() == MAX_READINGS {
            return Err(invalid("readings", "are more than 256"));
        }
        let at = d.position();
        let quantity = quantity(d)?;
        if is_repeated(&quantity, &mut known, &readings) {
            return Err(invalid("readings", &format!("have {} twice (byte {at})", quantity.name())));
        }
        if let Some(value) = optional_number(d, quantity.name())? {
            readings.push(FrameReading { quantity, value });
        }
        Ok(())
    })?;
    Ok(readings)
}

fn quantity(d: &mut Decoder<'_>) -> Result<FrameQuantity> {
    let at = d.position();
    if d.datatype().map_err(|error| broken(error, "readings"))? == Type::String {
        let name = d.str().map_err(|error| broken(error, "readings"))?;
        return match Quantity::from_name(name) {
            Some(quantity) => Ok(FrameQuantity::Code(quantity.code)),
            None if is_name(name) => Ok(FrameQuantity::Name(name.into())),
            None => Err(invalid("readings", &format!("have an unusable name at byte {at}"))),
        };
    }
    let code = integer(d, "readings")?;
    match index_of_code(code) {
        Some(_) => Ok(FrameQuantity::Code(code)),
        None => Err(invalid("readings", &format!("have the unknown quantity code {code} at byte {at}"))),
    }
}

/// Notes a quantity; the table is counted in bits, other names (seldom more than a few) by looking back.
pub fn is_repeated(quantity: &FrameQuantity, known: &mut u128, earlier: &[FrameReading]) -> bool {
    match quantity {
        FrameQuantity::Code(code) => {
            let bit = 1 << index_of_code(*code).unwrap_or_default();
            let is_repeated = *known & bit != 0;
            *known |= bit;
            is_repeated
        }
        FrameQuantity::Name(_) => earlier.iter().any(|reading| reading.quantity == *quantity),
    }
}

fn tag_read(d: &mut Decoder<'_>) -> Result<TagRead> {
    let mut epc = None;
    let (mut rssi, mut antenna, mut count, mut first, mut last) = (None, 0, 1, None, None);
    map(d, "tag reads", |d, key| {
        match key {
            1 => epc = Some(self::epc(d)?),
            2 => rssi = Some(single(d, "rssi")?),
            3 => antenna = integer(d, "antenna")?,
            4 => count = integer(d, "count")?,
            5 => first = Some(time(d, "first")?),
            6 => last = Some(time(d, "last")?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let epc = epc.ok_or_else(|| invalid("tag reads", "hold a tag without epc (key 1)"))?;
    Ok(TagRead { epc, rssi, antenna, count, first, last })
}

fn epc(d: &mut Decoder<'_>) -> Result<Epc> {
    let bytes = d.bytes().map_err(|error| broken(error, "epc"))?;
    Epc::from_bytes(bytes).map_err(|error| invalid("epc", &error.to_string()))
}

fn passage(d: &mut Decoder<'_>) -> Result<Passage> {
    let mut at = None;
    let mut passage = Passage { time: 0, lane: 0, speed: None, class: Class::Unknown };
    map(d, "passages", |d, key| {
        match key {
            1 => at = Some(time(d, "passage")?),
            2 => passage.lane = integer(d, "lane")?,
            3 => passage.speed = Some(single(d, "speed")?),
            4 => {
                let code = integer(d, "class")?;
                passage.class =
                    Class::from_code(code).ok_or_else(|| invalid("class", "is none of 0 to 4"))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    passage.time = at.ok_or_else(|| invalid("passages", "hold a passage without time (key 1)"))?;
    Ok(passage)
}

fn position(d: &mut Decoder<'_>) -> Result<Position> {
    let length = d.array().map_err(|error| broken(error, "position"))?;
    let mut numbers = Vec::with_capacity(2);
    elements(d, length, "position", |d| {
        if numbers.len() == 2 {
            return Err(invalid("position", "is not [longitude, latitude]"));
        }
        numbers.push(number(d, "position")?);
        Ok(())
    })?;
    match numbers[..] {
        [lon, lat] if Position { lon, lat }.is_valid() => Ok(Position { lon, lat }),
        _ => Err(invalid("position", "is not [longitude, latitude] in degrees")),
    }
}

fn items<T>(
    d: &mut Decoder<'_>,
    place: &str,
    most: usize,
    one: impl Fn(&mut Decoder<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let length = d.array().map_err(|error| broken(error, place))?;
    let mut items = Vec::with_capacity(capacity(d, length, most));
    elements(d, length, place, |d| {
        if items.len() == most {
            return Err(invalid(place, &format!("are more than {most}")));
        }
        items.push(one(d)?);
        Ok(())
    })?;
    Ok(items)
}

/// Reads a frame's map and refuses what follows it.
fn whole<'b>(
    bytes: &'b [u8],
    place: &str,
    entry: impl FnMut(&mut Decoder<'b>, u8) -> Result<bool>,
) -> Result<()> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    let mut d = Decoder::new(bytes);
    map(&mut d, place, entry)?;
    match bytes.len() - d.position() {
        0 => Ok(()),
        more => Err(DecodeError::Malformed(format!(
            "{more} bytes follow the frame's end at byte {}",
            d.position()
        ))),
    }
}

/// Reads a map with small integer keys; `entry` reads the value and says whether it knows the key.
///
/// Keys that nobody knows are refused: one might change what the others mean.
fn map<'b>(
    d: &mut Decoder<'b>,
    place: &str,
    mut entry: impl FnMut(&mut Decoder<'b>, u8) -> Result<bool>,
) -> Result<()> {
    let length = d.map().map_err(|error| broken(error, place))?;
    let mut seen = 0_u32;
    elements(d, length, place, |d| {
        let at = d.position();
        let key = d.int().map_err(|error| broken(error, place))?;
        let unknown = || invalid(place, &format!("has the unknown key {key} at byte {at}"));
        let key = u8::try_from(key).ok().filter(|key| *key < 32).ok_or_else(unknown)?;
        if seen & 1 << key != 0 {
            return Err(invalid(place, &format!("has the key {key} twice (byte {at})")));
        }
        seen |= 1 << key;
        if entry(d, key)? { Ok(()) } else { Err(unknown()) }
    })
}

/// Runs `one` for each element of an array or entry of a map; `one` reads at least a byte or fails, so a
/// claimed length can't keep it running.
fn elements<'b>(
    d: &mut Decoder<'b>,
    length: Option<u64>,
    place: &str,
    mut one: impl FnMut(&mut Decoder<'b>) -> Result<()>,
) -> Result<()> {
    if let Some(length) = length {
        return (0..length).try_for_each(|_| one(d));
    }
    while d.datatype().map_err(|error| broken(error, place))? != Type::Break {
        one(d)?;
    }
    d.set_position(d.position() + 1);
    Ok(())
}

/// Room for a claimed length, but no more than the bytes at hand can fill.
fn capacity(d: &Decoder<'_>, length: Option<u64>, most: usize) -> usize {
    let left = d.input().len().saturating_sub(d.position());
    usize::try_from(length.unwrap_or(8)).unwrap_or(most).min(most).min(left / 2)
}

fn integer<T: TryFrom<i128>>(d: &mut Decoder<'_>, place: &str) -> Result<T> {
    let value = i128::from(d.int().map_err(|error| broken(error, place))?);
    T::try_from(value).map_err(|_| invalid(place, &format!("can't be {value}")))
}

fn time(d: &mut Decoder<'_>, place: &str) -> Result<i64> {
    let time = integer(d, place)?;
    if (MIN_TIME..=MAX_TIME).contains(&time) {
        return Ok(time);
    }
    Err(invalid(place, &format!("{time} lies outside of the years 0 to 9999")))
}

fn single(d: &mut Decoder<'_>, place: &str) -> Result<f32> {
    let value = number(d, place)? as f32;
    if value.is_finite() { Ok(value) } else { Err(invalid(place, "is too large")) }
}

fn optional_number(d: &mut Decoder<'_>, place: &str) -> Result<Option<f64>> {
    match d.datatype().map_err(|error| broken(error, place))? {
        Type::Null | Type::Undefined => {
            d.set_position(d.position() + 1);
            Ok(None)
        }
        _ => number(d, place).map(Some),
    }
}

fn number(d: &mut Decoder<'_>, place: &str) -> Result<f64> {
    let value = match d.datatype().map_err(|error| broken(error, place))? {
        Type::F16 | Type::F32 | Type::F64 => d.f64().map_err(|error| broken(error, place))?,
        _ => i128::from(d.int().map_err(|error| broken(error, place))?) as f64,
    };
    if value.is_finite() { Ok(value) } else { Err(invalid(place, "is not finite")) }
}

fn text(d: &mut Decoder<'_>, place: &str) -> Result<String> {
    match d.str().map_err(|error| broken(error, place))? {
        words if words.len() <= MAX_TEXT => Ok(words.to_string()),
        _ => Err(invalid(place, "has more than 1024 bytes")),
    }
}

#[cold]
fn invalid(place: &str, what: &str) -> DecodeError {
    DecodeError::Invalid(format!("{place}: {what}"))
}

#[cold]
fn broken(error: Error, place: &str) -> DecodeError {
    if error.is_type_mismatch() {
        DecodeError::Invalid(format!("{place}: {error}"))
    } else if error.is_end_of_input() {
        DecodeError::Malformed(format!("{place}: cut short"))
    } else {
        DecodeError::Malformed(format!("{place}: {error}"))
    }
}
