//! What can be asked of the values of a window.

use super::accumulator::{Accumulator, Wants};

/// A statistic. All but [`Function::Count`] and [`Function::GoodShare`] are over usable values alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// Readings that are not missing.
    Count,
    /// The exact sum, rounded once.
    Sum,
    /// The exact sum, rounded, over the number.
    Mean,
    /// The smallest.
    Min,
    /// The greatest.
    Max,
    /// The earliest by event time; of several at one time the smallest.
    First,
    /// The latest by event time; of several at one time the greatest.
    Last,
    /// Standard deviation of a sample (n − 1), from exact sums; needs two values.
    Deviation,
    /// Mean direction of angles in degrees, in [0, 360): the direction of the sum of unit vectors. None when they
    /// cancel, to less than 10⁻⁹ of their number.
    CircularMean,
    /// The value that so many thousandths of all are not above (nearest rank), within 0.8 % of it.
    Percentile(u16),
    /// Each value counts for as long as it stood: until the next one, or for as long as the job holds it.
    TimeWeightedMean,
    /// Usable readings over those that are not missing, 0 to 1.
    GoodShare,
}

const NAMED: [(&str, Function); 11] = [
    ("count", Function::Count),
    ("sum", Function::Sum),
    ("mean", Function::Mean),
    ("min", Function::Min),
    ("max", Function::Max),
    ("first", Function::First),
    ("last", Function::Last),
    ("stddev", Function::Deviation),
    ("circular_mean", Function::CircularMean),
    ("time_weighted_mean", Function::TimeWeightedMean),
    ("good_share", Function::GoodShare),
];

impl Function {
    /// The function of that name: `mean`, `stddev`, …, or `p95`, `p99_9` for percentiles.
    pub fn from_name(name: &str) -> Option<Function> {
        let named = NAMED.iter().find(|(known, _)| *known == name).map(|(_, function)| *function);
        named.or_else(|| percentile(name.strip_prefix('p')?).map(Function::Percentile))
    }

    /// Its name; `p` for all percentiles.
    pub fn name(self) -> &'static str {
        NAMED.iter().find(|(_, known)| *known == self).map_or("p", |(name, _)| name)
    }

    /// Every name, for whom made a mistake.
    pub fn names() -> String {
        let names: Vec<&str> = NAMED.iter().map(|(name, _)| *name).collect();
        format!("{}, p0_1 to p99_9", names.join(", "))
    }

    /// What must be kept of a window for it, beside the numbers that are always kept.
    pub fn wants(self) -> Wants {
        Wants {
            ends: matches!(self, Function::First | Function::Last),
            spread: self == Function::Deviation,
            circle: self == Function::CircularMean,
            sketch: matches!(self, Function::Percentile(_)),
            steps: self == Function::TimeWeightedMean,
        }
    }

    /// Its value; `None` when there is none.
    pub fn of(self, values: &Accumulator) -> Option<f64> {
        match self {
            Function::Count => Some(f64::from(values.count)),
            Function::GoodShare => {
                (values.count > 0).then(|| f64::from(values.good) / f64::from(values.count))
            }
            _ if values.good == 0 => None,
            Function::Sum => Some(values.sum.round()),
            Function::Mean => Some(values.sum.round() / f64::from(values.good)),
            Function::Min => Some(values.min),
            Function::Max => Some(values.max),
            Function::First => values.ends.as_ref().map(|ends| ends.first.1),
            Function::Last => values.ends.as_ref().map(|ends| ends.last.1),
            Function::Deviation => values.spread.as_ref()?.deviation(&values.sum, values.good),
            Function::CircularMean => values.circle.as_ref()?.mean(values.good),
            Function::TimeWeightedMean => values.held()?.mean(),
            Function::Percentile(permille) => {
                values.sketch.as_ref()?.at(permille).map(|value| value.clamp(values.min, values.max))
            }
        }
    }
}

/// Thousandths, from 1 to 999.
fn percentile(text: &str) -> Option<u16> {
    let (whole, tenth) = text.split_once('_').unwrap_or((text, "0"));
    let digits = |text: &str, most: usize| {
        (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !digits(whole, 2) || !digits(tenth, 1) {
        return None;
    }
    let permille = whole.parse::<u16>().ok()? * 10 + tenth.parse::<u16>().ok()?;
    (1..1000).contains(&permille).then_some(permille)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_a_name() {
        let check = |name: &str, expected: Option<Function>| {
            assert_eq!(Function::from_name(name), expected, "{name}")
        };
        check("mean", Some(Function::Mean));
        check("circular_mean", Some(Function::CircularMean));
        check("p50", Some(Function::Percentile(500)));
        check("p99_9", Some(Function::Percentile(999)));
        check("p5", Some(Function::Percentile(50)));
        for wrong in ["", "p", "p0", "p100", "p1_23", "p99.9", "p+5", "p-5", "pm", "median", "Mean", "p_5"] {
            check(wrong, None);
        }
    }
}
