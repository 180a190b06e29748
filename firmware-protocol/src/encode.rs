//! Frames into a buffer of the caller's: no allocation, and nothing that the decoder would refuse.

use crate::quantity::{index_of_code, is_name};
use crate::{
    Content, MAX_PASSAGES, MAX_READINGS, MAX_TAG_READS, MAX_TEXT, MAX_TIME, MIN_TIME, Passage, QUANTITIES,
    Quantity, QuantityKey, Reading, Reply, State, TagRead, Telemetry,
};
use core::fmt;
use minicbor::Encoder;
use minicbor::encode::write::Cursor;

/// Why a frame was not written. The buffer then holds a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// The buffer is too small.
    BufferFull,
    /// More readings, tag reads or passages than a frame may hold: send several frames.
    TooMany,
    /// A value is NaN or infinite: leave the reading out instead.
    NotFinite,
    /// The position is not on Earth.
    Position,
    /// A time lies outside of the years 0 to 9999.
    Time,
    /// A quantity's code is not in the table, or its name is empty, too long or has control characters.
    Quantity,
    /// A quantity occurs twice.
    Duplicate,
    /// A text has more than 1,024 bytes.
    Text,
}

type Out<'b> = Encoder<Cursor<&'b mut [u8]>>;
type Done = Result<(), EncodeError>;

/// Writes a telemetry frame into `buffer` and returns its length.
pub fn encode_telemetry(frame: &Telemetry<'_>, buffer: &mut [u8]) -> Result<usize, EncodeError> {
    let mut out = Encoder::new(Cursor::new(buffer));
    let optional = [frame.sequence.is_some(), frame.time.is_some(), frame.position.is_some()];
    let epoch = u64::from(frame.epoch != 0);
    out.map(epoch + count(&optional) + u64::from(has_content(&frame.content)))?;
    if frame.epoch != 0 {
        out.u8(1)?.u32(frame.epoch)?;
    }
    if let Some(sequence) = frame.sequence {
        out.u8(2)?.u64(sequence)?;
    }
    if let Some(time) = frame.time {
        out.u8(3)?.i64(valid(time)?)?;
    }
    if let Some(position) = frame.position {
        if !position.is_valid() {
            return Err(EncodeError::Position);
        }
        out.u8(4)?.array(2)?;
        number(&mut out, position.lon)?;
        number(&mut out, position.lat)?;
    }
    content(&mut out, &frame.content)?;
    Ok(out.writer().position())
}

/// Writes a state frame into `buffer` and returns its length.
pub fn encode_state(state: &State<'_>, buffer: &mut [u8]) -> Result<usize, EncodeError> {
    let mut out = Encoder::new(Cursor::new(buffer));
    let State { firmware, uptime_s, battery_v, text: words } = *state;
    out.map(count(&[firmware.is_some(), uptime_s.is_some(), battery_v.is_some(), words.is_some()]))?;
    if let Some(firmware) = firmware {
        text(out.u8(1)?, firmware)?;
    }
    if let Some(uptime_s) = uptime_s {
        out.u8(2)?.u64(uptime_s)?;
    }
    if let Some(battery_v) = battery_v {
        number(out.u8(3)?, battery_v.into())?;
    }
    if let Some(words) = words {
        text(out.u8(4)?, words)?;
    }
    Ok(out.writer().position())
}

/// Writes a reply frame into `buffer` and returns its length.
pub fn encode_reply(reply: &Reply<'_>, buffer: &mut [u8]) -> Result<usize, EncodeError> {
    let mut out = Encoder::new(Cursor::new(buffer));
    out.map(2 + u64::from(reply.text.is_some()))?;
    out.u8(1)?.u64(reply.id)?.u8(2)?.bool(reply.ok)?;
    if let Some(words) = reply.text {
        text(out.u8(3)?, words)?;
    }
    Ok(out.writer().position())
}

/// No readings at all are left out: a frame of no content.
fn has_content(content: &Content<'_>) -> bool {
    !matches!(content, Content::Readings([]))
}

fn content(out: &mut Out<'_>, content: &Content<'_>) -> Done {
    match content {
        Content::Readings([]) => Ok(()),
        Content::Readings(items) => readings(out, items),
        Content::TagReads(items) => {
            out.u8(6)?.array(at_most(items.len(), MAX_TAG_READS)?)?;
            items.iter().try_for_each(|tag| tag_read(out, tag))
        }
        Content::Passages(items) => {
            out.u8(7)?.array(at_most(items.len(), MAX_PASSAGES)?)?;
            items.iter().try_for_each(|item| passage(out, item))
        }
    }
}

fn readings(out: &mut Out<'_>, items: &[Reading<'_>]) -> Done {
    out.u8(5)?.map(at_most(items.len(), MAX_READINGS)?)?;
    let mut known = 0_u128;
    for (place, reading) in items.iter().enumerate() {
        match canonical(reading.quantity)? {
            QuantityKey::Code(code) => {
                let bit = 1 << index_of_code(code).ok_or(EncodeError::Quantity)?;
                if known & bit != 0 {
                    return Err(EncodeError::Duplicate);
                }
                known |= bit;
                out.u16(code)?;
            }
            QuantityKey::Name(name) => {
                if items.iter().take(place).any(|earlier| earlier.quantity == reading.quantity) {
                    return Err(EncodeError::Duplicate);
                }
                out.str(name)?;
            }
        }
        number(out, reading.value)?;
    }
    Ok(())
}

