//! Sighting: the first read is absolute, the other times are differences.

use super::DecodeError;
use super::epc::Epc;
use super::kind::{Kind, write_head};
use super::map::MapReader;
use super::value::{after, at};
use crate::Sighting;

impl Sighting {
    /// Appends the bytes that [`crate::Record::encode`] would.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut map = write_head(Kind::Sighting, out);
        map.field(1, &self.area);
        map.field(2, &self.device);
        map.field(3, &Epc::of(&self.epc));
        map.field(4, &self.first_seen);
        map.field(5, &after(self.first_seen, self.last_seen));
        map.field(6, &after(self.last_seen, self.as_of));
        map.unless(7, &self.count, &1);
    }
}

pub(super) fn read(map: &mut MapReader<'_, '_>) -> Result<Sighting, DecodeError> {
    let (area, device) = (map.field(1)?, map.field(2)?);
    let epc = map.field::<Epc>(3)?.into_name();
    let first_seen = map.field(4)?;
    let last_seen = at(first_seen, map.field(5)?);
    let as_of = at(last_seen, map.field(6)?);
    Ok(Sighting { area, device, epc, first_seen, last_seen, count: map.or(7, 1)?, as_of })
}
