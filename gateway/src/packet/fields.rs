//! The data representations of MQTT (MQTT 5, 1.5; the same in 3.1.1 where it has them), read one after another.

use super::Violation;

/// What of a packet is still to be read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Fields<'a> {
        Fields(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Everything that is left.
    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }

    /// The next `len` bytes.
    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], Violation> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Violation::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Violation> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn two(&mut self) -> Result<u16, Violation> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn four(&mut self) -> Result<u32, Violation> {
        self.array().map(u32::from_be_bytes)
    }

    /// A variable byte integer, in as few bytes as it needs (MQTT 5, 1.5.5).
    pub(super) fn variable(&mut self) -> Result<u32, Violation> {
        let mut value = 0;
        for index in 0..4 {
            let byte = self.byte()?;
            value |= u32::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                let is_shortest = index == 0 || byte != 0;
                return if is_shortest { Ok(value) } else { Err(Violation::Malformed) };
            }
        }
        Err(Violation::Malformed)
    }

    pub(super) fn binary(&mut self) -> Result<&'a [u8], Violation> {
        let len = self.two()?;
        self.take(usize::from(len))
    }

    /// UTF-8 without U+0000; surrogates are not UTF-8 to begin with.
    pub(super) fn text(&mut self) -> Result<&'a str, Violation> {
        let text = std::str::from_utf8(self.binary()?).map_err(|_| Violation::Malformed)?;
        if text.contains('\0') { Err(Violation::Malformed) } else { Ok(text) }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Violation> {
        let (array, rest) = self.0.split_first_chunk().ok_or(Violation::Malformed)?;
        self.0 = rest;
        Ok(*array)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_byte_integers_are_as_short_as_they_can_be() {
        let check =
            |bytes: &[u8], expected| assert_eq!(Fields::new(bytes).variable(), expected, "{bytes:02x?}");
        check(&[0], Ok(0));
        check(&[0x7f], Ok(127));
        check(&[0x80, 0x01], Ok(128));
        check(&[0xff, 0xff, 0xff, 0x7f], Ok(268_435_455));
        check(&[0x80, 0x00], Err(Violation::Malformed));
        check(&[0xff, 0xff, 0xff, 0xff, 0x01], Err(Violation::Malformed));
        check(&[0x80], Err(Violation::Malformed));
    }

    #[test]
    fn texts_are_utf_8_without_null() {
        let check = |bytes: &[u8], expected| assert_eq!(Fields::new(bytes).text(), expected, "{bytes:02x?}");
        check(b"\0\0", Ok(""));
        check("\0\x03\u{feff}".as_bytes(), Ok("\u{feff}"));
        check(b"\0\x01\0", Err(Violation::Malformed));
        check(b"\0\x03\xed\xa0\x80", Err(Violation::Malformed));
        check(b"\0\x02a", Err(Violation::Malformed));
    }
}
