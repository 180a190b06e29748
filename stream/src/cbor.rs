//! Bytes of state: how the log's plain types stand inside a snapshot.
//!
//! Types of ours derive `minicbor::{Encode, Decode}` with index keys; the log's types don't, so a field of such a
//! type says `#[cbor(with = "crate::cbor")]`.

use minicbor::data::Type;
use minicbor::decode::{Decoder, Error as DecodeError};
use minicbor::encode::{Encoder, Error as EncodeError, Write};
use records::{Device, Name, Observation, Quantity, Record, Severity, Timestamp, Window};

/// A type of the log that may stand in state.
pub trait Plain: Sized {
    /// Writes it.
    fn put<W: Write>(&self, to: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>>;
    /// Reads it.
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError>;
}

/// For `#[cbor(with = "crate::cbor")]`.
pub fn encode<C, T: Plain, W: Write>(
    value: &T,
    to: &mut Encoder<W>,
    _: &mut C,
) -> Result<(), EncodeError<W::Error>> {
    value.put(to)
}

/// For `#[cbor(with = "crate::cbor")]`.
pub fn decode<C, T: Plain>(from: &mut Decoder<'_>, _: &mut C) -> Result<T, DecodeError> {
    T::take(from)
}

impl Plain for Timestamp {
    fn put<W: Write>(&self, to: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        to.i64(self.0)?.ok()
    }
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        from.i64().map(Timestamp)
    }
}

impl Plain for Window {
    fn put<W: Write>(&self, to: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        to.array(2)?.i64(self.start.0)?.i64(self.end.0)?.ok()
    }
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match from.array()? {
            Some(2) => Ok(Window { start: Timestamp::take(from)?, end: Timestamp::take(from)? }),
            _ => Err(DecodeError::message("a window is an array of two")),
        }
    }
}

impl Plain for Name {
    fn put<W: Write>(&self, to: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        to.str(self)?.ok()
    }
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        from.str().map(Name::new)
    }
}

const SEVERITIES: [Severity; 4] = [Severity::Minor, Severity::Moderate, Severity::Severe, Severity::Extreme];

impl Plain for Severity {
    fn put<W: Write>(&self, to: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        to.u8(*self as u8)?.ok()
    }
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let code = usize::from(from.u8()?);
        SEVERITIES.get(code).copied().ok_or_else(|| DecodeError::message("unknown severity"))
    }
}

impl Plain for Quantity {
    fn put<W: Write>(&self, to: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        match self.code() {
            Some(code) => to.u16(code)?.ok(),
            None => to.str(self.name())?.ok(),
        }
    }
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        if from.datatype()? == Type::String {
            return from.str().map(Quantity::from_name);
        }
        let code = from.u16()?;
        Quantity::from_code(code).ok_or_else(|| DecodeError::message("a quantity that the registry has not"))
    }
}

/// As the bytes that stand on the log.
impl Plain for Record {
    fn put<W: Write>(&self, to: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        to.bytes(&bytes)?.ok()
    }
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Record::decode(from.bytes()?).map_err(DecodeError::message)
    }
}

impl Plain for Device {
    fn put<W: Write>(&self, to: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        Record::Device(self.clone()).put(to)
    }
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match Record::take(from)? {
            Record::Device(device) => Ok(device),
            _ => Err(DecodeError::message("a device entry is expected here")),
        }
    }
}

impl Plain for Observation {
    fn put<W: Write>(&self, to: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        to.bytes(&bytes)?.ok()
    }
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match Record::take(from)? {
            Record::Observation(message) => Ok(message),
            _ => Err(DecodeError::message("an observation is expected here")),
        }
    }
}

impl<T: Plain> Plain for Option<T> {
    fn put<W: Write>(&self, to: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        match self {
            Some(value) => value.put(to),
            None => to.null()?.ok(),
        }
    }
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        if from.datatype()? == Type::Null {
            from.null()?;
            return Ok(None);
        }
        T::take(from).map(Some)
    }
}

impl<T: Plain> Plain for Box<T> {
    fn put<W: Write>(&self, to: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        T::put(self, to)
    }
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        T::take(from).map(Box::new)
    }
}

impl<T: Plain> Plain for Vec<T> {
    fn put<W: Write>(&self, to: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        to.array(self.len() as u64)?;
        self.iter().try_for_each(|value| value.put(to))
    }
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let len = from.array()?.ok_or_else(|| DecodeError::message("array of unknown length"))?;
        (0..len).map(|_| T::take(from)).collect()
    }
}
