//! An EPC is bits: on the log a byte string, half of what its hex takes.

use super::DecodeError;
use super::value::{Value, write_text};
use crate::Name;
use minicbor::data::Type;
use minicbor::{Decoder, Encoder};

/// An EPC as a reader gave it. Upper-case hex in pairs goes as bytes, anything else as text.
pub(super) struct Epc(Name);

impl Epc {
    pub(super) fn of(name: &Name) -> Epc {
        Epc(name.clone())
    }

    pub(super) fn into_name(self) -> Name {
        self.0
    }
}

impl Value for Epc {
    fn write(&self, out: &mut Vec<u8>) {
        let (pairs, odd) = self.0.as_bytes().as_chunks::<2>();
        let is_hex = self.0.bytes().all(|digit| nibble(digit).is_some());
        if !odd.is_empty() || !is_hex {
            return write_text(&self.0, out);
        }
        let start = out.len();
        let _ = Encoder::new(&mut *out).bytes_len(pairs.len() as u64);
        out.extend(pairs.iter().filter_map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?)));
        debug_assert!(out.len() > start + pairs.len());
    }

    fn read(decoder: &mut Decoder<'_>) -> Result<Epc, DecodeError> {
        match decoder.datatype()? {
            Type::Bytes => Ok(Epc(hex(decoder.bytes()?))),
            _ => Ok(Epc(Name::read(decoder)?)),
        }
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn hex(bytes: &[u8]) -> Name {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let mut text = String::with_capacity(bytes.len() * 2);
    text.extend(digits.map(|digit| char::from(DIGITS[usize::from(digit)])));
    text.into()
}
