//! Which rules hold in a partition, since when, and which come next.

use super::Ruleset;
use minicbor::{Decode, Encode};
use records::{Rules, Timestamp};
use std::collections::VecDeque;

/// A rules file, and when it begins to hold.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RulesSet {
    /// The file.
    #[n(0)]
    pub text: String,
    /// Ingest time; [`Timestamp::MIN`] for the first.
    #[cbor(n(1), with = "crate::cbor")]
    pub since: Timestamp,
}

/// The rules of a partition: part of its state.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Reign {
    #[n(0)]
    now: RulesSet,
    /// In the order in which they came.
    #[n(1)]
    next: VecDeque<RulesSet>,
}

/// What became of a record that names rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// They come next.
    News,
    /// They hold already, or nothing else is to come: nothing changes.
    Known,
    /// They are no rules that this program can read: the old ones go on.
    Invalid,
}

impl Reign {
    /// Begins with these.
    pub fn new(text: &str) -> Reign {
        Reign { now: RulesSet { text: text.to_owned(), since: Timestamp::MIN }, next: VecDeque::new() }
    }

    /// What holds.
    pub fn now(&self) -> &RulesSet {
        &self.now
    }

    /// What will hold when everything that has been heard has come true.
    pub fn last(&self) -> &RulesSet {
        self.next.back().unwrap_or(&self.now)
    }

    /// Whether something is to come.
    pub fn has_next(&self) -> bool {
        !self.next.is_empty()
    }

    /// Whether all of them can be read; `known` can.
    ///
    /// # Errors
    /// In words, which can't.
    pub fn check(&self, known: &str) -> Result<(), String> {
        let is_read = |set: &RulesSet| set.text == known || Ruleset::parse(&set.text).is_ok();
        match self.next.iter().chain([&self.now]).all(is_read) {
            true => Ok(()),
            false => Err("its rules are none that this program can read".to_owned()),
        }
    }

    /// Takes a record.
    pub fn hear(&mut self, rules: Rules) -> Heard {
        if rules.text == self.last().text {
            return Heard::Known;
        }
        if Ruleset::parse(&rules.text).is_err() {
            return Heard::Invalid;
        }
        self.next.push_back(RulesSet { text: rules.text, since: rules.at });
        Heard::News
    }

    /// The next set, if it holds at `at`, and the text of the one before; from now on it is the one that holds.
    pub fn succeed(&mut self, at: Timestamp) -> Option<(&RulesSet, String)> {
        if self.next.front()?.since > at {
            return None;
        }
        let next = self.next.pop_front()?;
        let before = std::mem::replace(&mut self.now, next);
        Some((&self.now, before.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_after_the_other() {
        let text = |rest: &str| include_str!("../../rules/default.toml").to_owned() + rest;
        let rules = |text: &str, at| Rules { at: Timestamp(at), text: text.into(), replaces: String::new() };
        let (a, b) = (text(""), text("# b\n"));
        let mut reign = Reign::new(&a);
        assert_eq!(reign.hear(rules(&a, 5)), Heard::Known);
        assert_eq!(reign.hear(rules("[nonsense]", 6)), Heard::Invalid);
        assert_eq!(reign.hear(rules(&b, 7)), Heard::News);
        assert_eq!(reign.hear(rules(&b, 8)), Heard::Known);
        assert_eq!(reign.succeed(Timestamp(6)), None);
        assert_eq!((reign.now().text.as_str(), reign.last().text.as_str()), (a.as_str(), b.as_str()));
        reign = minicbor::decode(&minicbor::to_vec(&reign).unwrap()).unwrap();
        let found = reign.succeed(Timestamp(7)).map(|(set, before)| (set.text.clone(), before));
        assert_eq!(found, Some((b, a)));
        assert_eq!((reign.now().since, reign.succeed(Timestamp::MAX)), (Timestamp(7), None));
    }
}
