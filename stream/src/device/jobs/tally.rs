//! What a job keeps of a window, or of one message: an accumulator for each of its inputs.

use super::sight::Sight;
use crate::aggregate::Accumulator;
use crate::rule::{Input, JobRule};
use minicbor::{Decode, Encode};
use records::{Flag, Quality, Quantity, Reading};
use std::time::Duration;

/// One accumulator per input of the job, in its order.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct Tally {
    /// By input.
    #[n(0)]
    pub values: Vec<Accumulator>,
    /// Of one message: its place in the device's own order.
    #[n(1)]
    pub place: (u32, u64),
}

impl Tally {
    /// Whether a message says something to a job.
    pub fn is_concerned(sight: &Sight<'_>, rule: &JobRule) -> bool {
        let Some(readings) = sight.readings() else { return false };
        rule.inputs.iter().any(|input| match input.plain() {
            Some(plain) => {
                let mut of_it = readings.iter().filter(|reading| reading.quantity == rule.quantities[plain]);
                of_it.any(|reading| sight.is_taken(reading.quality.flag, rule))
            }
            None => sight.quality(input, rule).is_some_and(|quality| sight.is_taken(quality.flag, rule)),
        })
    }

    /// Of no message yet.
    pub fn of(rule: &JobRule) -> Tally {
        Tally { values: vec![Accumulator::default(); rule.inputs.len()], ..Tally::default() }
    }

    /// Adds what a message says.
    pub fn add(&mut self, sight: &Sight<'_>, rule: &JobRule) {
        self.values.resize(rule.inputs.len(), Accumulator::default());
        let at = sight.message.event_time;
        values_of(sight, rule, |input, value, quality| {
            self.values[input].add(at, value, quality, rule.inputs[input].wants);
        });
    }

    /// Lets what a message says stand, for means over time, no longer than `hold`. Returns whether it came too late.
    pub fn stand(&mut self, sight: &Sight<'_>, rule: &JobRule, hold: Duration) -> bool {
        let (at, mut is_late) = (sight.message.event_time, false);
        values_of(sight, rule, |input, value, quality| {
            if rule.inputs[input].wants.steps && quality.is_usable() {
                is_late |= !self.values[input].stand(at, value, hold);
            }
        });
        is_late
    }

    /// What it holds of these inputs, in this order.
    pub fn of_inputs(&self, inputs: &[usize]) -> Tally {
        let values = inputs.iter().map(|input| self.values.get(*input).cloned().unwrap_or_default());
        Tally { values: values.collect(), ..Tally::default() }
    }

    /// Adds what another holds.
    pub fn merge(&mut self, other: &Tally) {
        self.values.resize(self.values.len().max(other.values.len()), Accumulator::default());
        self.values.iter_mut().zip(&other.values).for_each(|(to, from)| to.merge(from));
    }
}

/// Gives `take` what a message says to a job: the place of each input, its value, and how good that is.
pub fn values_of(sight: &Sight<'_>, rule: &JobRule, mut take: impl FnMut(usize, f64, Quality)) {
    let Some(readings) = sight.readings() else { return };
    let mut next = 0;
    for (index, input) in rule.inputs.iter().enumerate() {
        match input.plain() {
            Some(plain) => {
                let quantity = &rule.quantities[plain];
                next = plain_values(quantity, next, readings, sight, rule, |value, quality| {
                    take(index, value, quality);
                });
            }
            None => derived_value(input, sight, rule).into_iter().for_each(|(value, quality)| {
                take(index, value, quality);
            }),
        }
    }
}

/// The readings of a quantity; returns the place behind them, where that of the next input likely is: devices repeat
/// themselves, and so do jobs.
fn plain_values(
    quantity: &Quantity,
    guess: usize,
    readings: &[Reading],
    sight: &Sight<'_>,
    rule: &JobRule,
    mut take: impl FnMut(f64, Quality),
) -> usize {
    let (before, behind) = readings.split_at(guess.min(readings.len()));
    let mut place = guess;
    for (index, reading) in (guess..).zip(behind).chain((0..).zip(before)) {
        if reading.quantity == *quantity && sight.is_taken(reading.quality.flag, rule) {
            take(reading.value, reading.quality);
            place = index + 1;
        }
    }
    place
}

/// A number that is made of several readings. One that can't be told is a reading that is not usable.
fn derived_value(input: &Input, sight: &Sight<'_>, rule: &JobRule) -> Option<(f64, Quality)> {
    let quality = sight.quality(input, rule).filter(|quality| sight.is_taken(quality.flag, rule))?;
    Some(match sight.value(input, rule) {
        Some(value) => (value, quality),
        None => (0.0, Quality { flag: Flag::Bad, ..quality }),
    })
}
