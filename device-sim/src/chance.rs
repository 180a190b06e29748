//! Chance without state: a value is a function of seed and place, so that any stretch of time can be asked for
//! in any order, by any task, and comes out the same.

/// A stream of chance; its children are independent of it and of each other.
#[derive(Clone, Copy, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The root of a seed.
    pub const fn new(seed: u64) -> Chance {
        Chance(mix(seed ^ 0x5157_c3a1_0f2d_77e9))
    }

    /// An independent stream, by number.
    pub const fn child(self, tag: u64) -> Chance {
        Chance(mix(self.0 ^ mix(tag)))
    }

    /// An independent stream, by name.
    pub fn named(self, name: &str) -> Chance {
        self.child(name.bytes().fold(name.len() as u64, |hash, byte| mix(hash ^ u64::from(byte))))
    }

    /// The `n`-th number of the stream, even over all of `u64`.
    pub const fn bits(self, n: i64) -> u64 {
        mix(self.0 ^ mix(n as u64))
    }

    /// The `n`-th number, even over `[0, 1)`.
    pub fn unit(self, n: i64) -> f64 {
        (self.bits(n) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The `n`-th number, even over `[low, high)`.
    pub fn between(self, n: i64, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit(n)
    }

    /// The `n`-th choice among `0..count`; 0 when there is nothing to choose from.
    pub fn pick(self, n: i64, count: usize) -> usize {
        (self.unit(n) * count as f64) as usize
    }

    /// The `n`-th number, near normal: mean 0, deviation 1, never beyond ±3.5.
    pub fn normal(self, n: i64) -> f64 {
        let bits = self.bits(n);
        let sum: u64 = (0..4).map(|part| bits >> (16 * part) & 0xffff).sum();
        (sum as f64 / 65_536.0 - 2.0) * 3.0_f64.sqrt()
    }

    /// A smooth curve through normal numbers, one each `period` milliseconds.
    pub fn smooth(self, time: i64, period: i64) -> f64 {
        let (knot, part) = (time.div_euclid(period), time.rem_euclid(period) as f64 / period as f64);
        let weight = part * part * (3.0 - 2.0 * part);
        self.normal(knot) * (1.0 - weight) + self.normal(knot + 1) * weight
    }

    /// What instruments see: slow weather, faster gusts, and a little of each minute.
    pub fn texture(self, time: i64) -> f64 {
        0.75 * self.child(1).smooth(time, 9 * HOUR)
            + 0.5 * self.child(2).smooth(time, 2 * HOUR)
            + 0.3 * self.child(3).smooth(time, 15 * MINUTE)
            + 0.15 * self.child(4).normal(time)
    }
}

/// Milliseconds.
pub const SECOND: i64 = 1_000;
/// Milliseconds.
pub const MINUTE: i64 = 60 * SECOND;
/// Milliseconds.
pub const HOUR: i64 = 60 * MINUTE;

/// The finalizer of SplitMix64: each bit of the input turns half of the output's.
const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_even_and_normal() {
        let chance = Chance::new(7).named("test");
        let n = 20_000;
        let mean = |f: &dyn Fn(i64) -> f64| (0..n).map(f).sum::<f64>() / n as f64;
        assert!((mean(&|i| chance.unit(i)) - 0.5).abs() < 0.01);
        assert!(mean(&|i| chance.normal(i)).abs() < 0.03);
        assert!((mean(&|i| chance.normal(i).powi(2)) - 1.0).abs() < 0.05);
        assert!((0..n).all(|i| (0..7).contains(&chance.pick(i, 7))));
    }

    #[test]
    fn streams_are_independent() {
        let (a, b) = (Chance::new(1).child(1), Chance::new(1).child(2));
        let product = (0..20_000).map(|n| a.normal(n) * b.normal(n)).sum::<f64>() / 20_000.0;
        assert!(product.abs() < 0.03, "{product}");
    }

    #[test]
    fn smooth_has_no_jumps() {
        let chance = Chance::new(3);
        for time in 0..10_000 {
            assert!((chance.smooth(time + 1, 1_000) - chance.smooth(time, 1_000)).abs() < 0.02);
        }
    }
}
