//! Record bytes. The schema stands in `stream/records/README.md`; a change of it is a new version here.
//!
//! Every kind has a file that writes and reads its fields in the same order, so that the two can be compared by
//! eye. All but the alert are one CBOR item `[version, kind, {key: value}]`.

mod account;
mod action;
mod aggregate;
mod alert;
mod device;
mod epc;
mod head;
mod kind;
mod map;
mod number;
mod observation;
mod passage;
mod quarantine;
mod reading;
mod rules;
mod share;
mod sighting;
mod status;
mod tag_read;
mod tick;
mod value;

pub use kind::Kind;

use crate::Record;
use minicbor::Decoder;
use std::fmt::Display;

/// The version that is written, and the newest that is read.
const VERSION: u8 = 1;

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
    /// Appends the record's bytes to `out`. Each kind has the same method, for who has no [`Record`] at hand.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Record::Observation(record) => record.encode(out),
            Record::Device(record) => record.encode(out),
            Record::Tick(record) => record.encode(out),
            Record::Action(record) => record.encode(out),
            Record::Aggregate(record) => record.encode(out),
            Record::Sighting(record) => record.encode(out),
            Record::Alert(record) => record.encode(out),
            Record::Quarantined(record) => record.encode(out),
            Record::Account(record) => record.encode(out),
            Record::Share(record) => record.encode(out),
            Record::Rules(record) => record.encode(out),
        }
    }

    /// Reads a record; every byte must belong to it. Fields that this version does not know are skipped.
    ///
    /// Never panics, and takes no more memory than a small multiple of `bytes`, whatever they claim to hold.
    pub fn decode(bytes: &[u8]) -> Result<Record, DecodeError> {
        if bytes.first() == Some(&b'{') {
            return alert::read(bytes).map(|alert| Record::Alert(Box::new(alert)));
        }
        let mut decoder = Decoder::new(bytes);
        let kind = kind::read_head(&mut decoder)?;
        let record = read_body(kind, &mut decoder)?;
        if decoder.position() != bytes.len() {
            return Err(malformed("bytes behind its end"));
        }
        Ok(record)
    }
}

#[inline]
fn read_body(kind: Kind, decoder: &mut Decoder<'_>) -> Result<Record, DecodeError> {
    let mut map = map::MapReader::open(decoder)?;
    let record = match kind {
        Kind::Observation => Record::Observation(observation::read(&mut map)?),
        Kind::Device => Record::Device(device::read(&mut map)?),
        Kind::Tick => Record::Tick(tick::read(&mut map)?),
        Kind::Action => Record::Action(action::read(&mut map)?),
        Kind::Aggregate => Record::Aggregate(aggregate::read(&mut map)?),
        Kind::Sighting => Record::Sighting(sighting::read(&mut map)?),
        Kind::Quarantined => Record::Quarantined(quarantine::read(&mut map)?),
        Kind::Account => Record::Account(account::read(&mut map)?),
        Kind::Share => Record::Share(share::read(&mut map)?),
        Kind::Rules => Record::Rules(rules::read(&mut map)?),
        Kind::Alert => return Err(malformed("an alert is JSON")),
    };
    map.close()?;
    Ok(record)
}

#[cold]
fn malformed(what: impl Display) -> DecodeError {
    DecodeError::Malformed(what.to_string())
}

impl From<minicbor::decode::Error> for DecodeError {
    #[cold]
    fn from(error: minicbor::decode::Error) -> DecodeError {
        malformed(error)
    }
}
