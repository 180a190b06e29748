//! The neighbour test of QARTOD, window by window: a device whose statistic is far from that of the others of its area is
//! suspect there.

use super::fields::Fields;
use super::job::Output;
use crate::aggregate::Accumulator;
use records::Name;

/// `neighbours` of a `[[job]]` about areas.
#[derive(Clone, Debug, PartialEq)]
pub struct NeighbourTest {
    /// What is compared, and under which name the difference is told.
    pub of: Output,
    /// A device that differs from the median of the others by more than this, either way, is suspect.
    differs_by: f64,
    /// Fewer others with a value say nothing.
    at_least: u32,
}

/// What the test says of one device.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Which device.
    pub device: Name,
    /// Its readings in the window, and how many of them were usable.
    pub counts: (u32, u32),
    /// Its value less the median of the others'; `None` when one of both is not known.
    pub value: Option<f64>,
}

impl NeighbourTest {
    /// Reads the table, whose `of` has been compiled by `compile`.
    pub(super) fn read(
        mut fields: Fields<'_>,
        compile: impl FnOnce(&mut Fields<'_>) -> Option<Output>,
    ) -> Option<NeighbourTest> {
        let of = compile(&mut fields);
        let (differs_by, at_least) = (fields.number("differs_by"), fields.whole("at_least", 2));
        if differs_by <= 0.0 {
            fields.problem("differs_by", "must be more than 0");
        }
        fields.finish();
        Some(NeighbourTest { of: of?, differs_by, at_least })
    }

    /// Compares each device with the others, by name.
    pub fn differences(&self, parts: &[(Name, Vec<Accumulator>)]) -> Vec<Difference> {
        let known: Vec<_> = parts.iter().map(|(_, values)| self.of.known(values)).collect();
        let value = |(_, good, value): &(u32, u32, Option<f64>)| value.filter(|_| *good > 0);
        let mut sorted: Vec<f64> = known.iter().filter_map(value).collect();
        sorted.sort_by(f64::total_cmp);
        let differences = parts.iter().zip(&known).map(|((device, _), known)| {
            let value = value(known).filter(|_| sorted.len() > self.at_least as usize);
            let value = value.map(|value| value - median_without(&sorted, value));
            Difference { device: device.clone(), counts: (known.0, known.1), value }
        });
        differences.collect()
    }

    /// Whether a device is suspect.
    pub fn is_suspect(&self, difference: &Difference) -> bool {
        difference.value.is_some_and(|value| value.abs() > self.differs_by)
    }
}

/// The median of sorted values but for one of them.
fn median_without(sorted: &[f64], one: f64) -> f64 {
    let place = sorted.partition_point(|value| value.total_cmp(&one).is_lt());
    let other = |index: usize| sorted[index + usize::from(index >= place)];
    let (below, above) = ((sorted.len() - 2) / 2, (sorted.len() - 1) / 2);
    other(below) / 2.0 + other(above) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_median_of_the_others(values in prop::collection::vec(-50..50i32, 2..40), place: prop::sample::Index) {
            let place = place.index(values.len());
            let mut sorted: Vec<f64> = values.iter().map(|value| f64::from(*value)).collect();
            sorted.sort_by(f64::total_cmp);
            let mut others = values.clone();
            others.remove(place);
            others.sort_unstable();
            let (half, is_even) = (others.len() / 2, others.len().is_multiple_of(2));
            let expected = if is_even { f64::from(others[half - 1] + others[half]) / 2.0 } else { f64::from(others[half]) };
            prop_assert_eq!(median_without(&sorted, f64::from(values[place])), expected);
        }
    }
}
