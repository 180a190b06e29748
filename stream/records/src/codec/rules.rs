//! Rules: the file as it is, and the one before.

use super::DecodeError;
use super::kind::{Kind, write_head};
use super::map::MapReader;
use crate::Rules;

impl Rules {
    /// Appends the bytes that [`crate::Record::encode`] would.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut map = write_head(Kind::Rules, out);
        map.field(1, &self.at);
        map.field(2, &self.text);
        map.unless(3, &self.replaces, &String::new());
    }
}

pub(super) fn read(map: &mut MapReader<'_, '_>) -> Result<Rules, DecodeError> {
    Ok(Rules { at: map.field(1)?, text: map.field(2)?, replaces: map.or(3, String::new())? })
}
