//! What a record begins with: version and kind.

use super::map::MapWriter;
use super::{DecodeError, VERSION, malformed};
use minicbor::Decoder;

/// The kinds of records, with their numbers on the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// [`crate::Observation`].
    Observation = 1,
    /// [`crate::Device`].
    Device = 2,
    /// [`crate::Tick`].
    Tick = 3,
    /// [`crate::Action`].
    Action = 4,
    /// [`crate::Aggregate`].
    Aggregate = 5,
    /// [`crate::Sighting`].
    Sighting = 6,
    /// [`crate::Quarantined`].
    Quarantined = 7,
    /// [`crate::Account`].
    Account = 8,
    /// [`crate::Share`].
    Share = 9,
    /// [`crate::Rules`].
    Rules = 10,
    /// [`crate::Alert`]: JSON, so its number never stands on the log.
    Alert = 0,
}

impl Kind {
    /// The kind of an encoded record from its first bytes alone; `None` when [`crate::Record::decode`] would fail
    /// at these. Lets a reader pass over kinds it has no use for.
    pub fn of(bytes: &[u8]) -> Option<Kind> {
        match bytes {
            [b'{', ..] => Some(Kind::Alert),
            [0x83, VERSION, code, ..] => Kind::from_code(*code),
            _ => None,
        }
    }

    fn from_code(code: u8) -> Option<Kind> {
        match code {
            1 => Some(Kind::Observation),
            2 => Some(Kind::Device),
            3 => Some(Kind::Tick),
            4 => Some(Kind::Action),
            5 => Some(Kind::Aggregate),
            6 => Some(Kind::Sighting),
            7 => Some(Kind::Quarantined),
            8 => Some(Kind::Account),
            9 => Some(Kind::Share),
            10 => Some(Kind::Rules),
            _ => None,
        }
    }
}

/// Begins a record in `out`.
pub(super) fn write_head(kind: Kind, out: &mut Vec<u8>) -> MapWriter<'_> {
    out.extend_from_slice(&[0x83, VERSION, kind as u8]);
    MapWriter::open(out)
}

/// Reads up to the map of fields.
pub(super) fn read_head(decoder: &mut Decoder<'_>) -> Result<Kind, DecodeError> {
    let items = decoder.array()?;
    let version = u8::try_from(decoder.u64()?).unwrap_or(u8::MAX);
    match version {
        0 => return Err(malformed("version 0")),
        1..=VERSION => {}
        newer => return Err(DecodeError::Version(newer)),
    }
    if items != Some(3) {
        return Err(malformed("not an array of three"));
    }
    let code = decoder.u8()?;
    Kind::from_code(code).ok_or_else(|| malformed(format_args!("no kind {code}")))
}
