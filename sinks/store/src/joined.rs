//! Several curves at once, each of one series or of several: what an area or a family measured, per span of event
//! time.

use crate::StoreError;
use crate::bucket::{Bucket, Buckets, Summary, is_usable, width_for};
use crate::point::RawPoint;
use crate::reading::ReadError;
use crate::store::Store;
use crate::view::{Scope, View};
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
    /// Values that quantiles of all curves may be made from, at most: they are all in memory.
    pub most_values: usize,
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

/// Series that are read at once.
const AT_ONCE: usize = 1_000;

impl Store {
    /// For each of `curves`, the raw values of all its series (subject, quantity) together, per span; empty spans are
    /// left out.
    ///
    /// Files are read once for a thousand series, so one question for many curves costs far less than many for one.
    ///
    /// # Errors
    /// [`StoreError::TooManyRows`] when there are more spans than an answer may have, or more values than quantiles
    /// can be made from; [`StoreError::Stopped`]: see [`Store::asked_while`].
    pub fn joined(
        &self,
        curves: &[&[(Name, Name)]],
        spans: Spans<'_>,
    ) -> Result<Vec<Vec<Joined>>, StoreError> {
        let mut all = Vec::new();
        all.resize_with(curves.len(), Gathered::default);
        let mut room = spans.most_values;
        for series in members(curves).chunks(AT_ONCE) {
            let scope = Scope { series, from: spans.from, to: spans.to, go_on: self.go_on() };
            let found = self.answer_of(&scope, |view| self.gather(view, spans, curves.len(), room))?;
            for (one, found) in all.iter_mut().zip(found) {
                room -= found.count;
                one.join(found);
            }
        }
        Ok(all.into_iter().map(|one| one.finish(spans.quantiles)).collect())
    }

    fn gather(
        &self,
        view: &View<'_, RawPoint>,
        spans: Spans<'_>,
        places: usize,
        mut room: usize,
    ) -> Result<Vec<Gathered>, ReadError> {
        let empty = || Buckets::new(spans.width, spans.offset, self.options().answer_rows);
        let mut buckets: Vec<Buckets> = std::iter::repeat_with(empty).take(places).collect();
        let mut gathered = Vec::new();
        gathered.resize_with(places, Gathered::default);
        if spans.quantiles.is_empty() {
            view.gather(&mut buckets)?;
        } else {
            view.gather_values(&mut buckets, |place, point, start| {
                if !is_usable(point.flag) {
                    return Ok(());
                }
                room = room.checked_sub(1).ok_or(StoreError::TooManyRows { limit: spans.most_values })?;
                let one: &mut Gathered = &mut gathered[place];
                one.count += 1;
                one.values.entry(start).or_default().push(point.value);
                Ok(())
            })?;
        }
        for (one, buckets) in gathered.iter_mut().zip(buckets) {
            one.summaries = buckets.into_summaries()?;
        }
        Ok(gathered)
    }
}

/// All series, each with the number of its curve.
fn members<'a>(curves: &[&'a [(Name, Name)]]) -> Vec<(&'a str, &'a str, usize)> {
    let mut members = Vec::new();
    for (number, curve) in curves.iter().enumerate() {
        members.extend(curve.iter().map(|(subject, quantity)| (subject.as_str(), quantity.as_str(), number)));
    }
    members
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
