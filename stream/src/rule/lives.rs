//! The alerts of one device, one for each rule that has looked at it.

use super::{AlertLife, Successors};
use minicbor::{Decode, Encode};

/// By rule, in the order in which the rules first looked.
#[derive(Clone, Debug, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Lives(#[n(0)] Vec<Life>);

#[derive(Clone, Debug, Encode, Decode)]
struct Life {
    /// Its place in the rules file; state of another file is not restored.
    #[n(0)]
    rule: u32,
    #[n(1)]
    life: AlertLife,
}

impl Lives {
    /// The alert of a rule that has looked.
    pub fn get(&self, rule: usize) -> Option<&AlertLife> {
        self.0.iter().find(|life| life.rule as usize == rule).map(|life| &life.life)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, rule: usize) -> Option<&mut AlertLife> {
        self.0.iter_mut().find(|life| life.rule as usize == rule).map(|life| &mut life.life)
    }

    /// The alert of a rule, which looks now.
    pub fn of(&mut self, rule: usize) -> &mut AlertLife {
        let index = self.0.iter().position(|life| life.rule as usize == rule).unwrap_or_else(|| {
            let rule = u32::try_from(rule).expect("a rules file has few rules");
            self.0.push(Life { rule, life: AlertLife::default() });
            self.0.len() - 1
        });
        &mut self.0[index].life
    }

    /// The rules that have an alert, or may come to one.
    pub fn rules(&self) -> impl Iterator<Item = u32> {
        self.0.iter().map(|life| life.rule)
    }

    /// Forgets the alert of a rule if it is over and nothing has begun anew.
    pub fn forget_at_rest(&mut self, rule: usize) {
        self.0.retain(|life| life.rule as usize != rule || !life.life.is_at_rest());
    }

    /// Whether any alert is raised.
    pub fn is_raised(&self) -> bool {
        self.0.iter().any(|life| life.life.height() > 0)
    }

    /// What is raised, alone.
    pub fn into_raised(mut self) -> Lives {
        self.0.retain(|life| life.life.height() > 0);
        self
    }

    /// Other rules hold. `end` takes what has no successor.
    pub fn succeed(&mut self, places: &Successors, mut end: impl FnMut(usize, AlertLife)) {
        for Life { rule, life } in std::mem::take(&mut self.0) {
            match places.get(rule as usize).copied().flatten() {
                Some(place) => *self.of(place) = life,
                None => end(rule as usize, life),
            }
        }
    }

    /// The rules whose alerts are raised.
    pub fn raised(&self) -> Vec<usize> {
        let raised = self.0.iter().filter(|life| life.life.height() > 0);
        raised.map(|life| life.rule as usize).collect()
    }
}
