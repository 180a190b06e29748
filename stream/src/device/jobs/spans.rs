//! Windows whose place is known beforehand: tumbling, hopping by panes, calendar.

use super::kept::Kept;
use super::sight::Sight;
use super::tally::Tally;
use crate::rule::{JobRule, Windowing};
use minicbor::{Decode, Encode};
use records::{Timestamp, Window};
use std::collections::VecDeque;
use std::time::Duration;

/// The panes of one job and device, and what was told of the windows over them.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Spans {
    /// By end; only those that hold something.
    #[n(0)]
    panes: VecDeque<Pane>,
    /// Windows that have been told, by end, and how often.
    #[n(1)]
    told: VecDeque<Telling>,
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
    kept: Kept,
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
            panes: VecDeque::new(),
            told: VecDeque::new(),
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
        let index = self.place(pane, rule);
        self.panes[index].kept.add(pane.start, sight, rule);
        self.has_changed = true;
        if pane.end <= self.closed_to {
            let is_told = |window: &Window| window.end <= self.closed_to && window.end > forgotten_to;
            let again: Vec<Window> = windowing.windows(pane).filter(is_told).collect();
            again.into_iter().for_each(|window| self.tell(window, rule, tell));
        }
        false
    }

    /// Where a pane stands; a new one when there was none.
    fn place(&mut self, pane: Window, rule: &JobRule) -> usize {
        let behind = self.panes.iter().rev().take_while(|known| known.span.end >= pane.end).count();
        let index = self.panes.len() - behind;
        if self.panes.get(index).is_none_or(|known| known.span != pane) {
            self.panes.insert(index, Pane { span: pane, kept: Kept::new(rule) });
            self.look_ahead(&rule.windowing);
        }
        index
    }

    /// The pane of an instant: likely that of the message before, because to look at a calendar takes long.
    fn pane(&self, at: Timestamp, windowing: &Windowing) -> Window {
        let last = self.panes.back().map(|pane| pane.span);
        last.filter(|span| span.holds(at))
            .or_else(|| windowing.pane(at))
            .unwrap_or(Window { start: at, end: at + Duration::from_millis(1) })
    }

    /// Closes what ends up to `to`, in order.
    pub fn close(&mut self, to: Timestamp, rule: &JobRule, tell: &mut Tell<'_>) {
        if self.next.is_some_and(|next| next <= to) {
            while let Some(window) = self.next_window(&rule.windowing).filter(|window| window.end <= to) {
                self.closed_to = window.end;
                self.tell(window, rule, tell);
            }
            self.closed_to = to;
            self.look_ahead(&rule.windowing);
        }
        self.closed_to = self.closed_to.max(to);
    }

    /// Tells the open windows as they stand, when the device has come `early` further and something has changed.
    pub fn tell_early(&mut self, progress: Timestamp, early: Duration, rule: &JobRule, tell: &mut Tell<'_>) {
        let mark = progress.floor(early);
        let before = self.early_to.replace(self.early_to.map_or(mark, |before| before.max(mark)));
        if before.is_none_or(|before| before >= mark) || !std::mem::take(&mut self.has_changed) {
            return;
        }
        let open = self.open_windows(&rule.windowing);
        open.into_iter().for_each(|window| self.tell(window, rule, tell));
    }

    /// Forgets panes of which every window ends up to `to`.
    pub fn forget(&mut self, to: Timestamp, windowing: &Windowing) {
        while self.panes.front().is_some_and(|pane| windowing.last_end(pane.span) <= to) {
            self.panes.pop_front();
        }
        while self.told.front().is_some_and(|told| told.end <= to) {
            self.told.pop_front();
        }
    }

    /// The first end that is still to come.
    pub fn next_end(&self) -> Option<Timestamp> {
        self.next
    }

    /// Windows over what is kept that have not closed, by end.
    fn open_windows(&self, windowing: &Windowing) -> Vec<Window> {
        let mut found = Vec::new();
        for pane in self.open_panes(windowing) {
            found.extend(windowing.windows(pane.span).filter(|window| window.end > self.closed_to));
        }
        found.sort_unstable_by_key(|window| (window.end, window.start));
        found.dedup();
        found
    }

    /// Panes that are part of a window that has not closed. They stand at the end.
    fn open_panes(&self, windowing: &Windowing) -> impl Iterator<Item = &Pane> {
        let is_open = |pane: &&Pane| windowing.last_end(pane.span) > self.closed_to;
        let open = self.panes.iter().rev().take_while(is_open).count();
        self.panes.range(self.panes.len() - open..)
    }

    /// The first window that has not closed: of the first pane that is still part of an open one.
    fn next_window(&self, windowing: &Windowing) -> Option<Window> {
        let first = self.open_panes(windowing).next()?;
        windowing.windows(first.span).find(|window| window.end > self.closed_to)
    }

    fn look_ahead(&mut self, windowing: &Windowing) {
        self.next = self.next_window(windowing).map(|window| window.end);
    }

    fn tell(&mut self, window: Window, rule: &JobRule, tell: &mut Tell<'_>) {
        let revision = self.note(window.end);
        let behind = self.panes.iter().rev().take_while(|pane| pane.span.end > window.end).count();
        let before = self.panes.range(..self.panes.len() - behind).rev();
        let mut inside = before.take_while(|pane| pane.span.start >= window.start);
        match (inside.next(), inside.next()) {
            (None, _) => {}
            (Some(Pane { kept: Kept::Many(one), .. }), None) => tell(window, revision, one),
            (Some(one), two) => {
                let mut all = Tally::of(rule);
                let panes = std::iter::once(one).chain(two).chain(inside);
                panes.for_each(|pane| pane.kept.add_to(pane.span.start, rule, &mut all));
                tell(window, revision, &all);
            }
        }
    }

    /// Notes that the window of that end is told; returns how often it was before.
    fn note(&mut self, end: Timestamp) -> u32 {
        let behind = self.told.iter().rev().take_while(|told| told.end >= end).count();
        let index = self.told.len() - behind;
        if self.told.get(index).is_none_or(|told| told.end != end) {
            self.told.insert(index, Telling { end, times: 0 });
        }
        let revision = self.told[index].times;
        self.told[index].times = revision.saturating_add(1);
        revision
    }
}
