//! Device: a registry entry. Empty names, rank 0, "enabled" and no limits are left out.

use super::kind::{Kind, write_head};
use super::map::MapReader;
use super::value::{Value, read_array, write_array};
use super::{DecodeError, malformed};
use crate::{Device, Limit, Name};
use minicbor::Decoder;

impl Device {
    /// Appends the bytes that [`crate::Record::encode`] would.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut map = write_head(Kind::Device, out);
        map.field(1, &self.id);
        map.field(2, &self.family);
        map.unless(3, &self.label, &Name::default());
        map.unless(4, &self.area, &Name::default());
        map.unless(5, &self.rank, &0);
        map.optional(6, self.position.as_ref());
        map.unless(7, &!self.is_enabled, &false);
        map.field(8, &self.updated_at);
        map.unless(9, &self.limits, &Vec::new());
    }
}

pub(super) fn read(map: &mut MapReader<'_, '_>) -> Result<Device, DecodeError> {
    Ok(Device {
        id: map.field(1)?,
        family: map.field(2)?,
        label: map.or(3, Name::default())?,
        area: map.or(4, Name::default())?,
        rank: map.or(5, 0)?,
        position: map.optional(6)?,
        is_enabled: !map.or(7, false)?,
        updated_at: map.field(8)?,
        limits: map.or(9, Vec::new())?,
    })
}

/// One flat array, as readings are.
impl Value for Vec<Limit> {
    fn write(&self, out: &mut Vec<u8>) {
        write_array(self.len() * 3, out);
        for Limit { quantity, kind, value } in self {
            quantity.write(out);
            kind.write(out);
            value.write(out);
        }
    }

    fn read(decoder: &mut Decoder<'_>) -> Result<Vec<Limit>, DecodeError> {
        let items = read_array(decoder)?;
        if !items.is_multiple_of(3) {
            return Err(malformed("limits are triples"));
        }
        let read = |_| {
            Ok(Limit {
                quantity: Value::read(decoder)?,
                kind: Value::read(decoder)?,
                value: Value::read(decoder)?,
            })
        };
        (0..items / 3).map(read).collect()
    }
}
