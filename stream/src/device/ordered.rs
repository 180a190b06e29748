//! Messages of a device whose values are tested in the order in which it said them.

use super::clock::Verdict;
use super::order::{Arrived, Order, Place};
use super::quality::{RuleOf, Sequel};
use minicbor::{Decode, Encode};
use records::Timestamp;

/// What waits for its turn, and what has had it. Devices whose values are only looked at one by one have none.
#[derive(Clone, Debug, Default, Encode, Decode)]
pub struct Ordered {
    #[n(0)]
    order: Order,
    #[n(1)]
    sequel: Sequel,
}

/// When it is.
#[derive(Clone, Copy)]
pub struct Now {
    /// Ingest time.
    pub as_of: Timestamp,
    /// How far the device has come by its own word, event time.
    pub progress: Timestamp,
}

impl Ordered {
    /// Takes a message whose values have been judged one by one; gives `go` what goes on, in order.
    pub fn arrive(&mut self, arrived: Arrived, now: Now, rule_of: RuleOf<'_>, go: &mut dyn FnMut(Arrived)) {
        if self.order.passes(&arrived.message) {
            return self.pass(arrived, Place::Next, now, rule_of, go);
        }
        for (arrived, place) in self.order.arrive(arrived, now.progress) {
            self.pass(arrived, place, now, rule_of, go);
        }
    }

    /// The first time of which a message waits for the next value: no window that holds it may close.
    pub fn first_jump(&self) -> Option<Timestamp> {
        self.sequel.first()
    }

    /// Lets those go that have waited long enough, and those that no window can wait for any more.
    pub fn expire(&mut self, now: Now, rule_of: RuleOf<'_>, go: &mut dyn FnMut(Arrived)) {
        for (arrived, place) in self.order.expire(now.as_of, now.progress) {
            self.pass(arrived, place, now, rule_of, go);
        }
        self.sequel.expire(now.as_of, now.progress, go);
    }

    /// When somebody has waited long enough, ingest time.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.order.deadline().into_iter().chain(self.sequel.deadline()).min()
    }

    /// What is behind others, or of a time that is a guess, can't be compared with what was before.
    fn pass(
        &mut self,
        arrived: Arrived,
        place: Place,
        now: Now,
        rule_of: RuleOf<'_>,
        go: &mut dyn FnMut(Arrived),
    ) {
        match place {
            Place::Behind => go(arrived),
            _ if arrived.verdict == Verdict::Doubted => go(arrived),
            _ => self.sequel.judge(arrived, place, rule_of, now.as_of, go),
        }
    }
}
