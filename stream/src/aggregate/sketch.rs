//! How values are distributed, in buckets that grow with the value: percentiles with a stated relative error.
//!
//! As DDSketch (Masson, Rim, Lee, VLDB 2019), with the bucket taken from the bits of the double: no logarithm, so the
//! same on every machine.

use minicbor::{Decode, Encode};

/// Bits of the mantissa that tell buckets apart: 64 buckets for each doubling, so that the middle of a bucket is
/// within 1/128 (0.8 %) of all its values.
const FINENESS: u32 = 6;
/// Most buckets: 16 doublings. Beyond them the lowest are joined, so it is the low percentiles that lose.
const MOST: usize = 1024;

/// A histogram. It depends on the values alone, not on their order, and merges.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Sketch(
    /// Number of the bucket, which rises with the value, and how many values are in it.
    #[n(0)]
    Vec<(i32, u32)>,
);

impl Sketch {
    /// Adds a finite value.
    pub fn add(&mut self, value: f64) {
        self.put(bucket(value), 1);
    }

    /// Adds what another holds.
    pub fn merge(&mut self, other: &Sketch) {
        other.0.iter().for_each(|(bucket, count)| self.put(*bucket, *count));
    }

    fn put(&mut self, bucket: i32, count: u32) {
        match self.0.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(index) => self.0[index].1 = self.0[index].1.saturating_add(count),
            // Below all that are kept: it would have been joined.
            Err(0) if self.0.len() == MOST => self.0[0].1 = self.0[0].1.saturating_add(count),
            Err(index) => {
                self.0.insert(index, (bucket, count));
                if self.0.len() > MOST {
                    let (_, lowest) = self.0.remove(0);
                    self.0[0].1 = self.0[0].1.saturating_add(lowest);
                }
            }
        }
    }

    /// The middle of the bucket of the value that so many thousandths of all are not above.
    pub fn at(&self, permille: u16) -> Option<f64> {
        let total: u64 = self.0.iter().map(|(_, count)| u64::from(*count)).sum();
        let rank = (total * u64::from(permille)).div_ceil(1000).max(1);
        let mut passed = 0;
        let found = self.0.iter().find(|(_, count)| {
            passed += u64::from(*count);
            passed >= rank
        });
        found.map(|(bucket, _)| middle(*bucket))
    }
}

/// From the bits of the magnitude, with the sign of the value.
fn bucket(value: f64) -> i32 {
    let magnitude = i32::try_from(value.abs().to_bits() >> (52 - FINENESS)).expect("17 bits");
    if value < 0.0 { -magnitude } else { magnitude }
}

fn middle(bucket: i32) -> f64 {
    let low = u64::from(bucket.unsigned_abs()) << (52 - FINENESS);
    let magnitude = if bucket == 0 { 0.0 } else { f64::from_bits(low | 1 << (51 - FINENESS)) };
    if bucket < 0 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_middle_is_near(value in any::<f64>().prop_filter("finite", |value| value.is_normal())) {
            let found = middle(bucket(value));
            prop_assert!((found - value).abs() <= value.abs() / 128.0, "{value} {found}");
        }

        #[test]
        fn stays_bounded_whatever_the_order(
            (values, shuffled) in proptest::collection::vec(any::<f64>().prop_filter("finite", |v| v.is_finite()), 1100..1500)
                .prop_flat_map(|v| (Just(v.clone()), Just(v).prop_shuffle())),
        ) {
            let of = |values: &[f64]| {
                let mut sketch = Sketch::default();
                values.iter().for_each(|value| sketch.add(*value));
                sketch
            };
            let (expected, mut found) = (of(&values), of(&shuffled[..700]));
            found.merge(&of(&shuffled[700..]));
            prop_assert_eq!(&found, &expected);
            prop_assert!(found.0.len() <= MOST);
        }
    }
}
