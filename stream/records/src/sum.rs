//! Sums that are exact, so that neither the order of arrival nor merging shows in the last bit.

use minicbor::decode::Error as DecodeError;
use minicbor::encode::{Error as EncodeError, Write};
use minicbor::{Decode, Decoder, Encode, Encoder};

/// The exact sum of any numbers of magnitude up to [`ExactSum::MOST`], in any order.
///
/// Everyday values are added as whole multiples of 2⁻⁷⁰ in 128 bits. What is too small or too large for that goes
/// into partials, as Shewchuk describes (*Adaptive Precision Floating-Point Arithmetic*, 1997, grow-expansion);
/// where a value goes depends on the value alone. State is bounded: at most some 40 partials, usually none.
#[derive(Clone, Debug, Default, Encode, Decode)]
pub struct ExactSum {
    #[n(0)]
    fixed: Fixed,
    #[n(1)]
    odd: Option<Box<Partials>>,
}

/// 2⁻⁷⁰, the unit of the fixed part.
const UNIT: f64 = 1.0 / (1u128 << 70) as f64;
/// Biased exponent of a double whose last bit is worth one unit.
const UNIT_EXPONENT: i32 = 1075 - 70;
/// Values up to 2²⁴ are fixed: 2³² of them stay within 126 bits.
const MAX_SHIFT: i32 = 41;

impl ExactSum {
    /// 2⁹⁶⁰. Of values up to this, no number that fits a `u32` adds up to an infinity.
    pub const MOST: f64 = f64::from_bits((1023 + 960) << 52);

    /// Adds a finite value of magnitude up to [`ExactSum::MOST`].
    pub fn add(&mut self, value: f64) {
        let bits = value.to_bits();
        let shift = (bits >> 52 & 0x7ff) as i32 - UNIT_EXPONENT;
        if (0..=MAX_SHIFT).contains(&shift) {
            let mantissa = i128::from(bits & ((1 << 52) - 1) | 1 << 52) << shift;
            self.fixed.add(if value < 0.0 { -mantissa } else { mantissa });
        } else if value != 0.0 {
            self.odd.get_or_insert_default().add(value);
        }
    }

    /// Adds what another sum holds.
    pub fn merge(&mut self, other: &ExactSum) {
        self.fixed.add(other.fixed.get());
        for partial in other.odd.iter().flat_map(|odd| &odd.0) {
            self.odd.get_or_insert_default().add(*partial);
        }
    }

    /// The sum in twice the digits of a double: [`ExactSum::round`], and what that took away, rounded.
    pub fn digits(&self) -> [f64; 2] {
        let high = self.round();
        let mut rest = self.clone();
        rest.add(-high);
        [high, rest.round()]
    }

    /// The doubles whose exact sum it is: [`ExactSum::round`], then what that took away, rounded, and so on until
    /// nothing is left. The same sum gives the same parts, however it was reached; usually there are one or two.
    pub fn parts(&self) -> Vec<f64> {
        let (mut parts, mut rest) = (Vec::new(), self.clone());
        loop {
            let part = rest.round();
            if part == 0.0 {
                return parts;
            }
            rest.add(-part);
            parts.push(part);
        }
    }

    /// The double next to the exact sum; of two equally near ones the even. Never −0.
    pub fn round(&self) -> f64 {
        let fixed = self.fixed.get();
        let Some(odd) = &self.odd else { return fixed as f64 * UNIT };
        let mut partials = odd.clone();
        for place in 0..3 {
            let digit = (fixed.unsigned_abs() >> (48 * place)) as u64 & ((1 << 48) - 1);
            let piece = digit as f64 * f64::from_bits((1023 - 70 + 48 * place) << 52);
            partials.add(if fixed < 0 { -piece } else { piece });
        }
        partials.round()
    }
}

impl PartialEq for ExactSum {
    /// Of equal value, however it was reached.
    fn eq(&self, other: &ExactSum) -> bool {
        self.digits() == other.digits()
    }
}

/// Doubles that don't overlap, from the smallest to the greatest; their exact sum is the value.
#[derive(Clone, Debug, Default, Encode, Decode)]
struct Partials(#[n(0)] Vec<f64>);

impl Partials {
    fn add(&mut self, value: f64) {
        let mut high = value;
        let mut kept = 0;
        for index in 0..self.0.len() {
            let (sum, error) = two_sum(high, self.0[index]);
            if error != 0.0 {
                self.0[kept] = error;
                kept += 1;
            }
            high = sum;
        }
        self.0.truncate(kept);
        if high != 0.0 {
            self.0.push(high);
        }
    }

    /// Adds from the greatest down until something is lost; that alone decides how to round, except in the middle
    /// between two doubles, where the sign of the next smaller partial does.
    fn round(&self) -> f64 {
        let Some((greatest, mut rest)) = self.0.split_last() else { return 0.0 };
        let mut sum = *greatest;
        let mut lost = 0.0;
        while let Some((next, below)) = rest.split_last() {
            rest = below;
            (sum, lost) = two_sum(sum, *next);
            if lost != 0.0 {
                break;
            }
        }
        let is_pushed_on = rest.last().is_some_and(|below| (lost < 0.0) == (*below < 0.0)) && lost != 0.0;
        let farther = sum + lost * 2.0;
        // Twice the loss is added without a further loss exactly when the loss was half the distance.
        if is_pushed_on && farther - sum == lost * 2.0 { farther } else { sum }
    }
}

/// The rounded sum, and what rounding took away.
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let (large, small) = if a.abs() < b.abs() { (b, a) } else { (a, b) };
    let sum = large + small;
    (sum, small - (sum - large))
}

