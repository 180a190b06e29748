//! Several series as one: what an area or a family measured, per span of event time.

use crate::StoreError;
use crate::bucket::{Bucket, Buckets, Summary, is_usable, width_for};
use crate::point::RawPoint;
use crate::reading::ReadError;
use crate::store::Store;
use crate::view::View;
use records::{Name, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;

/// Which spans to gather values in, and what to make of them.
#[derive(Clone, Copy)]
pub struct Spans<'a> {
    /// First instant of event time.
    pub from: Timestamp,
    /// The instant behind the last.
    pub to: Timestamp,
    /// Width of a span.
    pub width: Duration,
    /// Spans begin at `offset + k × width` since the epoch.
    pub offset: Duration,
    /// Quantiles to tell, 0…1.
    pub quantiles: &'a [f64],
    /// Values that quantiles may be made from, at most: they are all in memory.
    pub most_values: usize,
    /// Asked before each series; with `false` the answer is not wanted any more.
    pub go_on: &'a dyn Fn() -> bool,
}

/// What several series held in one span.
#[derive(Clone, Debug, PartialEq)]
pub struct Joined {
    /// Count, min, mean, max.
    pub bucket: Bucket,
    /// The quantiles that were asked for, of the usable values, by linear interpolation between neighbours (type 7
    /// of Hyndman and Fan, 1996); NaN when there is none, or when some of them are gone because of their age.
    pub quantiles: Vec<f64>,
}

/// The smallest of the usual widths with which `[from, to)` falls into at most `spans` spans.
pub fn usual_width(from: Timestamp, to: Timestamp, spans: usize) -> Duration {
    width_for(from.millis(), to.millis().saturating_sub(1), spans)
}

impl Store {
    /// The raw values of all `series` (subject, quantity) together, per span; empty spans are left out.
    ///
    /// # Errors
    /// [`StoreError::TooManyRows`] when there are more spans than an answer may have, or more values than quantiles
    /// can be made from; [`StoreError::Stopped`] when it is to go on no more.
    pub fn joined(&self, series: &[(Name, Name)], spans: Spans<'_>) -> Result<Vec<Joined>, StoreError> {
        let mut all = Gathered::default();
        for (subject, quantity) in series {
            if !(spans.go_on)() {
                return Err(StoreError::Stopped);
            }
            let room = spans.most_values - all.count;
            let one = self.answer(subject, quantity, spans.from, spans.to, |view: &View<RawPoint>| {
                self.gather(view, spans, room)
            })?;
            all.join(one);
        }
        Ok(all.finish(spans.quantiles))
    }

    fn gather(&self, view: &View<RawPoint>, spans: Spans<'_>, room: usize) -> Result<Gathered, ReadError> {
        let mut buckets = Buckets::new(spans.width, spans.offset, self.options().answer_rows);
        let mut gathered = Gathered::default();
        if spans.quantiles.is_empty() {
            view.gather(&mut buckets)?;
        } else {
            view.gather_values(&mut buckets, |point, start| {
                if !is_usable(point.flag) {
                    return Ok(());
                }
                if gathered.count == room {
                    return Err(StoreError::TooManyRows { limit: spans.most_values });
                }
                gathered.count += 1;
                gathered.values.entry(start).or_default().push(point.value);
                Ok(())
            })?;
        }
        gathered.summaries = buckets.into_summaries()?;
        Ok(gathered)
    }
}

/// What was gathered so far, by the start of the span.
#[derive(Default)]
struct Gathered {
    summaries: BTreeMap<i64, Summary>,
    values: BTreeMap<i64, Vec<f64>>,
    count: usize,
}

impl Gathered {
    fn join(&mut self, other: Gathered) {
        for (start, summary) in other.summaries {
            self.summaries.entry(start).or_default().join(&summary);
        }
        for (start, values) in other.values {
            self.values.entry(start).or_default().extend(values);
        }
        self.count += other.count;
    }

    fn finish(mut self, quantiles: &[f64]) -> Vec<Joined> {
        let joined = |(start, summary): (&i64, &Summary)| {
            let mut values = self.values.remove(start).unwrap_or_default();
            if values.len() as u64 != summary.good {
                // Some are known by a roll-up only, and quantiles of the others would be of something else.
                values.clear();
            }
            values.sort_unstable_by(f64::total_cmp);
            let quantiles = quantiles.iter().map(|quantile| quantile_of(&values, *quantile)).collect();
            Joined { bucket: summary.bucket(*start), quantiles }
        };
        self.summaries.iter().map(joined).collect()
    }
}

fn quantile_of(sorted: &[f64], quantile: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = quantile.clamp(0.0, 1.0) * last as f64;
    let (below, part) = (place.floor(), place.fract());
    let below = below as usize;
    let above = (below + 1).min(last);
    sorted[below] + part * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_neighbours() {
        let check = |quantile, expected: f64| {
            assert_eq!(quantile_of(&[10.0, 20.0, 30.0, 40.0], quantile), expected, "{quantile}");
        };
        check(0.0, 10.0);
        check(0.5, 25.0);
        check(1.0, 40.0);
        check(0.25, 17.5);
        assert_eq!(quantile_of(&[7.0], 0.95), 7.0);
        assert!(quantile_of(&[], 0.5).is_nan());
    }
}
