//! The windows of one device, open and closed, in the order in which they close.

use super::window::Pane;
use minicbor::{Decode, Encode};
use records::{Timestamp, Window};

/// Open windows and closed ones that still take late readings.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Panes {
    /// By (end, start).
    #[n(0)]
    panes: Vec<Pane>,
    /// How many of them, from the first, have closed.
    #[n(1)]
    closed: usize,
    /// Windows up to here have closed, event time.
    #[cbor(n(2), with = "crate::cbor")]
    closed_to: Timestamp,
}

impl Default for Panes {
    fn default() -> Self {
        Panes { panes: Vec::new(), closed: 0, closed_to: Timestamp::MIN }
    }
}

impl Panes {
    /// The first end that is still to come, event time.
    pub fn next_end(&self) -> Option<Timestamp> {
        self.panes.get(self.closed).map(|pane| pane.span().end)
    }

    /// Windows up to here have closed, event time.
    pub fn closed_to(&self) -> Timestamp {
        self.closed_to
    }

    /// The pane of a window, and whether that has closed already; a new one when there was none.
    pub fn pane(&mut self, window: Window) -> (&mut Pane, bool) {
        let is_last = self.panes.last().is_some_and(|last| last.span() == window);
        let index = if is_last { self.panes.len() - 1 } else { self.find(window) };
        (&mut self.panes[index], window.end <= self.closed_to)
    }

    fn find(&mut self, window: Window) -> usize {
        let order = (window.end, window.start);
        self.panes.binary_search_by_key(&order, Pane::order).unwrap_or_else(|index| {
            self.panes.insert(index, Pane::new(window));
            self.closed += usize::from(window.end <= self.closed_to);
            index
        })
    }

    /// Closes what ends up to `to`, and gives that, in order.
    pub fn close(&mut self, to: Timestamp) -> &mut [Pane] {
        self.closed_to = self.closed_to.max(to);
        let first = self.closed;
        let ends = self.panes[first..].iter().take_while(|pane| pane.span().end <= to);
        self.closed += ends.count();
        &mut self.panes[first..self.closed]
    }

    /// Forgets windows that end up to `to`.
    pub fn forget(&mut self, to: Timestamp) {
        if self.panes.first().is_none_or(|pane| pane.span().end > to) {
            return;
        }
        let over = self.panes.partition_point(|pane| pane.span().end <= to);
        self.panes.drain(..over);
        self.closed = self.closed.saturating_sub(over);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn window(minute: i64) -> Window {
        Window { start: Timestamp(minute), end: Timestamp(minute + 1) }
    }

    proptest! {
        /// Beside a map from end to "has closed".
        #[test]
        fn equals_a_map(steps in proptest::collection::vec((0..3u8, 0..40i64), 0..60)) {
            let (mut panes, mut oracle, mut closed_to) = (Panes::default(), BTreeMap::new(), i64::MIN);
            for (step, at) in steps {
                panes = minicbor::decode(&minicbor::to_vec(&panes).unwrap()).unwrap();
                match step {
                    0 => {
                        let (pane, has_closed) = panes.pane(window(at));
                        prop_assert_eq!(pane.span(), window(at));
                        prop_assert_eq!(has_closed, at < closed_to);
                        oracle.entry(at + 1).or_insert(at < closed_to);
                    }
                    1 => {
                        closed_to = closed_to.max(at);
                        let now: Vec<i64> = panes.close(Timestamp(at)).iter().map(|pane| pane.span().end.0).collect();
                        let due = oracle.iter_mut().filter(|(end, has_closed)| **end <= at && !**has_closed);
                        let due: Vec<i64> = due.map(|(end, has_closed)| { *has_closed = true; *end }).collect();
                        prop_assert_eq!(now, due);
                    }
                    _ => {
                        // A device forgets what has closed long ago, or has it closed first.
                        panes.close(Timestamp(at));
                        closed_to = closed_to.max(at);
                        oracle.iter_mut().filter(|(end, _)| **end <= at).for_each(|(_, closed)| *closed = true);
                        panes.forget(Timestamp(at));
                        oracle.retain(|end, _| *end > at);
                    }
                }
                let next = oracle.iter().find(|(_, has_closed)| !**has_closed).map(|(end, _)| Timestamp(*end));
                prop_assert_eq!(panes.next_end(), next);
            }
        }
    }
}
