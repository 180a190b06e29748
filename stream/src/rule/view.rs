//! What a rule looks at: the values themselves, how fast they change, or whether enough of the last ones agree.

use super::threshold::Direction;
use minicbor::{Decode, Encode};
use records::{Timestamp, Window};
use std::collections::VecDeque;
use std::time::Duration;

/// How a rule makes one value of those that it is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ViewRule {
    /// The change per minute since the value before, instead of the value.
    pub is_rate: bool,
    /// Of so many values at least so many must reach a level: `(n, m)`.
    pub n_of_m: Option<(u32, u32)>,
}

/// What a view remembers: at most m values and the one before. In order of event time.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct View {
    /// End of the span and value shown last.
    #[n(0)]
    before: Option<(i64, f64)>,
    /// The last m, oldest first.
    #[n(1)]
    last: VecDeque<f64>,
}

/// What a rule sees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sight {
    /// A value to be judged.
    Value(f64),
    /// Too few values for the condition to hold, whatever they are.
    TooFew,
    /// Nothing can be said: there is no value before this one.
    Nothing,
}

impl ViewRule {
    /// Whether it shows the values as they are.
    pub fn is_plain(self) -> bool {
        self == ViewRule::default()
    }
}

impl View {
    /// Shows a value that holds during `span`. After a silence of more than `gap` everything begins anew.
    ///
    /// At least n of m values reach a threshold exactly when the n-th worst of them does, so that one is the value.
    pub fn look(
        &mut self,
        rule: ViewRule,
        direction: Direction,
        gap: Duration,
        span: Window,
        value: f64,
    ) -> Sight {
        let before = self.before.filter(|(end, _)| span.start.since(Timestamp(*end)) <= gap);
        if before.is_none() {
            self.last.clear();
        }
        if before.is_some_and(|(end, _)| span.end.0 <= end) {
            return Sight::Nothing;
        }
        self.before = Some((span.end.0, value));
        let value = match (rule.is_rate, before) {
            (false, _) => value,
            (true, Some((end, before))) => {
                (value - before) / (span.end.since(Timestamp(end)).as_secs_f64() / 60.0)
            }
            (true, None) => return Sight::Nothing,
        };
        match rule.n_of_m {
            None => Sight::Value(value),
            Some((n, m)) => self.nth_worst(n as usize, m as usize, direction, value),
        }
    }

    fn nth_worst(&mut self, n: usize, m: usize, direction: Direction, value: f64) -> Sight {
        self.last.push_back(value);
        if self.last.len() > m {
            self.last.pop_front();
        }
        let mut sorted: Vec<f64> = self.last.iter().copied().collect();
        sorted.sort_by(|a, b| match direction {
            Direction::Above => b.total_cmp(a),
            Direction::Below => a.total_cmp(b),
        });
        sorted.get(n - 1).map_or(Sight::TooFew, |value| Sight::Value(*value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: i64 = 60_000;

    fn run(rule: ViewRule, direction: Direction, values: &[(i64, f64)]) -> Vec<Sight> {
        let mut view = View::default();
        let look = |(minute, value): &(i64, f64)| {
            view = minicbor::decode(&minicbor::to_vec(&view).unwrap()).unwrap();
            let span = Window { start: Timestamp((minute - 1) * MINUTE), end: Timestamp(minute * MINUTE) };
            view.look(rule, direction, Duration::from_secs(300), span, *value)
        };
        values.iter().map(look).collect()
    }

    #[test]
    fn by_hand() {
        use Sight::*;
        let rate = ViewRule { is_rate: true, n_of_m: None };
        let values = [(1, 10.0), (2, 12.0), (4, 8.0), (4, 9.0), (20, 50.0), (21, 51.0)];
        let expected = [Nothing, Value(2.0), Value(-2.0), Nothing, Nothing, Value(1.0)];
        assert_eq!(run(rate, Direction::Above, &values), expected);
        let two_of_three = ViewRule { is_rate: false, n_of_m: Some((2, 3)) };
        let values = [(1, 5.0), (2, 1.0), (3, 6.0), (4, 1.0), (5, 1.0), (20, 9.0)];
        let expected = [TooFew, Value(1.0), Value(5.0), Value(1.0), Value(1.0), TooFew];
        assert_eq!(run(two_of_three, Direction::Above, &values), expected);
        let expected = [TooFew, Value(5.0), Value(5.0), Value(1.0), Value(1.0), TooFew];
        assert_eq!(run(two_of_three, Direction::Below, &values), expected);
    }

    proptest! {
        /// Beside counting.
        #[test]
        fn n_of_m_is_counting(values in prop::collection::vec(0..10i32, 1..30), n in 1..5u32, more in 0..5u32, limit in 0..10i32) {
            let m = n + more;
            let rule = ViewRule { is_rate: false, n_of_m: Some((n, m)) };
            let shown: Vec<(i64, f64)> = (1..).zip(values.iter().map(|value| f64::from(*value))).collect();
            for (direction, reaches) in [
                (Direction::Above, (|value, limit| value >= limit) as fn(i32, i32) -> bool),
                (Direction::Below, |value, limit| value <= limit),
            ] {
                for (index, sight) in run(rule, direction, &shown).into_iter().enumerate() {
                    let last = &values[(index + 1).saturating_sub(m as usize)..=index];
                    let is_reached = last.iter().filter(|value| reaches(**value, limit)).count() >= n as usize;
                    let found = matches!(sight, Sight::Value(value) if direction.reaches(value, f64::from(limit)));
                    prop_assert_eq!(found, is_reached);
                }
            }
        }
    }
}
