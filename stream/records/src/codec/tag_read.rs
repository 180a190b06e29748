//! Tag reads: an array of maps; times are differences to the observation's event time.

use super::map::{MapReader, MapWriter};
use super::value::{after, at, read_array, write_array};
use super::{DecodeError, epc::Epc};
use crate::{TagRead, Timestamp};
use minicbor::Decoder;

pub(super) fn write_all(reads: &[TagRead], event_time: Timestamp, out: &mut Vec<u8>) {
    write_array(reads.len(), out);
    for read in reads {
        let mut map = MapWriter::open(out);
        map.field(1, &Epc::of(&read.epc));
        map.unless(2, &read.antenna, &0);
        map.optional(3, read.rssi.as_ref());
        map.unless(4, &read.count, &1);
        map.optional(5, read.first_seen.map(|time| after(event_time, time)).as_ref());
        map.optional(6, read.last_seen.map(|time| after(event_time, time)).as_ref());
    }
}

pub(super) fn read_all(
    decoder: &mut Decoder<'_>,
    event_time: Timestamp,
) -> Result<Vec<TagRead>, DecodeError> {
    let count = read_array(decoder)?;
    (0..count).map(|_| read_one(decoder, event_time)).collect()
}

fn read_one(decoder: &mut Decoder<'_>, event_time: Timestamp) -> Result<TagRead, DecodeError> {
    let mut map = MapReader::open(decoder)?;
    let read = TagRead {
        epc: map.field::<Epc>(1)?.into_name(),
        antenna: map.or(2, 0)?,
        rssi: map.optional(3)?,
        count: map.or(4, 1)?,
        first_seen: map.optional(5)?.map(|after| at(event_time, after)),
        last_seen: map.optional(6)?.map(|after| at(event_time, after)),
    };
    map.close()?;
    Ok(read)
}
