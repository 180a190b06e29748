//! Maps with small integer keys, which ascend: so each field is read with one line, in the order it is written.

use super::value::{Value, read_unsigned};
use super::{DecodeError, malformed};
use minicbor::Decoder;

/// Writes a map of at most 23 fields.
pub(super) struct MapWriter<'a> {
    out: &'a mut Vec<u8>,
    /// Where the head stands; it counts up with every field.
    head: usize,
}

impl<'a> MapWriter<'a> {
    pub(super) fn open(out: &'a mut Vec<u8>) -> MapWriter<'a> {
        let head = out.len();
        out.push(0xa0);
        MapWriter { out, head }
    }

    /// Writes a key and gives the buffer for its value.
    pub(super) fn key(&mut self, key: u8) -> &mut Vec<u8> {
        debug_assert!(key < 24 && self.out[self.head] < 0xb7);
        self.out[self.head] += 1;
        self.out.push(key);
        self.out
    }

    pub(super) fn field(&mut self, key: u8, value: &impl Value) {
        value.write(self.key(key));
    }

    /// A field that is left out when it has its `usual` value.
    pub(super) fn unless<V: Value + PartialEq>(&mut self, key: u8, value: &V, usual: &V) {
        if value != usual {
            self.field(key, value);
        }
    }

    pub(super) fn optional(&mut self, key: u8, value: Option<&impl Value>) {
        if let Some(value) = value {
            self.field(key, value);
        }
    }
}

/// Reads a map field by field, in ascending order of keys, and passes over keys that nobody asks for.
pub(super) struct MapReader<'a, 'b> {
    decoder: &'a mut Decoder<'b>,
    left: u64,
    /// A key that was read and whose value was not.
    ahead: Option<u64>,
    /// The least key that may come.
    least: u64,
}

impl<'a, 'b> MapReader<'a, 'b> {
    pub(super) fn open(decoder: &'a mut Decoder<'b>) -> Result<MapReader<'a, 'b>, DecodeError> {
        let left = decoder.map()?.ok_or_else(|| malformed("a map of indefinite length"))?;
        Ok(MapReader { decoder, left, ahead: None, least: 0 })
    }

    /// Whether the field is there; then its value comes next from [`MapReader::value`].
    #[inline]
    pub(super) fn has(&mut self, key: u8) -> Result<bool, DecodeError> {
        let key = u64::from(key);
        while let Some(next) = self.peek()? {
            if next > key {
                return Ok(false);
            }
            self.ahead = None;
            if next == key {
                return Ok(true);
            }
            self.decoder.skip()?;
        }
        Ok(false)
    }

    /// Where the value of the field just found stands.
    pub(super) fn value(&mut self) -> &mut Decoder<'b> {
        self.decoder
    }

    pub(super) fn optional<V: Value>(&mut self, key: u8) -> Result<Option<V>, DecodeError> {
        if self.has(key)? { V::read(self.decoder).map(Some) } else { Ok(None) }
    }

    pub(super) fn field<V: Value>(&mut self, key: u8) -> Result<V, DecodeError> {
        self.optional(key)?.ok_or_else(|| malformed(format_args!("field {key} is missing")))
    }

    pub(super) fn or<V: Value>(&mut self, key: u8, usual: V) -> Result<V, DecodeError> {
        Ok(self.optional(key)?.unwrap_or(usual))
    }

    /// Passes over what is left.
    pub(super) fn close(mut self) -> Result<(), DecodeError> {
        while self.peek()?.is_some() {
            self.ahead = None;
            self.decoder.skip()?;
        }
        Ok(())
    }

    #[inline]
    fn peek(&mut self) -> Result<Option<u64>, DecodeError> {
        if self.ahead.is_some() || self.left == 0 {
            return Ok(self.ahead);
        }
        let key = read_unsigned(self.decoder)?;
        if key < self.least {
            return Err(malformed("keys must ascend"));
        }
        self.left -= 1;
        self.least = key.saturating_add(1);
        self.ahead = Some(key);
        Ok(self.ahead)
    }
}
