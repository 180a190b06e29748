//! Heads of CBOR items (RFC 8949, §3): major type and argument, as short as they can be.
//!
//! Written here instead of by `minicbor`, because nearly every byte of a record is a head, and a call and an
//! impossible error for each were a tenth of the time of the stage that writes most.

/// Major types, in their place of the first byte.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Major {
    Unsigned = 0 << 5,
    Negative = 1 << 5,
    Bytes = 2 << 5,
    Text = 3 << 5,
    Array = 4 << 5,
}

/// Writes the head of an item.
#[inline]
pub(super) fn write(major: Major, argument: u64, out: &mut Vec<u8>) {
    let major = major as u8;
    let bytes = argument.to_be_bytes();
    match argument {
        0..24 => out.push(major | bytes[7]),
        24..0x100 => out.extend_from_slice(&[major | 24, bytes[7]]),
        0x100..0x1_0000 => out.extend_from_slice(&[major | 25, bytes[6], bytes[7]]),
        0x1_0000..0x1_0000_0000 => {
            out.extend_from_slice(&[major | 26, bytes[4], bytes[5], bytes[6], bytes[7]]);
        }
        _ => {
            let [a, b, c, d, e, f, g, h] = bytes;
            out.extend_from_slice(&[major | 27, a, b, c, d, e, f, g, h]);
        }
    }
}

/// Writes an integer.
#[inline]
pub(super) fn write_integer(integer: i64, out: &mut Vec<u8>) {
    match integer {
        0.. => write(Major::Unsigned, integer.unsigned_abs(), out),
        _ => write(Major::Negative, !integer.cast_unsigned(), out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minicbor::Encoder;

    /// Beside `minicbor`, around every length that there is.
    #[test]
    fn is_as_short_as_it_can_be() {
        let edges = [0u64, 23, 24, 0xff, 0x100, 0xffff, 0x1_0000, 0xffff_ffff, 0x1_0000_0000, u64::MAX];
        for edge in edges.into_iter().flat_map(|edge| [edge.wrapping_sub(1), edge, edge.wrapping_add(1)]) {
            let expected = |write: &dyn Fn(&mut Encoder<&mut Vec<u8>>)| {
                let mut bytes = Vec::new();
                write(&mut Encoder::new(&mut bytes));
                bytes
            };
            let found = |major, argument| {
                let mut bytes = Vec::new();
                write(major, argument, &mut bytes);
                bytes
            };
            assert_eq!(found(Major::Unsigned, edge), expected(&|to| drop(to.u64(edge))));
            assert_eq!(found(Major::Array, edge), expected(&|to| drop(to.array(edge))));
            for integer in [edge.cast_signed(), !edge.cast_signed()] {
                let mut bytes = Vec::new();
                write_integer(integer, &mut bytes);
                assert_eq!(bytes, expected(&|to| drop(to.i64(integer))), "{integer}");
            }
        }
    }
}
