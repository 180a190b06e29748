//! Which jobs may be about a device: of a thousand that each name an area or a quantity, a few.

use crate::device::context::Context;
use crate::device::pipeline::Whom;
use records::{Quantity, Reading};

/// The jobs that a device's messages are shown to. Follows from its registry entry and from what it has said, so that
/// nothing of it needs to be kept.
#[derive(Clone, Debug, Default)]
pub struct Concerned {
    /// Quantities that it has said, by bit of their number.
    said: [u64; 2],
    /// Places in the rules file.
    jobs: Box<[u32]>,
}

impl Concerned {
    /// The jobs that a message with these readings is shown to, in the order of the rules file.
    pub fn jobs(&mut self, readings: &[Reading], whom: Whom<'_>, context: &Context) -> &[u32] {
        let codes = codes(readings.iter().map(|reading| &reading.quantity));
        let said = [self.said[0] | codes[0], self.said[1] | codes[1]];
        if said != self.said {
            self.said = said;
            self.jobs = self.find(whom, context);
        }
        &self.jobs
    }

    fn find(&self, whom: Whom<'_>, context: &Context) -> Box<[u32]> {
        let is_concerned = |job: &&usize| {
            let rule = &context.rules.jobs[**job];
            let named = codes(&rule.quantities);
            let is_said = (0..2).any(|half| self.said[half] & named[half] != 0);
            is_said && rule.may_concern(&whom)
        };
        let jobs = context.jobs_of(whom.family()).iter().filter(is_concerned);
        jobs.map(|job| u32::try_from(*job).expect("a rules file has few jobs")).collect()
    }
}

/// One bit for each number. Numbers beyond the last bit share it: what is shown to a job in vain costs time alone.
fn codes<'q>(quantities: impl IntoIterator<Item = &'q Quantity>) -> [u64; 2] {
    let mut codes = [0; 2];
    for code in quantities.into_iter().filter_map(Quantity::code) {
        let bit = usize::from(code).min(127);
        codes[bit / 64] |= 1 << (bit % 64);
    }
    codes
}
