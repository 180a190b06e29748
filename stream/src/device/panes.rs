//! The windows of one device, open and closed, in the order in which they close.

use super::window::{Closed, Pane};
use minicbor::{Decode, Encode};
use records::{Timestamp, Window};
use std::collections::VecDeque;

/// Open windows and closed ones that still take late readings.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Panes {
    /// By (end, start).
    #[n(0)]
    open: Vec<Pane>,
    /// By (end, start).
    #[n(1)]
    closed: VecDeque<Closed>,
    /// Windows up to here have closed, event time.
    #[cbor(n(2), with = "crate::cbor")]
    closed_to: Timestamp,
}

impl Default for Panes {
    fn default() -> Self {
        Panes { open: Vec::new(), closed: VecDeque::new(), closed_to: Timestamp::MIN }
    }
}

impl Panes {
    /// The first end that is still to come, event time.
    pub fn next_end(&self) -> Option<Timestamp> {
        self.open.first().map(|pane| pane.span().end)
    }

    /// Windows up to here have closed, event time.
    pub fn closed_to(&self) -> Timestamp {
        self.closed_to
    }

    /// Changes the pane of a window; a new one when there was none. `change` is told whether that has closed already.
    pub fn change(&mut self, window: Window, change: impl FnOnce(&mut Pane, bool)) {
        if window.end > self.closed_to {
            return change(self.open(window), false);
        }
        let order = (window.end, window.start);
        let place = self.closed.binary_search_by_key(&order, Closed::order).unwrap_or_else(|place| {
            self.closed.insert(place, Closed::from(&Pane::new(window)));
            place
        });
        let mut pane = self.closed[place].open();
        change(&mut pane, true);
        self.closed[place] = Closed::from(&pane);
    }

    fn open(&mut self, window: Window) -> &mut Pane {
        let is_last = self.open.last().is_some_and(|last| last.span() == window);
        let place = if is_last { self.open.len() - 1 } else { self.find(window) };
        &mut self.open[place]
    }

    fn find(&mut self, window: Window) -> usize {
        let order = (window.end, window.start);
        self.open.binary_search_by_key(&order, Pane::order).unwrap_or_else(|place| {
            // Most devices have one window at a time.
            self.open.reserve_exact(1);
            self.open.insert(place, Pane::new(window));
            place
        })
    }

    /// Closes what ends up to `to`, in order; `give` sees it before.
    pub fn close(&mut self, to: Timestamp, mut give: impl FnMut(&mut Pane)) {
        self.closed_to = self.closed_to.max(to);
        let over = self.open.iter().take_while(|pane| pane.span().end <= to).count();
        for mut pane in self.open.drain(..over) {
            give(&mut pane);
            self.closed.push_back(Closed::from(&pane));
        }
    }

    /// Forgets closed windows that end up to `to`.
    pub fn forget(&mut self, to: Timestamp) {
        while self.closed.front().is_some_and(|closed| closed.order().0 <= to) {
            self.closed.pop_front();
        }
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
                        let mut found = None;
                        panes.change(window(at), |pane, has_closed| found = Some((pane.span(), has_closed)));
                        prop_assert_eq!(found, Some((window(at), at < closed_to)));
                        oracle.entry(at + 1).or_insert(at < closed_to);
                    }
                    1 => {
                        closed_to = closed_to.max(at);
                        let mut now = Vec::new();
                        panes.close(Timestamp(at), |pane| now.push(pane.span().end.0));
                        let due = oracle.iter_mut().filter(|(end, has_closed)| **end <= at && !**has_closed);
                        let due: Vec<i64> = due.map(|(end, has_closed)| { *has_closed = true; *end }).collect();
                        prop_assert_eq!(now, due);
                    }
                    _ => {
                        // A device forgets what has closed long ago, or has it closed first.
                        panes.close(Timestamp(at), |_| {});
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
