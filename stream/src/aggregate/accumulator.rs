//! What is kept of the values of one quantity in one window.

use super::circle::Circle;
use super::sketch::Sketch;
use super::spread::Spread;
use super::standing::{Held, Standing, Steps};
use minicbor::{Decode, Encode};
use records::ExactSum;
use records::{Flag, Quality, Timestamp};
use std::time::Duration;

/// The values so far, in any order.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Accumulator {
    /// Readings that are not missing.
    #[n(0)]
    pub count: u32,
    /// Usable ones; everything below is of these.
    #[n(1)]
    pub good: u32,
    /// Their sum.
    #[n(2)]
    pub sum: ExactSum,
    /// The smallest.
    #[n(3)]
    pub min: f64,
    /// The greatest.
    #[n(4)]
    pub max: f64,
    /// The first and the last.
    #[n(5)]
    pub ends: Option<Box<Ends>>,
    /// How they spread.
    #[n(6)]
    pub(super) spread: Option<Box<Spread>>,
    /// They as directions.
    #[n(7)]
    pub(super) circle: Option<Box<Circle>>,
    /// How they are distributed.
    #[n(8)]
    pub(super) sketch: Option<Box<Sketch>>,
    /// How long they stood.
    #[n(9)]
    standing: Option<Box<Standing>>,
}

/// The first and the last value, with their event times.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Ends {
    /// The earliest.
    #[n(0)]
    pub first: (i64, f64),
    /// The latest.
    #[n(1)]
    pub last: (i64, f64),
}

/// What is kept beside count, sum, smallest and greatest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// For first and last.
    pub ends: bool,
    /// For the standard deviation.
    pub spread: bool,
    /// For the circular mean.
    pub circle: bool,
    /// For percentiles.
    pub sketch: bool,
    /// For the mean over time.
    pub steps: bool,
}

impl Wants {
    /// What either wants.
    pub fn or(self, other: Wants) -> Wants {
        Wants {
            ends: self.ends || other.ends,
            spread: self.spread || other.spread,
            circle: self.circle || other.circle,
            sketch: self.sketch || other.sketch,
            steps: self.steps || other.steps,
        }
    }
}

impl Default for Accumulator {
    fn default() -> Self {
        Accumulator {
            count: 0,
            good: 0,
            sum: ExactSum::default(),
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            ends: None,
            spread: None,
            circle: None,
            sketch: None,
            standing: None,
        }
    }
}

impl Accumulator {
    /// Adds a value of magnitude up to [`ExactSum::MOST`], which quality tests see to.
    pub fn add(&mut self, at: Timestamp, value: f64, quality: Quality, wants: Wants) {
        if quality.flag == Flag::Missing {
            return;
        }
        self.count = self.count.saturating_add(1);
        if !quality.is_usable() || self.good == u32::MAX {
            return;
        }
        // Of 0 and −0 either could be the smallest, by order of arrival.
        let value = value + 0.0;
        self.good += 1;
        self.sum.add(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        if wants.ends {
            self.join_ends(&Ends { first: (at.0, value), last: (at.0, value) });
        }
        if wants.spread {
            self.spread.get_or_insert_default().add(value);
        }
        if wants.circle {
            self.circle.get_or_insert_default().add(value);
        }
        if wants.sketch {
            self.sketch.get_or_insert_default().add(value);
        }
    }

    /// Lets a usable value that was added stand, no longer than `hold`. Returns whether there was a place for it.
    pub fn stand(&mut self, at: Timestamp, value: f64, hold: Duration) -> bool {
        let new = || Box::new(Standing::Steps(Steps::default()));
        match &mut **self.standing.get_or_insert_with(new) {
            Standing::Steps(steps) => steps.add(at, value + 0.0, hold),
            Standing::Held(_) => false,
        }
    }

    /// The same readings, none of them usable.
    pub fn doubted(&self) -> Accumulator {
        Accumulator { count: self.count, ..Accumulator::default() }
    }

    /// The values of a pane, one after the other.
    pub fn steps(&self) -> Option<&Steps> {
        match self.standing.as_deref() {
            Some(Standing::Steps(steps)) => Some(steps),
            _ => None,
        }
    }

    /// How long the values of a window stood.
    pub fn held(&self) -> Option<&Held> {
        match self.standing.as_deref() {
            Some(Standing::Held(held)) => Some(held),
            _ => None,
        }
    }

    /// Says how long they stood.
    pub fn set_held(&mut self, held: Held) {
        self.standing = Some(Box::new(Standing::Held(held)));
    }

    /// Adds what another holds; but of single values that stand one after the other, which depend on what is between
    /// them, nothing.
    pub fn merge(&mut self, other: &Accumulator) {
        self.count = self.count.saturating_add(other.count);
        self.good = self.good.saturating_add(other.good);
        self.sum.merge(&other.sum);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        if let Some(ends) = &other.ends {
            self.join_ends(ends);
        }
        if let Some(spread) = &other.spread {
            self.spread.get_or_insert_default().merge(spread);
        }
        if let Some(circle) = &other.circle {
            self.circle.get_or_insert_default().merge(circle);
        }
        if let Some(sketch) = &other.sketch {
            self.sketch.get_or_insert_default().merge(sketch);
        }
        if let Some(held) = other.held() {
            let mut all = self.held().cloned().unwrap_or_default();
            all.merge(held);
            self.set_held(all);
        }
    }

    fn join_ends(&mut self, other: &Ends) {
        let Some(ends) = &mut self.ends else {
            self.ends = Some(Box::new(other.clone()));
            return;
        };
        let order = |a: (i64, f64), b: (i64, f64)| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1));
        ends.first = if order(other.first, ends.first).is_lt() { other.first } else { ends.first };
        ends.last = if order(other.last, ends.last).is_gt() { other.last } else { ends.last };
    }
}

#[cfg(test)]
mod tests;
