//! One device: how far it has come, its windows, and what is made of them.

use super::clock::{ClockModel, Fault, Judgement, Step, Verdict};
use super::config::Times;
use super::context::Context;
use super::duplicates::Seen;
use super::jobs::{self, Jobs};
use super::panes::Panes;
use super::pipeline::{Pipeline, Whom};
use super::quality;
use super::silence::Silence;
use super::window::Cell;
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
    /// Ingest time of its last message.
    #[cbor(n(5), with = "crate::cbor")]
    heard: Timestamp,
    /// Its windows.
    #[n(6)]
    panes: Panes,
    #[n(7)]
    pipeline: Pipeline,
    /// What is known of its clock.
    #[n(8)]
    clock: ClockModel,
    /// What users want to know of it.
    #[n(9)]
    jobs: Jobs,
    /// Alerts on its silence.
    #[n(10)]
    silence: Silence,
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
            heard: Timestamp::MIN,
            panes: Panes::default(),
            pipeline: Pipeline::default(),
            clock: ClockModel::default(),
            jobs: Jobs::default(),
            silence: Silence::default(),
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
        let whom = Whom { id: &self.id, entry: self.entry.as_ref() };
        self.silence.end(whom, as_of, context, out);
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
        self.run_jobs(&message, &times, as_of, context, out);
        self.close(self.progress(&times), as_of, context, out);
        self.forget(&times, as_of, context, out);
    }

    /// Shows a message to the jobs of its family.
    fn run_jobs(
        &mut self,
        message: &Observation,
        times: &Times,
        as_of: Timestamp,
        context: &Context,
        out: &mut Outputs,
    ) {
        let forgotten_to = self.progress(times) - times.allowed_lateness;
        for job in context.jobs_of(self.whom().family()) {
            let mut late = 0;
            self.tell(as_of, context, out, |jobs, tell| {
                late += usize::from(jobs.observe(*job, message, forgotten_to, &context.rules.jobs, tell));
            });
            out.count_many(Fact::JobLate, late);
        }
    }

    /// Lets jobs tell, and writes what they do.
    fn tell(
        &mut self,
        as_of: Timestamp,
        context: &Context,
        out: &mut Outputs,
        run: impl FnOnce(&mut Jobs, &mut jobs::Tell<'_>),
    ) {
        let DeviceState { id, entry, jobs, .. } = self;
        let whom = Whom { id, entry: entry.as_ref() };
        run(jobs, &mut |told| {
            for row in jobs::rows(whom, &told, as_of, context) {
                out.count(Fact::JobRow);
                out.aggregate(&row);
            }
        });
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
        let by_window = self.pipeline.act(whom, action, as_of, context);
        by_window.or_else(|| self.silence.act(whom, action, as_of, context))
    }

    /// When, in ingest time, something closes or is said although the device stays silent.
    pub fn deadline(&self, context: &Context) -> Option<Timestamp> {
        let silent = self.silence.deadline(self.whom(), self.heard, context);
        self.patience_ends(context).into_iter().chain(silent).min()
    }

    fn patience_ends(&self, context: &Context) -> Option<Timestamp> {
        Some(self.next_end(context)?.max(self.heard) + self.times(context).patience)
    }

    /// The deadline has come.
    pub fn expire(&mut self, deadline: Timestamp, context: &Context, out: &mut Outputs) {
        let is_over = self.patience_ends(context).is_some_and(|ends| ends <= deadline);
        match self.next_end(context).filter(|_| is_over) {
            Some(end) => self.close(end, deadline, context, out),
            None => {
                let whom = Whom { id: &self.id, entry: self.entry.as_ref() };
                self.silence.expire(whom, self.heard, deadline, context, out);
            }
        }
    }

    /// The first end that is still to come, event time.
    fn next_end(&self, context: &Context) -> Option<Timestamp> {
        let tag = self.pipeline.next_end(context);
        let job = self.jobs.next_end(&context.rules.jobs);
        self.panes.next_end().into_iter().chain(tag).chain(job).min()
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
        let (pane, has_closed) = self.panes.pane(window);
        let refused = pane.add(readings, context.config.max_quantities);
        out.count_many(Fact::SeriesRefused, refused);
        if has_closed {
            self.revise(window, readings, as_of, context, out);
        }
    }

    /// Closes what ends up to `to`, in order.
    fn close(&mut self, to: Timestamp, as_of: Timestamp, context: &Context, out: &mut Outputs) {
        let DeviceState { id, entry, panes, pipeline, .. } = self;
        let whom = Whom { id, entry: entry.as_ref() };
        for pane in panes.close(to) {
            let span = pane.span();
            for cell in pane.cells_mut() {
                out.count(Fact::WindowClosed);
                pipeline.window(whom, &row(whom, span, cell, as_of, context), context, out);
            }
        }
        pipeline.advance(whom, to, as_of, context, out);
        self.tell(as_of, context, out, |jobs, tell| jobs.close(to, &context.rules.jobs, tell));
    }

    /// Gives out again what late readings changed, by quantity.
    fn revise(
        &mut self,
        window: Window,
        readings: &[Reading],
        as_of: Timestamp,
        context: &Context,
        out: &mut Outputs,
    ) {
        let DeviceState { id, entry, panes, pipeline, .. } = self;
        let whom = Whom { id, entry: entry.as_ref() };
        let counts = |reading: &Reading| reading.quality.flag != Flag::Missing;
        for cell in panes.pane(window).0.cells_mut() {
            if readings.iter().any(|reading| counts(reading) && reading.quantity == cell.quantity) {
                out.count(if cell.emissions == 0 { Fact::WindowClosed } else { Fact::WindowRevised });
                pipeline.window(whom, &row(whom, window, cell, as_of, context), context, out);
            }
        }
    }

    /// Forgets closed windows that take no more readings; jobs tell first what is due by this progress.
    fn forget(&mut self, times: &Times, as_of: Timestamp, context: &Context, out: &mut Outputs) {
        let progress = self.progress(times);
        self.panes.forget(progress - times.allowed_lateness);
        self.tell(as_of, context, out, |jobs, tell| jobs.advance(progress, times, &context.rules.jobs, tell));
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