/// A whole number of 128 bits in two halves: an `i128` stands at multiples of 16 bytes, and whatever holds one is
/// larger for that.
#[derive(Clone, Copy, Debug, Default)]
struct Fixed {
    low: u64,
    high: i64,
}

impl Fixed {
    fn get(self) -> i128 {
        i128::from(self.high) << 64 | i128::from(self.low)
    }

    fn add(&mut self, number: i128) {
        let sum = self.get() + number;
        (self.low, self.high) = (sum as u64, (sum >> 64) as i64);
    }
}

impl<C> Encode<C> for Fixed {
    fn encode<W: Write>(&self, to: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        to.bytes(&self.get().to_be_bytes())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Fixed {
    fn decode(from: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        let bytes = from.bytes()?.try_into().map_err(|_| DecodeError::message("16 bytes make a number"))?;
        let mut fixed = Fixed::default();
        fixed.add(i128::from_be_bytes(bytes));
        Ok(fixed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(values: &[f64]) -> f64 {
        let mut sum = ExactSum::default();
        values.iter().for_each(|value| sum.add(*value));
        sum.round()
    }

    #[test]
    fn rounds_once() {
        let check = |values: &[f64], expected: f64| {
            assert_eq!(sum(values).to_bits(), expected.to_bits(), "{values:?}");
        };
        check(&[], 0.0);
        check(&[-0.0], 0.0);
        check(&[0.1; 10], 1.0);
        check(&[1e16, 1.0, -1e16], 1.0);
        check(&[1e100, 1.0, -1e100], 1.0);
        check(&[1e-300, 1e280, -1e280], 1e-300);
        check(&[1.0, 2f64.powi(-53)], 1.0);
        check(&[1.0, 2f64.powi(-53), 2f64.powi(-53)], 1.0 + 2f64.powi(-52));
        // In the middle, the smallest decides: even, up, down.
        check(&[1.0, 2f64.powi(-53), 2f64.powi(-200)], 1.0 + 2f64.powi(-52));
        check(&[1.0 + 2f64.powi(-52), 2f64.powi(-53), -2f64.powi(-200)], 1.0 + 2f64.powi(-52));
        check(&[1.0 + 2f64.powi(-52), 2f64.powi(-53)], 1.0 + 2f64.powi(-51));
        check(&[2f64.powi(80), 2f64.powi(27), 2f64.powi(-70)], 2f64.powi(80) + 2f64.powi(28));
        check(&[-2f64.powi(80), -2f64.powi(27), 2f64.powi(-70)], -2f64.powi(80));
        check(&[ExactSum::MOST, ExactSum::MOST, -ExactSum::MOST], ExactSum::MOST);
        check(&[f64::from_bits(1), f64::from_bits(1)], f64::from_bits(2));
    }

    /// Values on the grid of 2⁻¹⁰⁰⁰… down to everyday decimals, so that both parts are used.
    fn values() -> impl Strategy<Value = Vec<f64>> {
        let everyday = (-200_000..200_000i32).prop_map(|tenths| f64::from(tenths) / 10.0);
        let wide = (any::<i32>(), -900..900i32).prop_map(|(m, e)| f64::from(m) * 2f64.powi(e));
        proptest::collection::vec(prop_oneof![4 => everyday, 1 => wide], 0..80)
    }

    proptest! {
        #[test]
        fn any_order_and_any_split_give_the_same_bits(
            (values, shuffled) in values().prop_flat_map(|v| (Just(v.clone()), Just(v).prop_shuffle())),
            at in 0.0..1.0f64,
        ) {
            let expected = sum(&values).to_bits();
            prop_assert_eq!(sum(&shuffled).to_bits(), expected);
            let (front, back) = shuffled.split_at((at * shuffled.len() as f64) as usize);
            let mut merged = ExactSum::default();
            front.iter().for_each(|value| merged.add(*value));
            let mut other = ExactSum::default();
            back.iter().for_each(|value| other.add(*value));
            merged = minicbor::decode(&minicbor::to_vec(&merged).unwrap()).unwrap();
            merged.merge(&other);
            prop_assert_eq!(merged.round().to_bits(), expected);
            prop_assert!(merged.odd.is_none_or(|odd| odd.0.len() <= 41));
        }

        /// Against whole numbers: halves of integers below 2⁶² add up exactly in an `i128`.
        #[test]
        fn equals_integer_arithmetic(values in proptest::collection::vec((any::<i32>(), 0..60u32), 1..50)) {
            let exact: i128 = values.iter().map(|(m, e)| i128::from(*m) << e).sum();
            let doubles: Vec<f64> = values.iter().map(|(m, e)| f64::from(*m) * 2f64.powi(*e as i32)).collect();
            prop_assert_eq!(sum(&doubles), exact as f64);
        }

        #[test]
        fn parts_are_the_sum_and_the_same_however_it_was_reached(
            (values, shuffled) in values().prop_flat_map(|v| (Just(v.clone()), Just(v).prop_shuffle())),
        ) {
            let (mut one, mut other) = (ExactSum::default(), ExactSum::default());
            values.iter().for_each(|value| one.add(*value));
            shuffled.iter().for_each(|value| other.add(*value));
            prop_assert_eq!(one.parts(), other.parts());
            prop_assert!(one.parts().iter().is_sorted_by(|a, b| a.abs() > b.abs()));
            one.parts().iter().for_each(|part| other.add(-part));
            prop_assert_eq!(other.parts(), Vec::<f64>::new());
        }

        /// A sum that cancels leaves exactly what is over.
        #[test]
        fn what_cancels_is_gone(values in values(), rest in -1e9..1e9f64) {
            let mut all = values.clone();
            all.extend(values.iter().map(|value| -value));
            all.push(rest);
            prop_assert_eq!(sum(&all), rest);
        }
    }
}
