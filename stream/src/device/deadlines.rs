//! Which device must be looked at next, in ingest time.

use records::Timestamp;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Appointments by time, then by device. Some are void: whoever takes one compares it with the device's own.
#[derive(Clone, Debug, Default)]
pub struct Deadlines(BinaryHeap<Reverse<(Timestamp, usize)>>);

impl Deadlines {
    /// Makes an appointment.
    pub fn add(&mut self, at: Timestamp, device: usize) {
        self.0.push(Reverse((at, device)));
    }

    /// Takes the first appointment that is due at `now`.
    pub fn pop_due(&mut self, now: Timestamp) -> Option<(Timestamp, usize)> {
        let Reverse((at, _)) = self.0.peek()?;
        if *at > now {
            return None;
        }
        self.0.pop().map(|Reverse(appointment)| appointment)
    }
}
