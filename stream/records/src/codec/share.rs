//! Share: the window's start is absolute, the other times are differences.

use super::DecodeError;
use super::kind::{Kind, write_head};
use super::map::MapReader;
use super::value::{after, at};
use crate::{Share, Window};

impl Share {
    /// Appends the bytes that [`crate::Record::encode`] would.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut map = write_head(Kind::Share, out);
        map.field(1, &self.device);
        map.field(2, &self.area);
        map.field(3, &self.job);
        map.field(4, &self.window.start);
        map.field(5, &after(self.window.start, self.window.end));
        map.field(6, &after(self.window.end, self.as_of));
        map.unless(7, &self.revision, &0);
        map.field(8, &self.values);
        map.unless(9, &self.definition, &0);
    }
}

pub(super) fn read(map: &mut MapReader<'_, '_>) -> Result<Share, DecodeError> {
    let (device, area, job) = (map.field(1)?, map.field(2)?, map.field(3)?);
    let start = map.field(4)?;
    let end = at(start, map.field(5)?);
    let as_of = at(end, map.field(6)?);
    let window = Window { start, end };
    let (revision, values, definition) = (map.or(7, 0)?, map.field(8)?, map.or(9, 0)?);
    Ok(Share { device, area, job, definition, window, revision, values, as_of })
}
