//! Numbers for names.

use rustc_hash::FxHasher;
use std::hash::Hasher;

/// A table from name to number that can only be asked, never walked: its order is nobody's business.
///
/// It holds no names: whoever asks has them by number, and looks at them anyway. So a look-up touches eight bytes of
/// the table, which stays in the cache for ten times as many devices as one of names would.
#[derive(Clone, Debug, Default)]
pub struct Index {
    /// A power of two, at most half full; linear probing.
    slots: Vec<Slot>,
    len: u32,
}

/// Upper half of the name's hash, and its number; empty when the number is [`NOBODY`].
#[derive(Clone, Copy, Debug)]
struct Slot {
    tag: u32,
    number: u32,
}

const NOBODY: u32 = u32::MAX;
const EMPTY: Slot = Slot { tag: 0, number: NOBODY };

impl Index {
    /// The number of a name, where `name_of` gives the name of a number.
    pub fn get<'n>(&self, name: &str, name_of: impl Fn(usize) -> &'n str) -> Option<usize> {
        let (home, tag) = place(name);
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = home & mask;
        loop {
            let slot = self.slots[at];
            if slot.number == NOBODY {
                return None;
            }
            if slot.tag == tag && name_of(slot.number as usize) == name {
                return Some(slot.number as usize);
            }
            at = (at + 1) & mask;
        }
    }

    /// Gives `name`, which has none, a `number` that no other has.
    pub fn add<'n>(&mut self, name: &str, number: usize, name_of: impl Fn(usize) -> &'n str) {
        let number = u32::try_from(number).ok().filter(|number| *number < NOBODY);
        let number = number.expect("fewer than 2^32 names fit the memory");
        if self.slots.len() < 2 * (self.len as usize + 1) {
            let wider = vec![EMPTY; (self.slots.len() * 2).max(16)];
            let mut before = std::mem::replace(&mut self.slots, wider);
            while let Some(slot) = before.pop() {
                if slot.number != NOBODY {
                    self.put(name_of(slot.number as usize), slot.number);
                }
            }
        }
        self.put(name, number);
        self.len += 1;
    }

    /// Takes the number of `name` away, if it has one.
    pub fn remove<'n>(&mut self, name: &str, name_of: impl Fn(usize) -> &'n str) {
        let Some(number) = self.get(name, &name_of) else { return };
        let mask = self.slots.len() - 1;
        let mut hole = place(name).0 & mask;
        while self.slots[hole].number as usize != number {
            hole = (hole + 1) & mask;
        }
        self.len -= 1;
        // Whoever stands behind and is not at home may be looked for from here: it moves up.
        let mut at = hole;
        loop {
            self.slots[hole] = EMPTY;
            loop {
                at = (at + 1) & mask;
                let slot = self.slots[at];
                if slot.number == NOBODY {
                    return;
                }
                let home = place(name_of(slot.number as usize)).0 & mask;
                if hole.wrapping_sub(home) & mask < at.wrapping_sub(home) & mask {
                    self.slots[hole] = slot;
                    hole = at;
                    break;
                }
            }
        }
    }

    fn put(&mut self, name: &str, number: u32) {
        let (home, tag) = place(name);
        let mask = self.slots.len() - 1;
        let mut at = home & mask;
        while self.slots[at].number != NOBODY {
            at = (at + 1) & mask;
        }
        self.slots[at] = Slot { tag, number };
    }
}

/// Where a name would stand, and its tag.
fn place(name: &str) -> (usize, u32) {
    let mut hasher = FxHasher::default();
    hasher.write(name.as_bytes());
    let hash = hasher.finish();
    #[expect(clippy::cast_possible_truncation, reason = "two halves of one hash")]
    (hash as usize, (hash >> 32) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn finds_what_was_added() {
        let names: Vec<String> = (0..5000).map(|n| format!("dev-{:06}", n * 37 % 5000)).collect();
        let mut index = Index::default();
        let name_of = |number: usize| names[number].as_str();
        for (number, name) in names.iter().enumerate() {
            assert_eq!(index.get(name, name_of), None);
            index.add(name, number, name_of);
        }
        for (number, name) in names.iter().enumerate() {
            assert_eq!(index.get(name, name_of), Some(number));
        }
        assert_eq!(index.get("dev-005000", name_of), None);
        assert_eq!(index.get("", name_of), None);
    }

    proptest! {
        /// Beside a map, with so few slots that names stand in each other's way.
        #[test]
        fn forgets_what_was_removed(steps in proptest::collection::vec((0..24usize, any::<bool>()), 0..200)) {
            let names: Vec<String> = (0..24).map(|n| format!("d{n}")).collect();
            let name_of = |number: usize| names[number].as_str();
            let (mut index, mut oracle) = (Index::default(), BTreeSet::new());
            for (number, is_added) in steps {
                match is_added {
                    true if oracle.insert(number) => index.add(&names[number], number, name_of),
                    true => {}
                    false => {
                        oracle.remove(&number);
                        index.remove(&names[number], name_of);
                    }
                }
                for (number, name) in names.iter().enumerate() {
                    prop_assert_eq!(index.get(name, name_of), oracle.get(&number).copied());
                }
                prop_assert_eq!(index.len as usize, oracle.len());
            }
        }
    }
}
