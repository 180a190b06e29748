//! Numbers as the shortest float that keeps them (RFC 8949, §4.2.2), and finite.

use super::value::{Value, rest};
use super::{DecodeError, malformed};
use minicbor::Decoder;

impl Value for f64 {
    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        #[expect(clippy::cast_possible_truncation, reason = "whether it truncates is what is asked")]
        let single = *self as f32;
        if let Some(half) = half(*self) {
            out.push(0xf9);
            out.extend_from_slice(&half.to_be_bytes());
        } else if f64::from(single).to_bits() == self.to_bits() {
            out.push(0xfa);
            out.extend_from_slice(&single.to_be_bytes());
        } else {
            out.push(0xfb);
            out.extend_from_slice(&self.to_be_bytes());
        }
    }

    /// Takes the bytes itself instead of by `minicbor`, which is the slower half of reading an observation.
    #[inline]
    fn read(decoder: &mut Decoder<'_>) -> Result<f64, DecodeError> {
        let rest = rest(decoder);
        let (number, len) = match rest {
            [0xf9, high, low, ..] => (from_half(u16::from_be_bytes([*high, *low])), 3),
            [0xfa, bytes @ ..] => (f64::from(f32::from_be_bytes(first(bytes)?)), 5),
            [0xfb, bytes @ ..] => (f64::from_be_bytes(first(bytes)?), 9),
            _ => return Err(malformed("not a float")),
        };
        decoder.set_position(decoder.position() + len);
        if number.is_finite() { Ok(number) } else { Err(malformed("a number that is not finite")) }
    }
}

fn first<const N: usize>(bytes: &[u8]) -> Result<[u8; N], DecodeError> {
    bytes.first_chunk().copied().ok_or_else(|| malformed("a float that is cut short"))
}

impl Value for f32 {
    fn write(&self, out: &mut Vec<u8>) {
        f64::from(*self).write(out);
    }

    #[expect(clippy::cast_possible_truncation, reason = "what does not fit is refused")]
    fn read(decoder: &mut Decoder<'_>) -> Result<f32, DecodeError> {
        let number = f64::read(decoder)?;
        let single = number as f32;
        if f64::from(single) == number {
            Ok(single)
        } else {
            Err(malformed("more digits than a single float"))
        }
    }
}

const MANTISSA_BITS: i32 = 52;
const HALF_MANTISSA_BITS: i32 = 10;
const HALF_MIN_EXPONENT: i32 = -14;
const HALF_MAX_EXPONENT: i32 = 15;
/// 2⁻²⁴, the least subnormal.
const HALF_LEAST: f64 = 1.0 / 16_777_216.0;

/// The bits of the binary16 that is exactly `number`, if there is one.
#[inline]
fn half(number: f64) -> Option<u16> {
    let bits = number.to_bits();
    let sign = ((bits >> 48) & 0x8000) as u16;
    let exponent = ((bits >> MANTISSA_BITS) & 0x7ff) as i32 - 1023;
    let mantissa = bits & ((1 << MANTISSA_BITS) - 1);
    if bits << 1 == 0 {
        return Some(sign);
    }
    if !(HALF_MIN_EXPONENT - HALF_MANTISSA_BITS..=HALF_MAX_EXPONENT).contains(&exponent) {
        return None;
    }
    let (head, mantissa, dropped) = if exponent >= HALF_MIN_EXPONENT {
        (((exponent + 15) as u16) << HALF_MANTISSA_BITS, mantissa, MANTISSA_BITS - HALF_MANTISSA_BITS)
    } else {
        let subnormal = mantissa | 1 << MANTISSA_BITS;
        (0, subnormal, MANTISSA_BITS - HALF_MANTISSA_BITS + HALF_MIN_EXPONENT - exponent)
    };
    let is_exact = mantissa & ((1 << dropped) - 1) == 0;
    is_exact.then_some(sign | head | (mantissa >> dropped) as u16)
}

/// What these bits are as a binary16.
#[inline]
fn from_half(bits: u16) -> f64 {
    let exponent = u64::from(bits >> HALF_MANTISSA_BITS & 0x1f);
    let mantissa = u64::from(bits & 0x3ff);
    let magnitude = match exponent {
        0 => mantissa as f64 * HALF_LEAST,
        0x1f => f64::INFINITY,
        _ => f64::from_bits(
            (exponent + 1023 - 15) << MANTISSA_BITS | mantissa << (MANTISSA_BITS - HALF_MANTISSA_BITS),
        ),
    };
    if bits & 0x8000 == 0 { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(number: f64) -> Vec<u8> {
        let mut out = Vec::new();
        number.write(&mut out);
        out
    }

    /// Every binary16 there is, beside an independent reader.
    #[test]
    fn every_finite_half_takes_three_bytes() {
        for bits in 0..=u16::MAX {
            let bytes = [0xf9, bits.to_be_bytes()[0], bits.to_be_bytes()[1]];
            let number: f64 = ciborium::from_reader(bytes.as_slice()).expect("a half");
            let read = f64::read(&mut Decoder::new(&bytes));
            if number.is_finite() {
                assert_eq!(written(number), bytes, "{number}");
                assert_eq!(read.map(f64::to_bits), Ok(number.to_bits()));
            } else {
                assert!(read.is_err());
            }
        }
    }

    /// RFC 8949, appendix A.
    #[test]
    fn others_take_what_they_need() {
        assert_eq!(written(100_000.0), [0xfa, 0x47, 0xc3, 0x50, 0x00]);
        assert_eq!(written(1.1), [0xfb, 0x3f, 0xf1, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a]);
        assert_eq!(written(65_504.0), [0xf9, 0x7b, 0xff]);
        assert_eq!(written(65_520.0).len(), 5);
        assert_eq!(written(5.960_464_477_539_063e-8), [0xf9, 0x00, 0x01]);
        assert_eq!(written(5.960_464_477_539_063e-8 / 2.0).len(), 5);
        assert_eq!(written(f64::MIN_POSITIVE).len(), 9);
        assert_eq!(written(5e-324).len(), 9);
    }
}
