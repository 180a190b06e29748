//! Which threshold rules must look at a value: of a thousand, those that it reaches and those that wait for it to go.
//!
//! A rule of which nothing is reached, nothing waits to be and no alert is open is *at rest*. What it would remember
//! is how far it has looked, and that is the same for all rules of a quantity, so it stands once for all.

use crate::rule::{Direction, ThresholdRule};
use minicbor::{Decode, Encode};
use records::{Family, Quantity, Timestamp};

/// The threshold rules about devices of one family, by quantity.
#[derive(Default)]
pub struct Watch(Vec<(Quantity, Watched)>);

/// The rules about one quantity: places in the rules file.
#[derive(Default)]
pub struct Watched {
    /// Those that remember what they see (rates, n of m) look at everything.
    always: Vec<u32>,
    /// The mildest threshold of each of the others that looks above, ascending.
    above: Vec<(f64, u32)>,
    /// The same of those that look below, descending.
    below: Vec<(f64, u32)>,
}

impl Watch {
    /// Sorts the rules about a family.
    pub fn new(family: Family, rules: &[ThresholdRule]) -> Watch {
        let mut watch = Watch::default();
        for (place, rule) in (0..).zip(rules).filter(|(_, rule)| rule.family == family) {
            watch.watched(&rule.quantity).add(place, rule);
        }
        watch.0.iter_mut().for_each(|(_, watched)| watched.sort());
        watch
    }

    /// The rules about a quantity, if there are any.
    pub fn of(&self, quantity: &Quantity) -> Option<&Watched> {
        let place = self.0.binary_search_by(|(known, _)| known.cmp(quantity)).ok()?;
        Some(&self.0[place].1)
    }

    fn watched(&mut self, quantity: &Quantity) -> &mut Watched {
        let place = self.0.binary_search_by(|(known, _)| known.cmp(quantity)).unwrap_or_else(|place| {
            self.0.insert(place, (quantity.clone(), Watched::default()));
            place
        });
        &mut self.0[place].1
    }
}

impl Watched {
    fn add(&mut self, place: u32, rule: &ThresholdRule) {
        // Levels are ordered: who does not reach the first reaches none.
        let Some(mildest) = rule.levels.first() else { return };
        match (rule.view.is_plain(), rule.direction) {
            (false, _) => self.always.push(place),
            (true, Direction::Above) => self.above.push((mildest.open, place)),
            (true, Direction::Below) => self.below.push((mildest.open, place)),
        }
    }

    fn sort(&mut self) {
        self.above.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.below.sort_by(|a, b| b.0.total_cmp(&a.0));
    }

    /// Those of the others whose mildest threshold a value reaches.
    fn reached(&self, value: f64) -> impl Iterator<Item = u32> {
        let reaches = |direction: Direction| move |rule: &&(f64, u32)| direction.reaches(value, rule.0);
        let above = self.above.iter().take_while(reaches(Direction::Above));
        let below = self.below.iter().take_while(reaches(Direction::Below));
        above.chain(below).map(|(_, place)| *place)
    }

    /// The rules that must look at a value, in the order of the rules file. `is_new`: it is of no time before what
    /// they have seen. `is_active`: it may reach something.
    pub fn looking(
        &self,
        value: f64,
        is_new: bool,
        is_active: bool,
        alive: impl Iterator<Item = u32>,
    ) -> Vec<u32> {
        let mut looking = self.always.clone();
        if is_new {
            looking.extend(alive);
            looking.extend(self.reached(value).filter(|_| is_active));
        }
        looking.sort_unstable();
        looking.dedup();
        looking
    }
}

/// How far the rules about each quantity of a device have looked, event time.
#[derive(Clone, Debug, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Looked(#[n(0)] Vec<LookedTo>);

#[derive(Clone, Debug, Encode, Decode)]
struct LookedTo {
    #[cbor(n(0), with = "crate::cbor")]
    quantity: Quantity,
    #[cbor(n(1), with = "crate::cbor")]
    end: Timestamp,
}

impl Looked {
    /// Whether a window of that end is of no time before what the rules have seen; they have seen it now.
    pub fn look(&mut self, quantity: &Quantity, end: Timestamp) -> bool {
        match self.0.iter_mut().find(|known| known.quantity == *quantity) {
            Some(known) if end < known.end => return false,
            Some(known) => known.end = end,
            None => self.0.push(LookedTo { quantity: quantity.clone(), end }),
        }
        true
    }
}
