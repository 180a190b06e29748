//! Status: a map in the observation's map.

use super::DecodeError;
use super::map::{MapReader, MapWriter};
use crate::Status;
use minicbor::Decoder;

pub(super) fn write(status: &Status, out: &mut Vec<u8>) {
    let mut map = MapWriter::open(out);
    map.optional(1, status.firmware.as_ref());
    map.optional(2, status.uptime_s.as_ref());
    map.optional(3, status.battery_v.as_ref());
    map.optional(4, status.text.as_ref());
}

pub(super) fn read(decoder: &mut Decoder<'_>) -> Result<Status, DecodeError> {
    let mut map = MapReader::open(decoder)?;
    let status = Status {
        firmware: map.optional(1)?,
        uptime_s: map.optional(2)?,
        battery_v: map.optional(3)?,
        text: map.optional(4)?,
    };
    map.close()?;
    Ok(status)
}
