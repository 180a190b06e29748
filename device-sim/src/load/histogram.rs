//! Durations counted in buckets whose width grows with them: exact to a thirty-second.

use std::time::Duration;

/// Counts of durations.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Vec<u64>,
}

/// Buckets between two powers of two.
const FINE: u32 = 5;
const BUCKETS: usize = (64 - FINE as usize + 1) << FINE;

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { counts: vec![0; BUCKETS] }
    }
}

impl Histogram {
    /// Counts a duration.
    pub fn record(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get_mut(bucket(nanos)) {
            *count += 1;
        }
    }

    /// Counts what another has counted.
    pub fn add(&mut self, other: &Histogram) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }

    /// The duration below or at which that share of all lies; zero when there is none.
    pub fn quantile(&self, share: f64) -> Duration {
        let total: u64 = self.counts.iter().sum();
        let wanted = (share * total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        let place = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        Duration::from_nanos(place.map_or(0, upper))
    }
}

fn bucket(nanos: u64) -> usize {
    let shift = (64 - FINE).saturating_sub(nanos.leading_zeros() + 1);
    (((shift as usize) << FINE) + (nanos >> shift) as usize).min(BUCKETS - 1)
}

/// The greatest value of a bucket.
fn upper(bucket: usize) -> u64 {
    let shift = (bucket >> FINE).saturating_sub(1) as u32;
    let base = bucket as u64 - (u64::from(shift) << FINE);
    ((base + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_in_order_and_narrow() {
        for nanos in (0..200_000).chain((0..58).map(|power| (1 << power) + 12_345)) {
            let top = upper(bucket(nanos));
            assert!(top >= nanos && (top - nanos) as f64 <= nanos as f64 / 32.0 + 1.0, "{nanos} → {top}");
            assert!(bucket(nanos + 1) >= bucket(nanos));
        }
    }

    #[test]
    fn quantiles() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), Duration::ZERO);
        for micros in 1..=1_000 {
            histogram.record(Duration::from_micros(micros));
        }
        for (share, micros) in [(0.5, 500.0), (0.99, 990.0), (0.999, 999.0), (1.0, 1_000.0)] {
            let found = histogram.quantile(share).as_secs_f64() * 1e6;
            assert!((found / micros - 1.0).abs() < 0.04, "{share}: {found}");
        }
    }
}
