//! What arrives and what is missing at one zone.

use crate::domain::epc;
use minicbor::{Decode, Encode};
use records::Name;
use std::collections::BTreeSet;

/// Missing tags whose names are kept for the sentence.
pub(super) const MAX_NAMED: usize = 3;

/// A zone of a line: the readers of one rank.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub(super) struct Zone {
    /// Misses since it was last well.
    #[n(0)]
    pub(super) missing: u32,
    /// Arrivals in time since the last miss.
    #[n(1)]
    arrivals: u32,
    /// Some of the missing tags, the newest last.
    #[cbor(n(2), with = "crate::cbor")]
    newest: Vec<Name>,
    /// Tags that are expected here, by the event time at which their miss can be known.
    #[n(3)]
    pub(super) due: BTreeSet<(i64, Box<str>)>,
}

impl Zone {
    /// A tag came in time. After `clear_after` of them, one after the other, all is well.
    pub(super) fn arrived(&mut self, clear_after: u32) {
        self.arrivals = self.arrivals.saturating_add(1);
        if self.arrivals >= clear_after {
            self.missing = 0;
            self.newest.clear();
        }
    }

    /// A tag did not come, or came too late.
    pub(super) fn missed(&mut self, epc: &str) {
        self.missing = self.missing.saturating_add(1);
        self.arrivals = 0;
        self.newest.push(epc.into());
        if self.newest.len() > MAX_NAMED {
            self.newest.remove(0);
        }
    }

    /// The missing tags for a sentence.
    pub(super) fn named(&self) -> String {
        let names: Vec<String> = self.newest.iter().map(|epc| epc::describe(epc)).collect();
        match (self.missing as usize).saturating_sub(names.len()) {
            0 => names.join(", "),
            more => format!("{} and {more} before", names.join(", ")),
        }
    }
}