const _: () = assert!(QUANTITIES.len() <= 128, "readings() counts the table in a u128");

/// A name of the table as its code.
fn canonical(key: QuantityKey<'_>) -> Result<QuantityKey<'_>, EncodeError> {
    match key {
        QuantityKey::Code(_) => Ok(key),
        QuantityKey::Name(name) => match Quantity::from_name(name) {
            Some(quantity) => Ok(QuantityKey::Code(quantity.code)),
            None if is_name(name) => Ok(key),
            None => Err(EncodeError::Quantity),
        },
    }
}

fn tag_read(out: &mut Out<'_>, tag: &TagRead) -> Done {
    let optional =
        [tag.rssi.is_some(), tag.antenna != 0, tag.count != 1, tag.first.is_some(), tag.last.is_some()];
    out.map(1 + count(&optional))?.u8(1)?.bytes(tag.epc.as_bytes())?;
    if let Some(rssi) = tag.rssi {
        number(out.u8(2)?, rssi.into())?;
    }
    if tag.antenna != 0 {
        out.u8(3)?.u16(tag.antenna)?;
    }
    if tag.count != 1 {
        out.u8(4)?.u32(tag.count)?;
    }
    if let Some(first) = tag.first {
        out.u8(5)?.i64(valid(first)?)?;
    }
    if let Some(last) = tag.last {
        out.u8(6)?.i64(valid(last)?)?;
    }
    Ok(())
}

fn passage(out: &mut Out<'_>, passage: &Passage) -> Done {
    let optional = [passage.lane != 0, passage.speed.is_some(), passage.class != Default::default()];
    out.map(1 + count(&optional))?.u8(1)?.i64(valid(passage.time)?)?;
    if passage.lane != 0 {
        out.u8(2)?.u8(passage.lane)?;
    }
    if let Some(speed) = passage.speed {
        number(out.u8(3)?, speed.into())?;
    }
    if passage.class != Default::default() {
        out.u8(4)?.u8(passage.class as u8)?;
    }
    Ok(())
}

/// The shortest float that keeps `value`.
fn number(out: &mut Out<'_>, value: f64) -> Done {
    if !value.is_finite() {
        return Err(EncodeError::NotFinite);
    }
    let single = value as f32;
    if f64::from(single) != value {
        out.f64(value)?;
    } else if keeps_half(single) {
        out.f16(single)?;
    } else {
        out.f32(single)?;
    }
    Ok(())
}

/// Whether a half-precision float holds `value`: by its bits, so that devices without an FPU stay quick.
fn keeps_half(value: f32) -> bool {
    let bits = value.to_bits();
    let (exponent, fraction) = ((bits >> 23 & 0xff) as i32 - 127, bits & 0x7f_ffff);
    match exponent {
        -127 => fraction == 0,
        -24..=-15 => fraction.trailing_zeros() as i32 >= -1 - exponent,
        -14..=15 => fraction & 0x1fff == 0,
        _ => false,
    }
}

fn text(out: &mut Out<'_>, words: &str) -> Done {
    if words.len() > MAX_TEXT {
        return Err(EncodeError::Text);
    }
    out.str(words)?;
    Ok(())
}

fn valid(time: i64) -> Result<i64, EncodeError> {
    if (MIN_TIME..=MAX_TIME).contains(&time) { Ok(time) } else { Err(EncodeError::Time) }
}

fn at_most(length: usize, most: usize) -> Result<u64, EncodeError> {
    if length <= most { Ok(length as u64) } else { Err(EncodeError::TooMany) }
}

fn count(present: &[bool]) -> u64 {
    present.iter().map(|present| u64::from(*present)).sum()
}

impl<E> From<minicbor::encode::Error<E>> for EncodeError {
    /// The only thing that can go wrong while writing to a slice.
    fn from(_: minicbor::encode::Error<E>) -> EncodeError {
        EncodeError::BufferFull
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EncodeError::BufferFull => "the buffer is too small for the frame",
            EncodeError::TooMany => "more items than a frame may hold",
            EncodeError::NotFinite => "a value is not finite",
            EncodeError::Position => "the position is not on Earth",
            EncodeError::Time => "a time lies outside of the years 0 to 9999",
            EncodeError::Quantity => "a quantity is neither in the table nor a valid name",
            EncodeError::Duplicate => "a quantity occurs twice",
            EncodeError::Text => "a text has more than 1024 bytes",
        })
    }
}

impl core::error::Error for EncodeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_floats_are_recognised_by_their_bits() {
        for half in 0..=u16::MAX {
            let value = minicbor::decode::Decoder::new(&[0xf9, (half >> 8) as u8, half as u8]).f16().unwrap();
            if value.is_finite() {
                assert!(keeps_half(value), "{half:04x} = {value}");
                let next = f32::from_bits(value.to_bits() + 1);
                assert!(!keeps_half(next), "{half:04x} + 1 bit = {next}");
            }
        }
        assert!(!keeps_half(65_536.0) && !keeps_half(f32::MAX) && !keeps_half(f32::MIN_POSITIVE));
    }
}
