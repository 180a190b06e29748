//! One device: how far it has come, its windows, and what is made of them.

use super::clock::{ClockModel, Fault, Judgement, Step, Verdict};
use super::config::Times;
use super::context::Context;
use super::duplicates::Seen;
use super::pipeline::{Pipeline, Whom};
use super::quality;
use super::window::{Cell, Pane};
use crate::counts::Fact;
use crate::outputs::Outputs;
use minicbor::{Decode, Encode};
use records::{
    Action, Aggregate, Alert, Body, Device, Flag, Name, Observation, Reading, Subject, Timestamp, Window,
};

/// Everything that is remembered of a device. Nothing in it depends on other devices.
#[derive(Clone, Debug, Encode, Decode)]
pub struct DeviceState {
    #[cbor(n(0), with = "crate::cbor")]
    id: Name,
    #[cbor(n(1), with = "crate::cbor")]
    entry: Option<Device>,
    /// Its messages.
    #[n(2)]
    pub seen: Seen,
    /// Its newest event time.
    #[cbor(n(3), with = "crate::cbor")]
    newest: Timestamp,
    /// Windows up to here have closed, event time.
    #[cbor(n(4), with = "crate::cbor")]
    closed_to: Timestamp,
    /// Ingest time of its last message.
    #[cbor(n(5), with = "crate::cbor")]
    heard: Timestamp,
    /// Open windows and closed ones that still take late readings; in the order in which they close.
    #[n(6)]
    panes: Vec<Pane>,
    #[n(7)]
    pipeline: Pipeline,
    /// What is known of its clock.
    #[n(8)]
    clock: ClockModel,
    /// When somebody will look at [`DeviceState::deadline`]; never later than that.
    #[cbor(skip)]
    pub scheduled: Option<Timestamp>,
}

impl DeviceState {
    /// A device of which nothing is known.
    pub fn new(id: Name) -> DeviceState {
        DeviceState {
            id,
            entry: None,
            seen: Seen::default(),
            newest: Timestamp::MIN,
            closed_to: Timestamp::MIN,
            heard: Timestamp::MIN,
            panes: Vec::new(),
            pipeline: Pipeline::default(),
            clock: ClockModel::default(),
            scheduled: None,
        }
    }

    /// Its name.
    pub fn id(&self) -> &Name {
        &self.id
    }

    /// Ingest time of its last message.
    pub fn heard(&self) -> Timestamp {
        self.heard
    }

    /// Its registry entry.
    pub fn entry(&self) -> Option<&Device> {
        self.entry.as_ref()
    }

    /// Takes a newer registry entry.
    pub fn set_entry(&mut self, entry: Device) {
        self.entry = Some(entry);
    }

    /// Takes a message that has not been seen before, as of which we know at `as_of`.
    pub fn observe(
        &mut self,
        mut message: Observation,
        as_of: Timestamp,
        context: &Context,
        out: &mut Outputs,
    ) {
        self.heard = self.heard.max(as_of);
        let verdict = self.judge_clock(&mut message, context, out);
        self.newest = self.newest.max(message.event_time);
        let times = *self.times(context);
        let window = Window::tumbling(message.event_time, context.rules.windows.of(self.whom().family()));
        message.is_late = window.end + times.allowed_lateness <= self.progress(&times);
        judge(&mut message, verdict, out);
        if message.is_late {
            out.count(Fact::LateRouted);
        }
        out.observation(&message);
        if !message.is_late {
            self.gather(&message.body, window, verdict, as_of, context, out);
        }
        if let Body::TagReads(_) = message.body {
            let whom = Whom { id: &self.id, entry: self.entry.as_ref() };
            self.pipeline.tag_reads(whom, &message, as_of, context, out);
        }
        self.close(self.progress(&times), as_of, context, out);
        self.forget(&times);
    }

    /// Gives a message its event time.
    fn judge_clock(&mut self, message: &mut Observation, context: &Context, out: &mut Outputs) -> Verdict {
        let config = &context.config.clock;
        let judgement = self.clock.judge(message, config.policy(self.whom().family()), config);
        message.event_time = judgement.event_time;
        count_clock(&judgement, out);
        judgement.verdict
    }

    /// An operator acts on one of its alerts, as of which we know at `as_of`.
    pub fn act(&mut self, action: &Action, as_of: Timestamp, context: &Context) -> Option<Alert> {
        let whom = Whom { id: &self.id, entry: self.entry.as_ref() };
        self.pipeline.act(whom, action, as_of, context)
    }

    /// When, in ingest time, something closes although the device stays silent.
    pub fn deadline(&self, context: &Context) -> Option<Timestamp> {
        Some(self.next_end(context)?.max(self.heard) + self.times(context).patience)
    }

    /// The deadline has come.
    pub fn expire(&mut self, deadline: Timestamp, context: &Context, out: &mut Outputs) {
        if let Some(end) = self.next_end(context) {
            self.close(end, deadline, context, out);
        }
    }

    /// The first end that is still to come, event time.
    fn next_end(&self, context: &Context) -> Option<Timestamp> {
        let pane = self.panes.get(self.first_open()).map(|pane| pane.span().end);
        let tag = self.pipeline.next_end(context);
        pane.into_iter().chain(tag).min()
    }

