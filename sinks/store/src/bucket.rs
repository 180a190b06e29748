//! Values of one series by spans of event time.

use crate::StoreError;
use records::{ExactSum, Flag, Quality, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;

/// The values of a series in one span of event time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// First instant inside.
    pub start: Timestamp,
    /// Values that are not missing.
    pub count: u64,
    /// Of these, the usable ones, over which the statistics are.
    pub good: u64,
    /// Smallest usable value; NaN when there is none, as with the next two.
    pub min: f64,
    /// Mean of the usable values: their exact sum, rounded, by their number. NaN too when one of them is beyond
    /// 2⁹⁶⁰.
    pub mean: f64,
    /// Greatest usable value.
    pub max: f64,
}

/// A running summary. What it holds depends on the values alone, not on their order nor on how they were split over
/// files and roll-ups.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    pub count: u64,
    pub good: u64,
    pub sum: ExactSum,
    /// A value was too large to be summed.
    pub is_beyond: bool,
    pub min: f64,
    pub max: f64,
}

impl Default for Summary {
    fn default() -> Summary {
        let (min, max) = (f64::INFINITY, f64::NEG_INFINITY);
        Summary { count: 0, good: 0, sum: ExactSum::default(), is_beyond: false, min, max }
    }
}

impl Summary {
    pub fn add(&mut self, value: f64, flag: Flag) {
        self.count += u64::from(flag != Flag::Missing);
        if !is_usable(flag) {
            return;
        }
        self.good += 1;
        self.add_to_sum(value);
        self.reach(value, value);
    }

    pub fn add_to_sum(&mut self, part: f64) {
        if part.abs() <= ExactSum::MOST {
            self.sum.add(part);
        } else {
            self.is_beyond = true;
        }
    }

    pub fn join(&mut self, other: &Summary) {
        self.count += other.count;
        self.good += other.good;
        self.sum.merge(&other.sum);
        self.is_beyond |= other.is_beyond;
        self.reach(other.min, other.max);
    }

    /// In the total order of doubles, which knows −0 from 0.
    pub fn reach(&mut self, min: f64, max: f64) {
        self.min = if min.total_cmp(&self.min).is_lt() { min } else { self.min };
        self.max = if max.total_cmp(&self.max).is_gt() { max } else { self.max };
    }

    pub fn bucket(&self, start: i64) -> Bucket {
        let has_good = self.good > 0;
        let mean = if self.is_beyond { f64::NAN } else { self.sum.round() / self.good as f64 };
        Bucket {
            start: Timestamp(start),
            count: self.count,
            good: self.good,
            min: if has_good { self.min } else { f64::NAN },
            mean: if has_good { mean } else { f64::NAN },
            max: if has_good { self.max } else { f64::NAN },
        }
    }
}

/// Whether a value of that flag enters statistics.
pub(crate) fn is_usable(flag: Flag) -> bool {
    Quality { flag, tests: 0 }.is_usable()
}

/// Gathers values into buckets that begin at `offset + k × width`.
pub(crate) struct Buckets {
    width: i64,
    offset: i64,
    limit: usize,
    /// The bucket that values fall into now: they come nearly sorted.
    current: (i64, Summary),
    done: BTreeMap<i64, Summary>,
}

impl Buckets {
    /// At most `limit` buckets; a width or offset of less than a millisecond counts as one or none.
    pub fn new(width: Duration, offset: Duration, limit: usize) -> Buckets {
        let width = i64::try_from(width.as_millis()).unwrap_or(i64::MAX).max(1);
        let offset = i64::try_from(offset.as_millis() % width.unsigned_abs() as u128).unwrap_or(0);
        Buckets { width, offset, limit, current: (i64::MIN, Summary::default()), done: BTreeMap::new() }
    }

    pub fn add(&mut self, at: i64, value: f64, flag: Flag) -> Result<(), StoreError> {
        self.join(at, |summary| summary.add(value, flag))
    }

    /// Adds what was gathered before, in a span that begins at `at` and ends in the same bucket.
    pub fn join(&mut self, at: i64, add: impl FnOnce(&mut Summary)) -> Result<(), StoreError> {
        let start = self.start_of(at);
        if start != self.current.0 {
            self.turn_to(start)?;
        }
        add(&mut self.current.1);
        Ok(())
    }

    /// Whether spans of `width` that begin at its multiples never lie in two buckets.
    pub fn takes(&self, width: i64) -> bool {
        self.width % width == 0 && self.offset % width == 0
    }

    /// Where the bucket that a time falls into begins.
    pub fn start_of(&self, at: i64) -> i64 {
        (at - self.offset).div_euclid(self.width) * self.width + self.offset
    }

    /// What the buckets hold, by where they begin.
    pub fn into_summaries(mut self) -> Result<BTreeMap<i64, Summary>, StoreError> {
        self.turn_to(i64::MIN)?;
        Ok(self.done)
    }

    /// The buckets that hold anything, by time.
    pub fn finish(self) -> Result<Vec<Bucket>, StoreError> {
        Ok(self.into_summaries()?.iter().map(|(start, summary)| summary.bucket(*start)).collect())
    }

    fn turn_to(&mut self, start: i64) -> Result<(), StoreError> {
        let (was, summary) = std::mem::replace(&mut self.current, (start, Summary::default()));
        if was != i64::MIN {
            self.done.entry(was).or_default().join(&summary);
        }
        if self.done.len() > self.limit {
            return Err(StoreError::TooManyRows { limit: self.limit });
        }
        Ok(())
    }
}

/// Widths a person would choose, milliseconds.
const WIDTHS: [i64; 36] = [
    1,
    2,
    5,
    10,
    20,
    50,
    100,
    200,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    15_000,
    30_000,
    60_000,
    120_000,
    300_000,
    600_000,
    900_000,
    1_800_000,
    3_600_000,
    7_200_000,
    10_800_000,
    21_600_000,
    43_200_000,
    86_400_000,
    172_800_000,
    604_800_000,
    1_209_600_000,
    2_592_000_000,
    7_776_000_000,
    31_536_000_000,
    157_680_000_000,
    1_576_800_000_000,
    315_360_000_000_000,
];

/// The smallest of the usual widths with which `[first, last]` falls into at most `buckets` buckets.
pub(crate) fn width_for(first: i64, last: i64, buckets: usize) -> Duration {
    let buckets = i64::try_from(buckets.max(1)).unwrap_or(i64::MAX);
    let fits = |width: i64| last.div_euclid(width) - first.div_euclid(width) < buckets;
    let width = WIDTHS.into_iter().find(|width| fits(*width)).unwrap_or(i64::MAX);
    Duration::from_millis(width.unsigned_abs())
}
