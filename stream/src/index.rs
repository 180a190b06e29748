//! Numbers for names, in the order of their first appearance.

use records::Name;
use rustc_hash::FxHashMap;

/// A map from name to number that can only be asked, never walked: its order is nobody's business.
#[derive(Clone, Debug, Default)]
pub struct Index(FxHashMap<Name, u32>);

impl Index {
    /// The number of a name.
    pub fn get(&self, name: &str) -> Option<usize> {
        self.0.get(name).map(|number| *number as usize)
    }

    /// Gives `name` the next number and returns it.
    pub fn add(&mut self, name: Name) -> usize {
        let number = self.0.len();
        self.0.insert(name, u32::try_from(number).expect("fewer than 2^32 names fit the memory"));
        number
    }
}
