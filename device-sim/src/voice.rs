//! How a device speaks: what it measures, and when it says so.

use crate::model::{Air, Detector, Machine, Reader, Water, Weather};

/// How a device speaks.
#[derive(Clone, Debug)]
pub struct Voice {
    pub model: Model,
    /// Milliseconds between messages (a reader sends three in that time).
    pub every: i64,
    /// How long after the city's origin its message 0 is due.
    pub phase: i64,
    pub is_json: bool,
}

/// What a device measures.
#[derive(Clone, Debug)]
pub enum Model {
    Air(Air),
    Water(Water),
    Weather(Weather),
    Detector(Detector),
    Reader(Reader),
    Machine(Machine),
}

impl Voice {
    /// When a message is due, milliseconds after the city's origin.
    pub fn due(&self, sequence: u64) -> i64 {
        let (sequence, slots) = (i64::try_from(sequence).unwrap_or(i64::MAX), READER_SLOTS as i64);
        let within = match self.model {
            Model::Reader(_) => {
                let quarters = [0, 1, 3][(sequence % slots) as usize];
                (sequence / slots).saturating_mul(self.every).saturating_add(quarters * self.every / 4)
            }
            _ => sequence.saturating_mul(self.every),
        };
        within.saturating_add(self.phase)
    }

    /// The first message due at or after that many milliseconds past the origin.
    pub fn first_at(&self, after: i64) -> u64 {
        let cycles = after.saturating_sub(self.phase).div_euclid(self.every).max(0) as u64;
        let start = if matches!(self.model, Model::Reader(_)) { cycles * READER_SLOTS } else { cycles };
        (start..).find(|sequence| self.due(*sequence) >= after).unwrap_or(start)
    }
}

/// Messages of a reader in its cycle: itself, and the tags of each half of the cycle.
pub const READER_SLOTS: u64 = 3;
