//! What a job keeps of a window, or of one message: an accumulator for each of its inputs.

use super::sight::Sight;
use crate::aggregate::Accumulator;
use crate::rule::{Input, JobRule};
use minicbor::{Decode, Encode};
use records::{Flag, Quality, Quantity, Reading};

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

    /// Adds what a message says.
    pub fn add(&mut self, sight: &Sight<'_>, rule: &JobRule) {
        let Some(readings) = sight.readings() else { return };
        self.values.resize(rule.inputs.len(), Accumulator::default());
        let mut next = 0;
        for (index, input) in rule.inputs.iter().enumerate() {
            match input.plain() {
                Some(plain) => {
                    next = self.add_plain(index, &rule.quantities[plain], next, readings, sight, rule);
                }
                None => self.add_derived(index, input, sight, rule),
            }
        }
    }

    /// Adds the readings of a quantity; returns the place behind them, where that of the next input likely is:
    /// devices repeat themselves, and so do jobs.
    fn add_plain(
        &mut self,
        input: usize,
        quantity: &Quantity,
        guess: usize,
        readings: &[Reading],
        sight: &Sight<'_>,
        rule: &JobRule,
    ) -> usize {
        let wants = rule.inputs[input].wants;
        let (before, behind) = readings.split_at(guess.min(readings.len()));
        let mut place = guess;
        for (index, reading) in (guess..).zip(behind).chain((0..).zip(before)) {
            if reading.quantity == *quantity && sight.is_taken(reading.quality.flag, rule) {
                self.values[input].add(sight.message.event_time, reading.value, reading.quality, wants);
                place = index + 1;
            }
        }
        place
    }

    /// Adds a number that is made of several readings. One that can't be told is a reading that is not usable.
    fn add_derived(&mut self, index: usize, input: &Input, sight: &Sight<'_>, rule: &JobRule) {
        let Some(quality) = sight.quality(input, rule) else { return };
        if !sight.is_taken(quality.flag, rule) {
            return;
        }
        let (value, quality) = match sight.value(input, rule) {
            Some(value) => (value, quality),
            None => (0.0, Quality { flag: Flag::Bad, ..quality }),
        };
        self.values[index].add(sight.message.event_time, value, quality, input.wants);
    }

    /// Adds what another holds.
    pub fn merge(&mut self, other: &Tally) {
        self.values.resize(other.values.len(), Accumulator::default());
        self.values.iter_mut().zip(&other.values).for_each(|(to, from)| to.merge(from));
    }
}
