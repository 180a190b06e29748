//! Device: a registry entry. Empty names, rank 0 and "enabled" are left out.

use super::DecodeError;
use super::kind::{Kind, write_head};
use super::map::MapReader;
use crate::{Device, Name};

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
    })
}
