//! Quarantined: the bytes as they came, with the reason.

use super::DecodeError;
use super::kind::{Kind, write_head};
use super::map::MapReader;
use crate::Quarantined;

impl Quarantined {
    /// Appends the bytes that [`crate::Record::encode`] would.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut map = write_head(Kind::Quarantined, out);
        map.field(1, &self.device);
        map.field(2, &self.topic_name);
        map.field(3, &self.ingest_time);
        map.field(4, &self.reason);
        map.unless(5, &self.detail, &String::new());
        map.unless(6, &self.payload, &Vec::new());
        map.unless(7, &self.count, &1);
    }
}

pub(super) fn read(map: &mut MapReader<'_, '_>) -> Result<Quarantined, DecodeError> {
    Ok(Quarantined {
        device: map.field(1)?,
        topic_name: map.field(2)?,
        ingest_time: map.field(3)?,
        reason: map.field(4)?,
        detail: map.or(5, String::new())?,
        payload: map.or(6, Vec::new())?,
        count: map.or(7, 1)?,
    })
}
