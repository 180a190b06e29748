//! What a job keeps of a window, or of one message: an accumulator for each of its inputs.

use crate::aggregate::Accumulator;
use crate::rule::Input;
use minicbor::{Decode, Encode};
use records::{Body, Flag, Observation};

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
    pub fn is_concerned(message: &Observation, inputs: &[Input]) -> bool {
        let Body::Readings(readings) = &message.body else { return false };
        let mut told = readings.iter().filter(|reading| reading.quality.flag != Flag::Missing);
        told.any(|reading| inputs.iter().any(|input| input.quantity == reading.quantity))
    }

    /// Adds what a message says.
    pub fn add(&mut self, message: &Observation, inputs: &[Input]) {
        let Body::Readings(readings) = &message.body else { return };
        self.values.resize(inputs.len(), Accumulator::default());
        for (place, reading) in readings.iter().enumerate() {
            // Devices repeat themselves, and so do jobs: likely the input of the same place.
            let is_input = |input: &Input| input.quantity == reading.quantity;
            let likely = inputs.get(place).is_some_and(is_input).then_some(place);
            let Some(input) = likely.or_else(|| inputs.iter().position(is_input)) else { continue };
            self.values[input].add(message.event_time, reading.value, reading.quality, inputs[input].wants);
        }
    }

    /// Adds what another holds.
    pub fn merge(&mut self, other: &Tally) {
        self.values.resize(other.values.len(), Accumulator::default());
        self.values.iter_mut().zip(&other.values).for_each(|(to, from)| to.merge(from));
    }
}
