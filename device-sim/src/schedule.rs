//! The messages of a device in a stretch of time.

use crate::city::{City, Message};

/// The messages of a device in a stretch of time, made as they are asked for.
#[derive(Clone, Debug)]
pub struct Schedule<'a> {
    pub(crate) city: &'a City,
    pub(crate) device: usize,
    pub(crate) next: u64,
    pub(crate) to: i64,
}

impl Schedule<'_> {
    /// How many are left, without making them.
    pub fn remaining(&self) -> u64 {
        let Some(voice) = self.city.voices.get(self.device) else { return 0 };
        voice.first_at(self.to.saturating_sub(self.city.origin)).saturating_sub(self.next)
    }
}

impl Iterator for Schedule<'_> {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        let voice = self.city.voices.get(self.device)?;
        if voice.due(self.next).saturating_add(self.city.origin) >= self.to {
            return None;
        }
        let message = self.city.message(self.device, self.next)?;
        self.next += 1;
        Some(message)
    }
}
