//! Windows whose place is known beforehand: tumbling, hopping by panes, calendar.

use super::kept::Kept;
use super::sight::Sight;
use super::tally::Tally;
use crate::aggregate::{Held, Step, Steps};
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
    /// By input: the last value of panes that are forgotten, for means over time.
    #[n(6)]
    before: Vec<Option<Step>>,
    /// Of a job that reads windows: those that may still be told again, by end. The others are in their panes.
    #[n(7)]
    parts: Vec<Part>,
}

#[derive(Clone, Debug, Encode, Decode)]
struct Part {
    #[cbor(n(0), with = "crate::cbor")]
    span: Window,
    #[n(1)]
    tally: Tally,
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

impl Pane {
    /// The values of an input that stand one after the other.
    fn steps(&self, input: usize) -> Option<&Steps> {
        self.kept.tally()?.values.get(input)?.steps()
    }
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
            before: Vec::new(),
            parts: Vec::new(),
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
        let kept = &mut self.panes[index].kept;
        kept.add(pane.start, sight, rule);
        let is_late = rule.hold.is_some_and(|hold| kept.stand(sight, rule, hold));
        self.has_changed = true;
        if pane.end <= self.closed_to {
            self.tell_again(index, at, forgotten_to, rule, tell);
        }
        is_late
    }

    /// Tells closed windows again that a value of that pane changes, as far as they still take it.
    fn tell_again(
        &mut self,
        index: usize,
        at: Timestamp,
        forgotten_to: Timestamp,
        rule: &JobRule,
        tell: &mut Tell<'_>,
    ) {
        let stands_to = self.stands_to(index, at, rule);
        let is_changed = |window: &Window| window.start < stands_to;
        let windows = |pane: &Pane| rule.windowing.windows(pane.span).take_while(is_changed);
        let is_told = |window: &Window| window.end <= self.closed_to && window.end > forgotten_to;
        let changed = self.panes.range(index..).take_while(|pane| windows(pane).next().is_some());
        let mut again: Vec<Window> = changed.flat_map(windows).filter(is_told).collect();
        again.sort_unstable_by_key(|window| (window.end, window.start));
        again.dedup();
        again.into_iter().for_each(|window| self.tell(window, window.end, rule, tell));
    }

    /// Takes a window of the job that this one reads, in place of what that told of it before; tells closed windows again
    /// that still take it.
    pub fn put(
        &mut self,
        span: Window,
        tally: Tally,
        forgotten_to: Timestamp,
        rule: &JobRule,
        tell: &mut Tell<'_>,
    ) {
        let pane = self.pane(span.start, &rule.windowing);
        let index = self.place(pane, rule);
        let place = self.parts.partition_point(|known| known.span.end < span.end);
        match self.parts.get_mut(place).filter(|known| known.span == span) {
            Some(known) => known.tally = tally,
            None => self.parts.insert(place, Part { span, tally }),
        }
        self.has_changed = true;
        self.tell_again(index, span.start, forgotten_to, rule, tell);
    }

    /// Up to when a value of that pane changes what is known: to the end of the pane, and in means over time for as
    /// long as it stands.
    fn stands_to(&self, index: usize, at: Timestamp, rule: &JobRule) -> Timestamp {
        let panes = || self.panes.range(index..);
        let stands = |input: usize| {
            let hold =
                rule.hold.filter(|_| self.panes[index].steps(input).is_some_and(|steps| steps.has(at)))?;
            let mut reached = panes().take_while(|pane| pane.span.start < at + hold);
            let next = reached.find_map(|pane| pane.steps(input)?.next(at));
            Some(next.map_or(at + hold, |next| next.min(at + hold)))
        };
        (0..rule.inputs.len()).filter_map(stands).fold(self.panes[index].span.end, Timestamp::max)
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
                self.tell(window, window.end, rule, tell);
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
        open.into_iter().for_each(|window| self.tell(window, mark, rule, tell));
    }

    /// Forgets panes of which every window ends up to `to`.
    pub fn forget(&mut self, to: Timestamp, windowing: &Windowing) {
        let over = self.parts.partition_point(|part| part.span.end <= to);
        for Part { span, tally } in self.parts.drain(..over) {
            if let Some(pane) = self.panes.iter_mut().find(|pane| pane.span.holds(span.start)) {
                pane.kept.merge(&tally);
            }
        }
        while self.panes.front().is_some_and(|pane| windowing.last_end(pane.span) <= to) {
            self.forget_first();
        }
        while self.told.front().is_some_and(|told| told.end <= to) {
            self.told.pop_front();
        }
    }

    /// Forgets the first pane but for the value that stands at its end.
    fn forget_first(&mut self) {
        let Some(pane) = self.panes.pop_front() else { return };
        for (input, values) in pane.kept.tally().into_iter().flat_map(|tally| tally.values.iter().enumerate())
        {
            let Some(last) = values.steps().and_then(Steps::last) else { continue };
            self.before.resize(self.before.len().max(input + 1), None);
            self.before[input] = Some(last);
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

    /// Tells a window; for means over time as of `known_to`, to its end at most.
    fn tell(&mut self, window: Window, known_to: Timestamp, rule: &JobRule, tell: &mut Tell<'_>) {
        let revision = self.note(window.end);
        let mut inside = self.inside(window);
        match (inside.next(), inside.next()) {
            (None, _) => {}
            (Some(Pane { kept: Kept::Many(one), .. }), None) if rule.is_told_as_kept() => {
                tell(window, revision, one);
            }
            (Some(one), two) => {
                let mut all = Tally::of(rule);
                let panes = std::iter::once(one).chain(two).chain(inside);
                panes.for_each(|pane| pane.kept.add_to(pane.span.start, rule, &mut all));
                self.parts_inside(window).for_each(|part| all.merge(&part.tally));
                if let Some(hold) = rule.hold {
                    self.weigh(window, known_to, rule, hold, &mut all);
                }
                tell(window, revision, &all);
            }
        }
    }

    /// The panes of a window, from the last.
    fn inside(&self, window: Window) -> impl Iterator<Item = &Pane> {
        let behind = self.panes.iter().rev().take_while(|pane| pane.span.end > window.end).count();
        let before = self.panes.range(..self.panes.len() - behind).rev();
        before.take_while(move |pane| pane.span.start >= window.start)
    }

    /// The windows of the job that this one reads which are in a window, and may still be told again.
    fn parts_inside(&self, window: Window) -> impl Iterator<Item = &Part> {
        let is_inside = move |part: &&Part| window.start <= part.span.start && part.span.end <= window.end;
        self.parts.iter().filter(is_inside)
    }

    /// Adds how long each value stood in a window.
    fn weigh(&self, window: Window, known_to: Timestamp, rule: &JobRule, hold: Duration, all: &mut Tally) {
        let span = Window { start: window.start, end: window.end.min(known_to) };
        let weighed = all.values.iter_mut().enumerate().filter(|(input, _)| rule.inputs[*input].wants.steps);
        for (input, values) in weighed {
            let inside: Vec<&Steps> = self.inside(window).filter_map(|pane| pane.steps(input)).collect();
            let in_order = inside.into_iter().rev();
            values.set_held(Held::of(in_order, self.last_before(window.start, input), span, hold));
        }
    }

    /// The last value of an input before an instant where panes meet.
    fn last_before(&self, at: Timestamp, input: usize) -> Option<Step> {
        let mut known = self.panes.iter().rev().skip_while(|pane| pane.span.start >= at);
        let last = known.find_map(|pane| pane.steps(input)?.last());
        last.or_else(|| *self.before.get(input)?)
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
