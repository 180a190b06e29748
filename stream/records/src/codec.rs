//! Record bytes. See `stream/records/README.md` for the schema.

use crate::Record;

/// Why bytes are not a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Written by a newer Sluice.
    #[error("record version {0} is newer than this program")]
    Version(u8),
    /// Not what the schema allows.
    #[error("malformed record: {0}")]
    Malformed(String),
}

impl Record {
    /// Appends the record's bytes to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let _ = out;
        unimplemented!()
    }

    /// Reads a record; every byte must belong to it.
    pub fn decode(bytes: &[u8]) -> Result<Record, DecodeError> {
        let _ = bytes;
        unimplemented!()
    }
}
