//! What can stand behind a key: one CBOR item each.

use super::head::{self, Major};
use super::{DecodeError, malformed};
use crate::{
    Crs, Family, LimitKind, Name, Position, Quality, Quantity, Reason, StatedPosition, Timestamp,
    VehicleClass, Verb,
};
use minicbor::{Decoder, Encoder};

/// Something that is one CBOR item.
pub(super) trait Value: Sized {
    fn write(&self, out: &mut Vec<u8>);
    fn read(decoder: &mut Decoder<'_>) -> Result<Self, DecodeError>;
}

/// Integers that `minicbor` reads by a method of the same name.
macro_rules! unsigned {
    ($($type:ident)*) => {$(
        impl Value for $type {
            #[inline]
            fn write(&self, out: &mut Vec<u8>) {
                head::write(Major::Unsigned, u64::from(*self), out);
            }

            #[inline]
            fn read(decoder: &mut Decoder<'_>) -> Result<$type, DecodeError> {
                Ok(decoder.$type()?)
            }
        }
    )*};
}

unsigned!(u8 u16 u32 u64);

impl Value for i64 {
    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        head::write_integer(*self, out);
    }

    #[inline]
    fn read(decoder: &mut Decoder<'_>) -> Result<i64, DecodeError> {
        Ok(decoder.i64()?)
    }
}

impl Value for bool {
    fn write(&self, out: &mut Vec<u8>) {
        let _ = Encoder::new(out).bool(*self);
    }

    fn read(decoder: &mut Decoder<'_>) -> Result<bool, DecodeError> {
        Ok(decoder.bool()?)
    }
}

/// Enums that stand on the log by their number.
macro_rules! coded {
    ($($type:ident)*) => {$(
        impl Value for $type {
            fn write(&self, out: &mut Vec<u8>) {
                (*self as u8).write(out);
            }

            fn read(decoder: &mut Decoder<'_>) -> Result<$type, DecodeError> {
                let code = decoder.u8()?;
                let unknown = || malformed(format_args!("{} has no code {code}", stringify!($type)));
                $type::from_code(code).ok_or_else(unknown)
            }
        }
    )*};
}

coded!(Crs Family LimitKind Reason VehicleClass Verb);

/// What has not been read.
#[inline]
pub(super) fn rest<'b>(decoder: &Decoder<'b>) -> &'b [u8] {
    decoder.input().get(decoder.position()..).unwrap_or_default()
}

/// An unsigned integer, by the short way when it is one byte: so are nearly all keys, codes and flags.
#[inline]
pub(super) fn read_unsigned(decoder: &mut Decoder<'_>) -> Result<u64, DecodeError> {
    match rest(decoder) {
        [small @ 0..24, ..] => {
            decoder.set_position(decoder.position() + 1);
            Ok(u64::from(*small))
        }
        _ => Ok(decoder.u64()?),
    }
}

#[inline]
pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    head::write(Major::Text, text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

/// The length of an array that is about to be read. No more than there are bytes left, so it may be reserved.
pub(super) fn read_array(decoder: &mut Decoder<'_>) -> Result<usize, DecodeError> {
    let left = rest(decoder).len();
    let claimed = decoder.array()?.ok_or_else(|| malformed("an array of indefinite length"))?;
    usize::try_from(claimed)
        .ok()
        .filter(|len| *len <= left)
        .ok_or_else(|| malformed("an array longer than the record"))
}

#[inline]
pub(super) fn write_array(len: usize, out: &mut Vec<u8>) {
    head::write(Major::Array, len as u64, out);
}

impl Value for Name {
    fn write(&self, out: &mut Vec<u8>) {
        write_text(self, out);
    }

    fn read(decoder: &mut Decoder<'_>) -> Result<Name, DecodeError> {
        Ok(Name::new(decoder.str()?))
    }
}

impl Value for String {
    fn write(&self, out: &mut Vec<u8>) {
        write_text(self, out);
    }

    fn read(decoder: &mut Decoder<'_>) -> Result<String, DecodeError> {
        Ok(decoder.str()?.to_owned())
    }
}

impl Value for Vec<u8> {
    fn write(&self, out: &mut Vec<u8>) {
        head::write(Major::Bytes, self.len() as u64, out);
        out.extend_from_slice(self);
    }

    fn read(decoder: &mut Decoder<'_>) -> Result<Vec<u8>, DecodeError> {
        Ok(decoder.bytes()?.to_vec())
    }
}

impl Value for Timestamp {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }

    fn read(decoder: &mut Decoder<'_>) -> Result<Timestamp, DecodeError> {
        i64::read(decoder).map(Timestamp)
    }
}

impl Value for Position {
    fn write(&self, out: &mut Vec<u8>) {
        write_array(2, out);
        self.lon.write(out);
        self.lat.write(out);
    }

    fn read(decoder: &mut Decoder<'_>) -> Result<Position, DecodeError> {
        if read_array(decoder)? != 2 {
            return Err(malformed("a position is two numbers"));
        }
        Ok(Position { lon: f64::read(decoder)?, lat: f64::read(decoder)? })
    }
}

impl Value for StatedPosition {
    fn write(&self, out: &mut Vec<u8>) {
        write_array(3, out);
        self.crs.write(out);
        self.lon.write(out);
        self.lat.write(out);
    }

    fn read(decoder: &mut Decoder<'_>) -> Result<StatedPosition, DecodeError> {
        if read_array(decoder)? != 3 {
            return Err(malformed("a stated position is a system and two numbers"));
        }
        Ok(StatedPosition { crs: Crs::read(decoder)?, lon: f64::read(decoder)?, lat: f64::read(decoder)? })
    }
}

impl Value for Quantity {
    fn write(&self, out: &mut Vec<u8>) {
        match self.code() {
            Some(code) => code.write(out),
            None => write_text(self.name(), out),
        }
    }

    /// A number that the registry does not have is an error: its name and unit are lost to this program.
    #[inline]
    fn read(decoder: &mut Decoder<'_>) -> Result<Quantity, DecodeError> {
        if let [0x60..0x80, ..] = rest(decoder) {
            return Ok(Quantity::from_name(decoder.str()?));
        }
        let code = read_unsigned(decoder)?;
        let known = u16::try_from(code).ok().and_then(Quantity::from_code);
        known.ok_or_else(|| malformed(format_args!("no quantity {code}")))
    }
}

/// `flag + 16 × tests`: one byte as long as no test has failed.
impl Value for Quality {
    fn write(&self, out: &mut Vec<u8>) {
        (self.flag as u32 | u32::from(self.tests) << 4).write(out);
    }

    #[inline]
    fn read(decoder: &mut Decoder<'_>) -> Result<Quality, DecodeError> {
        let both = read_unsigned(decoder)?;
        let flag = crate::Flag::from_code((both & 0xf) as u8).ok_or_else(|| malformed("no such flag"))?;
        let tests = u16::try_from(both >> 4).map_err(|_| malformed("no such test"))?;
        Ok(Quality { flag, tests })
    }
}

/// `at` as milliseconds after `base`. Wraps, so that every pair of instants is kept; none that occurs does.
pub(super) fn after(base: Timestamp, at: Timestamp) -> i64 {
    at.0.wrapping_sub(base.0)
}

/// The inverse of [`after`].
pub(super) fn at(base: Timestamp, after: i64) -> Timestamp {
    Timestamp(base.0.wrapping_add(after))
}
