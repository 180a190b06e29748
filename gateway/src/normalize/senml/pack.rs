//! A pack in either of its forms: an array of maps, in JSON or in CBOR.

use super::record::{Label, Record, Scalar};
use crate::normalize::Rejection;
use ciborium::Value as Cbor;
use records::Reason;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use std::fmt;

/// Records of one pack: as many as tag reads or passages of one frame.
const MAX_RECORDS: usize = 1000;

/// Whether these bytes can be nothing but a pack: an array, where a frame is a map.
pub(in crate::normalize) fn is_pack(payload: &[u8]) -> bool {
    match payload.first() {
        Some(0x80..=0x9f) => true,
        _ => payload.trim_ascii_start().first() == Some(&b'['),
    }
}

/// The records of a pack, in their order.
pub(super) fn read(payload: &[u8]) -> Result<Vec<Record>, Rejection> {
    let records = match payload.first() {
        Some(0x80..=0x9f) => read_cbor(payload)?,
        _ => read_json(payload)?,
    };
    match records.len() {
        0 => Err(invalid("a pack holds at least one record")),
        1..=MAX_RECORDS => Ok(records),
        more => Err(invalid(format!("a pack may hold {MAX_RECORDS} records, not {more}"))),
    }
}

pub(super) fn invalid(detail: impl Into<String>) -> Rejection {
    Rejection::new(Reason::Invalid, detail)
}

fn read_json(payload: &[u8]) -> Result<Vec<Record>, Rejection> {
    let rejection = |error: serde_json::Error| {
        let reason = if error.is_data() { Reason::Invalid } else { Reason::Malformed };
        Rejection::new(reason, error.to_string())
    };
    serde_json::from_slice(payload).map_err(rejection)
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Record, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

/// Member by member, because a map would hide one that occurs twice.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Record;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a SenML record")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<Record, M::Error> {
        let mut record = Record::default();
        while let Some(name) = members.next_key::<String>()? {
            match Label::from_name(&name).map_err(M::Error::custom)? {
                Some(label) => record.set(label, members.next_value()?).map_err(M::Error::custom)?,
                None => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(record)
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Scalar, D::Error> {
        use serde_json::Value as Json;
        Ok(match Json::deserialize(deserializer)? {
            Json::Number(number) => number.as_f64().map_or(Scalar::Other, Scalar::Number),
            Json::Bool(is_true) => Scalar::Boolean(is_true),
            Json::String(text) => Scalar::Text(text),
            Json::Null | Json::Array(_) | Json::Object(_) => Scalar::Other,
        })
    }
}

fn read_cbor(payload: &[u8]) -> Result<Vec<Record>, Rejection> {
    let mut rest = payload;
    let pack: Cbor = ciborium::from_reader(&mut rest)
        .map_err(|error| Rejection::new(Reason::Malformed, format!("not CBOR: {error}")))?;
    if !rest.is_empty() {
        return Err(Rejection::new(Reason::Malformed, "something follows the pack"));
    }
    let Cbor::Array(records) = pack else { return Err(invalid("a pack is an array")) };
    records.into_iter().map(|record| cbor_record(record).map_err(invalid)).collect()
}

fn cbor_record(record: Cbor) -> Result<Record, String> {
    let Cbor::Map(fields) = record else { return Err("a SenML record is a map".to_owned()) };
    let mut record = Record::default();
    for (key, value) in fields {
        let label = match key {
            Cbor::Integer(code) => Label::from_code(code.into()),
            Cbor::Text(name) => Label::from_name(&name)?,
            _ => return Err("a label is an integer or a text".to_owned()),
        };
        if let Some(label) = label {
            record.set(label, scalar(value))?;
        }
    }
    Ok(record)
}

fn scalar(value: Cbor) -> Scalar {
    match value {
        Cbor::Integer(number) => Scalar::Number(i128::from(number) as f64),
        Cbor::Float(number) if number.is_finite() => Scalar::Number(number),
        Cbor::Bool(is_true) => Scalar::Boolean(is_true),
        Cbor::Text(text) => Scalar::Text(text),
        Cbor::Bytes(_) => Scalar::Bytes,
        Cbor::Tag(4, fraction) => decimal_fraction(&fraction).map_or(Scalar::Other, Scalar::Number),
        _ => Scalar::Other,
    }
}

/// `[exponent, mantissa]` (RFC 8949, section 3.4.4), read as the decimal that it is, so that it is rounded once.
fn decimal_fraction(value: &Cbor) -> Option<f64> {
    let [Cbor::Integer(exponent), Cbor::Integer(mantissa)] = value.as_array()?.as_slice() else {
        return None;
    };
    let decimal = format!("{}e{}", i128::from(*mantissa), i128::from(*exponent));
    decimal.parse().ok().filter(|number: &f64| number.is_finite())
}