    fn whom(&self) -> Whom<'_> {
        Whom { id: &self.id, entry: self.entry.as_ref() }
    }

    fn times<'c>(&self, context: &'c Context) -> &'c Times {
        context.times(self.whom().family())
    }

    /// How far the device has come by its own word, event time.
    fn progress(&self, times: &Times) -> Timestamp {
        self.newest - times.out_of_orderness
    }

    fn first_open(&self) -> usize {
        self.panes.partition_point(|pane| pane.span().end <= self.closed_to)
    }

    /// Adds readings to their window, and gives it out again when it has closed.
    fn gather(
        &mut self,
        body: &Body,
        window: Window,
        verdict: Verdict,
        as_of: Timestamp,
        context: &Context,
        out: &mut Outputs,
    ) {
        let counted;
        let readings = match body {
            Body::Readings(readings) => readings.as_slice(),
            Body::TagReads(reads) => {
                let value = reads.iter().map(|read| f64::from(read.count.max(1))).sum();
                let (quantity, quality) = (context.tag_reads.clone(), quality::of_count(verdict));
                counted = [Reading { quantity, value, quality }];
                &counted
            }
            Body::Passages(_) | Body::Status(_) => return,
        };
        if readings.is_empty() {
            return;
        }
        let index = self.pane(window);
        let refused = self.panes[index].add(readings, context.config.max_quantities);
        out.count_many(Fact::SeriesRefused, refused);
        if window.end <= self.closed_to {
            self.revise(index, readings, as_of, context, out);
        }
    }

    /// The index of the pane of that window.
    fn pane(&mut self, window: Window) -> usize {
        if let Some(last) = self.panes.last()
            && last.span() == window
        {
            return self.panes.len() - 1;
        }
        let order = (window.end, window.start);
        self.panes.binary_search_by_key(&order, Pane::order).unwrap_or_else(|index| {
            self.panes.insert(index, Pane::new(window));
            index
        })
    }

    /// Closes what ends up to `to`, in order.
    fn close(&mut self, to: Timestamp, as_of: Timestamp, context: &Context, out: &mut Outputs) {
        let first = self.first_open();
        self.closed_to = self.closed_to.max(to);
        let DeviceState { id, entry, panes, pipeline, .. } = self;
        let whom = Whom { id, entry: entry.as_ref() };
        for pane in panes[first..].iter_mut().take_while(|pane| pane.span().end <= to) {
            let span = pane.span();
            for cell in pane.cells_mut() {
                out.count(Fact::WindowClosed);
                pipeline.window(whom, &row(whom, span, cell, as_of, context), context, out);
            }
        }
        pipeline.advance(whom, to, as_of, context, out);
    }

    /// Gives out again what late readings changed, by quantity.
    fn revise(
        &mut self,
        index: usize,
        readings: &[Reading],
        as_of: Timestamp,
        context: &Context,
        out: &mut Outputs,
    ) {
        let DeviceState { id, entry, panes, pipeline, .. } = self;
        let whom = Whom { id, entry: entry.as_ref() };
        let span = panes[index].span();
        let counts = |reading: &Reading| reading.quality.flag != Flag::Missing;
        for cell in panes[index].cells_mut() {
            if readings.iter().any(|reading| counts(reading) && reading.quantity == cell.quantity) {
                out.count(if cell.emissions == 0 { Fact::WindowClosed } else { Fact::WindowRevised });
                pipeline.window(whom, &row(whom, span, cell, as_of, context), context, out);
            }
        }
    }

    /// Forgets closed windows that take no more readings.
    fn forget(&mut self, times: &Times) {
        let progress = self.progress(times);
        let is_over = |pane: &Pane| pane.span().end + times.allowed_lateness <= progress;
        if self.panes.first().is_some_and(is_over) {
            self.panes.retain(|pane| !is_over(pane));
        }
    }
}

fn count_clock(judgement: &Judgement, out: &mut Outputs) {
    match judgement.fault {
        Some(Fault::TooOld) => out.count(Fact::ClockTooOld),
        Some(Fault::InFuture) => out.count(Fact::ClockInFuture),
        Some(Fault::Behind) => out.count(Fact::ClockBehind),
        Some(Fault::Seconds) => out.count(Fact::ClockInSeconds),
        None => {}
    }
    match judgement.verdict {
        Verdict::Corrected => out.count(Fact::ClockCorrected),
        Verdict::Doubted => out.count(Fact::ClockDoubted),
        Verdict::Trusted | Verdict::Absent => {}
    }
    match judgement.step {
        Some(Step::Reset) => out.count(Fact::ClockReset),
        Some(Step::Zone) => out.count(Fact::ClockZone),
        Some(Step::Set) => out.count(Fact::ClockSet),
        Some(Step::Astray) => out.count(Fact::ClockAstray),
        None => {}
    }
}

/// Judges every reading.
fn judge(message: &mut Observation, verdict: Verdict, out: &mut Outputs) {
    if let Body::Readings(readings) = &mut message.body {
        let failed =
            readings.iter_mut().filter_map(|reading| quality::judge(reading, verdict).then_some(())).count();
        out.count_many(Fact::OutOfRange, failed);
    }
}

/// A series' window as it stands.
fn row(whom: Whom<'_>, window: Window, cell: &mut Cell, as_of: Timestamp, context: &Context) -> Aggregate {
    let revision = cell.emissions;
    cell.emissions = cell.emissions.saturating_add(1);
    let sum = cell.sum.round();
    let (mean, min, max) =
        if cell.good == 0 { (0.0, 0.0, 0.0) } else { (sum / f64::from(cell.good), cell.min, cell.max) };
    Aggregate {
        subject: Subject::Device(whom.id.clone()),
        area: whom.area(),
        quantity: cell.quantity.clone(),
        window,
        revision,
        count: cell.count,
        good: cell.good,
        sum,
        mean,
        min,
        max,
        as_of,
        is_backfill: window.end + context.config.backfill_after < as_of,
    }
}
