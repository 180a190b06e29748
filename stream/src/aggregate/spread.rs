//! The sum of squares, exactly, so that a deviation keeps its digits however far from zero the values are.

use minicbor::{Decode, Encode};
use records::ExactSum;

/// Values beyond this have no square that can be summed; nor have they a deviation then.
const MOST: f64 = f64::from_bits((1023 + 460) << 52);

/// Squares of values.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub(super) struct Spread {
    #[n(0)]
    squares: ExactSum,
    /// A value was too great.
    #[n(1)]
    is_beyond: bool,
}

impl Spread {
    pub(super) fn add(&mut self, value: f64) {
        if value.abs() > MOST {
            self.is_beyond = true;
            return;
        }
        let (square, rest) = square(value);
        self.squares.add(square);
        self.squares.add(rest);
    }

    pub(super) fn merge(&mut self, other: &Spread) {
        self.squares.merge(&other.squares);
        self.is_beyond |= other.is_beyond;
    }

    /// `sqrt((n·Σx² − (Σx)²) / (n·(n − 1)))`, the difference in twice the digits of a double.
    pub(super) fn deviation(&self, sum: &ExactSum, count: u32) -> Option<f64> {
        if count < 2 || self.is_beyond {
            return None;
        }
        let count = f64::from(count);
        let mut difference = ExactSum::default();
        for part in self.squares.digits() {
            let (high, low) = product(part, count);
            difference.add(high);
            difference.add(low);
        }
        let [high, low] = sum.digits();
        for (a, b) in [(high, high), (high, low), (low, high), (low, low)] {
            let (high, low) = product(-a, b);
            difference.add(high);
            difference.add(low);
        }
        Some((difference.round().max(0.0) / (count * (count - 1.0))).sqrt())
    }
}

fn square(value: f64) -> (f64, f64) {
    product(value, value)
}

/// A product and what rounding took away.
pub(super) fn product(a: f64, b: f64) -> (f64, f64) {
    let high = a * b;
    (high, a.mul_add(b, -high))
}
