//! Tick: source 0 of 1 is left out.

use super::DecodeError;
use super::kind::{Kind, write_head};
use super::map::MapReader;
use crate::Tick;

impl Tick {
    /// Appends the bytes that [`crate::Record::encode`] would.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut map = write_head(Kind::Tick, out);
        map.field(1, &self.at);
        map.unless(2, &self.source, &0);
        map.unless(3, &self.sources, &1);
    }
}

pub(super) fn read(map: &mut MapReader<'_, '_>) -> Result<Tick, DecodeError> {
    Ok(Tick { at: map.field(1)?, source: map.or(2, 0)?, sources: map.or(3, 1)? })
}
