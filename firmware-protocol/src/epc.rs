//! The code of an RFID tag.

use core::fmt;

/// An EPC: 1 to 62 bytes (496 bits, the longest that Gen2 allows), kept in place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epc {
    bytes: [u8; 62],
    length: u8,
}

/// Why something is not an EPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpcError {
    /// No byte, or more than 62.
    Length,
    /// Not an even number of hex digits.
    Hex,
}

impl Epc {
    /// The EPC of those bytes, first bit first.
    pub fn from_bytes(bytes: &[u8]) -> Result<Epc, EpcError> {
        let mut epc = Epc { bytes: [0; 62], length: 0 };
        match epc.bytes.get_mut(..bytes.len()) {
            Some(place) if !bytes.is_empty() => place.copy_from_slice(bytes),
            _ => return Err(EpcError::Length),
        }
        epc.length = bytes.len() as u8;
        Ok(epc)
    }

    /// The EPC of those hex digits, of either case.
    pub fn from_hex(hex: &str) -> Result<Epc, EpcError> {
        let (pairs, []) = hex.as_bytes().as_chunks::<2>() else { return Err(EpcError::Hex) };
        let mut epc = Epc { bytes: [0; 62], length: pairs.len() as u8 };
        if pairs.is_empty() || pairs.len() > epc.bytes.len() {
            return Err(EpcError::Length);
        }
        for (byte, pair) in epc.bytes.iter_mut().zip(pairs) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(epc)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

fn digit(byte: u8) -> Result<u8, EpcError> {
    char::from(byte).to_digit(16).map(|digit| digit as u8).ok_or(EpcError::Hex)
}

impl fmt::Display for Epc {
    /// Upper-case hex.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hex = [0; 124];
        let mut length = 0;
        for (pair, byte) in hex.as_chunks_mut::<2>().0.iter_mut().zip(self.as_bytes()) {
            *pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
            length += 2;
        }
        f.write_str(core::str::from_utf8(&hex[..length]).unwrap_or_default())
    }
}

const DIGITS: &[u8; 16] = b"0123456789ABCDEF";

impl fmt::Debug for Epc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for EpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EpcError::Length => "an epc has 1 to 62 bytes",
            EpcError::Hex => "an epc is an even number of hex digits",
        })
    }
}

impl core::error::Error for EpcError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn hex_comes_back_in_upper_case() {
        let epc = Epc::from_hex("3074257bf7194e4000001A85").unwrap();
        assert_eq!(epc.to_string(), "3074257BF7194E4000001A85");
        assert_eq!(Epc::from_bytes(epc.as_bytes()), Ok(epc));
    }

    #[test]
    fn the_bounds() {
        assert_eq!(Epc::from_hex(""), Err(EpcError::Length));
        assert_eq!(Epc::from_hex("0"), Err(EpcError::Hex));
        assert_eq!(Epc::from_hex("zz"), Err(EpcError::Hex));
        assert_eq!(Epc::from_hex("é"), Err(EpcError::Hex));
        assert_eq!(Epc::from_hex(&"AB".repeat(62)).unwrap().to_string(), "AB".repeat(62));
        assert_eq!(Epc::from_hex(&"AB".repeat(63)), Err(EpcError::Length));
        assert_eq!(Epc::from_bytes(&[]), Err(EpcError::Length));
        assert_eq!(Epc::from_bytes(&[0; 63]), Err(EpcError::Length));
    }
}
