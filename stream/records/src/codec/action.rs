//! Action: what an operator did.

use super::kind::{Kind, write_head};
use super::map::{MapReader, MapWriter};
use super::{DecodeError, malformed};
use crate::{Action, Subject};

impl Action {
    /// Appends the bytes that [`crate::Record::encode`] would.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut map = write_head(Kind::Action, out);
        map.field(1, &self.alert);
        write_subject(&self.subject, [2, 3], &mut map);
        map.field(4, &self.verb);
        map.field(5, &self.actor);
        map.field(6, &self.at);
        map.unless(7, &self.note, &String::new());
    }
}

pub(super) fn read(map: &mut MapReader<'_, '_>) -> Result<Action, DecodeError> {
    Ok(Action {
        alert: map.field(1)?,
        subject: read_subject([2, 3], map)?,
        verb: map.field(4)?,
        actor: map.field(5)?,
        at: map.field(6)?,
        note: map.or(7, String::new())?,
    })
}

/// A subject takes one of two keys: the first for a device, the second for an area.
pub(super) fn write_subject(subject: &Subject, keys: [u8; 2], map: &mut MapWriter<'_>) {
    match subject {
        Subject::Device(name) => map.field(keys[0], name),
        Subject::Area(name) => map.field(keys[1], name),
    }
}

pub(super) fn read_subject(keys: [u8; 2], map: &mut MapReader<'_, '_>) -> Result<Subject, DecodeError> {
    if let Some(device) = map.optional(keys[0])? {
        return Ok(Subject::Device(device));
    }
    let area = map.optional(keys[1])?;
    area.map(Subject::Area).ok_or_else(|| malformed("neither device nor area"))
}
