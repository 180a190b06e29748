//! Windows whose place is known beforehand: tumbling, hopping by panes, calendar.

use super::sight::Sight;
use super::tally::Tally;
use crate::rule::{JobRule, Windowing};
use minicbor::{Decode, Encode};
use records::{Timestamp, Window};
use std::time::Duration;

/// The panes of one job and device, and what was told of the windows over them.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Spans {
    /// By end; only those that hold something.
    #[n(0)]
    panes: Vec<Pane>,
    /// Windows that have been told, by end, and how often.
    #[n(1)]
    told: Vec<Telling>,
    /// Windows up to here have closed.
    #[cbor(n(2), with = "crate::cbor")]
    closed_to: Timestamp,
    /// The first end of a window that has not.
    #[cbor(n(3), with = "crate::cbor")]
    next: Option<Timestamp>,
    /// Up to where open windows were told early.
    #[cbor(n(4), with = "crate::cbor")]
    early_to: Option<Timestamp>,
    /// Something has come since.
    #[n(5)]
    has_changed: bool,
}

#[derive(Clone, Debug, Encode, Decode)]
struct Pane {
    #[cbor(n(0), with = "crate::cbor")]
    span: Window,
    #[n(1)]
    tally: Tally,
}

#[derive(Clone, Debug, Encode, Decode)]
struct Telling {
    #[cbor(n(0), with = "crate::cbor")]
    end: Timestamp,
    #[n(1)]
    times: u32,
}

impl Default for Spans {
    fn default() -> Self {
        Spans {
            panes: Vec::new(),
            told: Vec::new(),
            closed_to: Timestamp::MIN,
            next: None,
            early_to: None,
            has_changed: false,
        }
    }
}

type Tell<'t> = dyn FnMut(Window, u32, &Tally) + 't;

impl Spans {
    /// Adds a message, and tells closed windows again that still take it. Returns whether none does.
    pub fn add(
        &mut self,
        sight: &Sight<'_>,
        forgotten_to: Timestamp,
        rule: &JobRule,
        tell: &mut Tell<'_>,
    ) -> bool {
        let (at, windowing) = (sight.message.event_time, &rule.windowing);
        let pane = self.pane(at, windowing);
        if windowing.last_end(pane) <= forgotten_to {
            return true;
        }
        let index = self.panes.partition_point(|known| known.span.end < pane.end);
        if self.panes.get(index).is_none_or(|known| known.span != pane) {
            self.panes.insert(index, Pane { span: pane, tally: Tally::default() });
            self.look_ahead(windowing);
        }
        self.panes[index].tally.add(sight, rule);
        self.has_changed = true;
        let is_told = |window: &Window| window.end <= self.closed_to && window.end > forgotten_to;
        let again: Vec<Window> = windowing.windows(pane).filter(is_told).collect();
        again.into_iter().for_each(|window| self.tell(window, tell));
        false
    }

    /// The pane of an instant: likely that of the message before, because to look at a calendar takes long.
    fn pane(&self, at: Timestamp, windowing: &Windowing) -> Window {
        let last = self.panes.last().map(|pane| pane.span);
        last.filter(|span| span.holds(at))
            .or_else(|| windowing.pane(at))
            .unwrap_or(Window { start: at, end: at + Duration::from_millis(1) })
    }

    /// Closes what ends up to `to`, in order.
    pub fn close(&mut self, to: Timestamp, windowing: &Windowing, tell: &mut Tell<'_>) {
        let due = self.next.is_some_and(|next| next <= to);
        let ends = if due { self.windows(self.closed_to, to, windowing) } else { Vec::new() };
        self.closed_to = self.closed_to.max(to);
        ends.into_iter().for_each(|window| self.tell(window, tell));
        if due {
            self.look_ahead(windowing);
        }
    }

    /// Tells the open windows as they stand, when the device has come `early` further and something has changed.
    pub fn tell_early(
        &mut self,
        progress: Timestamp,
        early: Duration,
        windowing: &Windowing,
        tell: &mut Tell<'_>,
    ) {
        let mark = progress.floor(early);
        let before = self.early_to.replace(self.early_to.map_or(mark, |before| before.max(mark)));
        if before.is_none_or(|before| before >= mark) || !std::mem::take(&mut self.has_changed) {
            return;
        }
        let open = self.windows(self.closed_to, Timestamp::MAX, windowing);
        open.into_iter().for_each(|window| self.tell(window, tell));
    }

    /// Forgets panes of which every window ends up to `to`.
    pub fn forget(&mut self, to: Timestamp, windowing: &Windowing) {
        let over = self.panes.partition_point(|pane| windowing.last_end(pane.span) <= to);
        self.panes.drain(..over);
        let over = self.told.partition_point(|told| told.end <= to);
        self.told.drain(..over);
    }

    /// The first end that is still to come.
    pub fn next_end(&self) -> Option<Timestamp> {
        self.next
    }

    /// Windows over what is kept that end in `(after, to]`, by end.
    fn windows(&self, after: Timestamp, to: Timestamp, windowing: &Windowing) -> Vec<Window> {
        let mut found = Vec::new();
        let first = self.panes.partition_point(|pane| windowing.last_end(pane.span) <= after);
        for pane in self.panes[first..].iter().take_while(|pane| pane.span.end <= to) {
            let all = windowing.windows(pane.span);
            found.extend(all.filter(|window| after < window.end && window.end <= to));
        }
        found.sort_unstable_by_key(|window| (window.end, window.start));
        found.dedup();
        found
    }

    /// The next end is that of a window of the first pane that is still part of an open one.
    fn look_ahead(&mut self, windowing: &Windowing) {
        let is_over = |pane: &Pane| windowing.last_end(pane.span) <= self.closed_to;
        let first = self.panes.get(self.panes.partition_point(is_over));
        let mut all = first.into_iter().flat_map(|pane| windowing.windows(pane.span));
        self.next = all.find(|window| window.end > self.closed_to).map(|window| window.end);
    }

    fn tell(&mut self, window: Window, tell: &mut Tell<'_>) {
        let index = self.told.partition_point(|told| told.end < window.end);
        if self.told.get(index).is_none_or(|told| told.end != window.end) {
            self.told.insert(index, Telling { end: window.end, times: 0 });
        }
        let revision = self.told[index].times;
        self.told[index].times = revision.saturating_add(1);
        let first = self.panes.partition_point(|pane| pane.span.start < window.start);
        let inside = self.panes[first..].iter().take_while(|pane| pane.span.end <= window.end);
        let mut tallies = inside.map(|pane| &pane.tally);
        match (tallies.next(), tallies.next()) {
            (None, _) => {}
            (Some(one), None) => tell(window, revision, one),
            (Some(one), Some(two)) => {
                let mut all = one.clone();
                std::iter::once(two).chain(tallies).for_each(|tally| all.merge(tally));
                tell(window, revision, &all);
            }
        }
    }
}
