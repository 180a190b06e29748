//! A snapshot of a partition that is taken piece by piece while records go on.
//!
//! It is the state of one instant: whatever is about to change a device that has not been taken yet takes it first.

use super::origins::Mark;
use super::state::DeviceState;
use minicbor::Encoder;

/// What has been taken so far, and what is still to come.
#[derive(Debug)]
pub struct Capture {
    bytes: Vec<u8>,
    /// By number: whether there is nothing to take, or it has been.
    is_taken: Vec<bool>,
    /// Everything before has been taken.
    next: usize,
}

impl Capture {
    /// Begins behind `bytes` with an array of devices: those of which `is_there` holds, of so many numbers.
    pub fn begin(mut bytes: Vec<u8>, numbers: usize, is_there: impl Fn(usize) -> bool) -> Capture {
        let is_taken: Vec<bool> = (0..numbers).map(|number| !is_there(number)).collect();
        let count = is_taken.iter().filter(|is_taken| !**is_taken).count();
        Encoder::new(&mut bytes).array(count as u64).expect("a Vec takes everything");
        Capture { bytes, is_taken, next: 0 }
    }

    /// Takes a device before it changes, unless it came later or has been taken.
    pub fn take(&mut self, number: usize, state: &DeviceState, marks: &[Mark]) {
        if self.is_taken.get(number).is_none_or(|is_taken| *is_taken) {
            return;
        }
        self.is_taken[number] = true;
        let mut to = Encoder::new(&mut self.bytes);
        to.array(3)
            .and_then(|to| to.u64(number as u64))
            .and_then(|to| to.encode(state))
            .and_then(|to| to.encode(marks))
            .expect("a Vec takes everything");
    }

    /// The next device that must be taken.
    pub fn pending(&mut self) -> Option<usize> {
        while *self.is_taken.get(self.next)? {
            self.next += 1;
        }
        Some(self.next)
    }

    /// All of it, once nothing is to come.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
