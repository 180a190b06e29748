//! Readings: one flat array of quantity, value, quality, quantity, …

use super::value::{Value, read_array, write_array};
use super::{DecodeError, malformed};
use crate::Reading;
use minicbor::Decoder;

const ITEMS: usize = 3;

pub(super) fn write_all(readings: &[Reading], out: &mut Vec<u8>) {
    write_array(readings.len() * ITEMS, out);
    for reading in readings {
        reading.quantity.write(out);
        reading.value.write(out);
        reading.quality.write(out);
    }
}

#[inline]
pub(super) fn read_all(decoder: &mut Decoder<'_>) -> Result<Vec<Reading>, DecodeError> {
    let items = read_array(decoder)?;
    if !items.is_multiple_of(ITEMS) {
        return Err(malformed("readings are threes"));
    }
    let mut readings = Vec::with_capacity(items / ITEMS);
    for _ in 0..items / ITEMS {
        readings.push(Reading {
            quantity: Value::read(decoder)?,
            value: Value::read(decoder)?,
            quality: Value::read(decoder)?,
        });
    }
    Ok(readings)
}
