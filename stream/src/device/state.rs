//! One device: how far it has come, its windows, and what is made of them.

mod expiry;

use super::clock::{ClockModel, Fault, Judgement, Step, Verdict};
use super::config::Times;
use super::context::Context;
use super::duplicates::Seen;
use super::jobs::{self, Jobs, Sight};
use super::ledger::Ledger;
use super::order::Arrived;
use super::ordered::{Now, Ordered};
use super::panes::Panes;
use super::pipeline::{Pipeline, Whom};
use super::quality::{self, RuleOf};
use super::silence::Silence;
use super::window::Cell;
use crate::counts::Fact;
use crate::outputs::Outputs;
use crate::rule::QualityRule;
use minicbor::{Decode, Encode};
use records::{
    AccountItem, Action, Aggregate, Alert, Body, Device, Family, Flag, Name, Observation, Quantity, Reading,
    Subject, Test, Timestamp, Window,
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
    /// What waits for its turn, and the values that the next ones are compared with.
    #[n(11)]
    ordered: Option<Box<Ordered>>,
    /// What became of its messages.
    #[n(12)]
    pub ledger: Ledger,
    /// What it said before this was told and let go when it fell idle, event time.
    #[cbor(n(13), with = "crate::cbor")]
    let_go_to: Timestamp,
    /// It said nothing for so long that its state was let go.
    #[n(14)]
    is_idle: bool,
    /// What is expected of its values where it stands, by the limits of its entry.
    #[cbor(skip)]
    site: Option<Box<[QualityRule]>>,
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
            ordered: None,
            ledger: Ledger::default(),
            let_go_to: Timestamp::MIN,
            is_idle: false,
            site: None,
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
    pub fn set_entry(&mut self, entry: Device, context: &Context) {
        self.entry = Some(entry);
        self.restored(context);
    }

    /// Builds again what a snapshot leaves out.
    pub fn restored(&mut self, context: &Context) {
        let entry = self.entry.as_ref().filter(|entry| !entry.limits.is_empty());
        self.site = entry.map(|entry| {
            let of_family = |quantity: &Quantity| context.quality_of(entry.family, quantity.code()?);
            QualityRule::of_site(entry.family, &entry.limits, of_family).into()
        });
    }

    /// A message has come, whatever becomes of it.
    pub fn receive(&mut self, ingest_time: Timestamp, context: &Context, out: &mut Outputs) {
        self.is_idle = false;
        self.ledger.expire(&self.id, ingest_time, out);
        self.ledger.begin(&self.id, ingest_time, context.config.ledger_every, out);
        self.ledger.note(AccountItem::Received, 1);
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
        let progress = self.progress(&times);
        let forgotten_to = (progress - times.allowed_lateness).max(self.let_go_to);
        message.is_late = window.end <= forgotten_to;
        if message.is_late {
            out.count(Fact::LateRouted);
        }
        self.ledger.note(if message.is_late { AccountItem::LateRouted } else { AccountItem::Accepted }, 1);
        self.judge(&mut message, verdict, context, out);
        let arrived = Arrived { message, verdict, forgotten_to, due: as_of + times.out_of_orderness };
        match self.depends_on_order(context) {
            true => self.arrive(arrived, Now { as_of, progress }, context, out),
            false => self.accept(arrived, as_of, context, out),
        }
        self.close(self.settled(&times), as_of, context, out);
        self.forget(&times, as_of, context, out);
    }

    /// Whether its messages must be put in order.
    fn depends_on_order(&self, context: &Context) -> bool {
        self.ordered.is_some() || self.site.is_some() || context.depends_on_order(self.whom().family())
    }

    /// A message takes its turn, and so do those that waited for it.
    fn arrive(&mut self, arrived: Arrived, now: Now, context: &Context, out: &mut Outputs) {
        self.in_turn(context, out, now.as_of, |ordered, rule_of, go| {
            ordered.arrive(arrived, now, rule_of, go)
        });
    }

    /// Shows to what is in order, and accepts what goes on.
    fn in_turn(
        &mut self,
        context: &Context,
        out: &mut Outputs,
        as_of: Timestamp,
        run: impl FnOnce(&mut Ordered, RuleOf<'_>, &mut dyn FnMut(Arrived)),
    ) {
        let mut ordered = self.ordered.take().unwrap_or_default();
        let (family, site) = (self.whom().family(), self.site.take());
        let rule_of = |code: u16| rule_of(site.as_deref(), family, code, context);
        run(&mut ordered, &rule_of, &mut |arrived| self.accept(arrived, as_of, context, out));
        (self.ordered, self.site) = (Some(ordered), site);
    }

    /// Takes a message that has had its turn: passes it on, and adds it to its windows.
    fn accept(&mut self, arrived: Arrived, as_of: Timestamp, context: &Context, out: &mut Outputs) {
        let Arrived { message, verdict, forgotten_to, .. } = arrived;
        count_tests(&message, out);
        self.note_values(&message);
        out.observation(&message);
        if !message.is_late {
            let size = context.rules.windows.of(self.whom().family());
            let window = Window::tumbling(message.event_time, size);
            self.gather(&message.body, window, verdict, as_of, context, out);
        }
        if let Body::TagReads(_) = message.body {
            let whom = Whom { id: &self.id, entry: self.entry.as_ref() };
            self.pipeline.tag_reads(whom, &message, as_of, context, out);
        }
        self.run_jobs(&message, forgotten_to, as_of, context, out);
    }

    fn note_values(&mut self, message: &Observation) {
        let Body::Readings(readings) = &message.body else { return };
        self.ledger.note(AccountItem::Readings, readings.len());
        for (flag, item) in [(Flag::Suspect, AccountItem::Suspect), (Flag::Bad, AccountItem::Bad)] {
            self.ledger.note(item, readings.iter().filter(|reading| reading.quality.flag == flag).count());
        }
    }

    /// Shows a message to the jobs of its family.
    fn run_jobs(
        &mut self,
        message: &Observation,
        forgotten_to: Timestamp,
        as_of: Timestamp,
        context: &Context,
        out: &mut Outputs,
    ) {
        for job in context.jobs_of(self.whom().family()) {
            let mut late = 0;
            if message.event_time < self.let_go_to {
                out.count(Fact::JobLate);
                continue;
            }
            self.tell(as_of, context, out, |jobs, whom, tell| {
                let sight = Sight { message, whom };
                late += usize::from(jobs.observe(*job, &sight, forgotten_to, &context.rules.jobs, tell));
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
        run: impl FnOnce(&mut Jobs, Whom<'_>, &mut jobs::Tell<'_>),
    ) {
        let DeviceState { id, entry, jobs, .. } = self;
        let whom = Whom { id, entry: entry.as_ref() };
        run(jobs, whom, &mut |told| {
            jobs::write(whom, &told, as_of, context, out);
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

    /// Judges every reading by itself.
    fn judge(&self, message: &mut Observation, verdict: Verdict, context: &Context, out: &mut Outputs) {
        let Body::Readings(readings) = &mut message.body else { return };
        let (family, site) = (self.whom().family(), self.site.as_deref());
        let mut failed = 0;
        for reading in readings {
            let rule = reading.quantity.code().and_then(|code| rule_of(site, family, code, context));
            failed += usize::from(quality::judge(reading, message.event_time, rule, verdict));
        }
        out.count_many(Fact::OutOfRange, failed);
    }

    /// An operator acts on one of its alerts, as of which we know at `as_of`.
    pub fn act(&mut self, action: &Action, as_of: Timestamp, context: &Context) -> Option<Alert> {
        let whom = Whom { id: &self.id, entry: self.entry.as_ref() };
        let by_window = self.pipeline.act(whom, action, as_of, context);
        by_window.or_else(|| self.silence.act(whom, action, as_of, context))
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

    /// How far nothing that has come is open any more, event time.
    fn settled(&self, times: &Times) -> Timestamp {
        let jump = self.ordered.as_ref().and_then(|ordered| ordered.first_jump());
        jump.into_iter().fold(self.progress(times), Timestamp::min)
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
            self.ledger.note(AccountItem::LateRevised, 1);
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
        self.tell(as_of, context, out, |jobs, _, tell| jobs.close(to, &context.rules.jobs, tell));
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
        let progress = self.settled(times);
        self.panes.forget(progress - times.allowed_lateness);
        self.tell(as_of, context, out, |jobs, _, tell| {
            jobs.advance(progress, times, &context.rules.jobs, tell)
        });
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

/// What is expected of a quantity: where the device stands, or of its family.
fn rule_of<'r>(
    site: Option<&'r [QualityRule]>,
    family: Family,
    code: u16,
    context: &'r Context,
) -> Option<&'r QualityRule> {
    let own = site.and_then(|rules| rules.iter().find(|rule| rule.quantity.code() == Some(code)));
    own.or_else(|| context.quality_of(family, code))
}

/// Counts what the tests that depend on order have found.
fn count_tests(message: &Observation, out: &mut Outputs) {
    let Body::Readings(readings) = &message.body else { return };
    if readings.iter().all(|reading| reading.quality.tests == 0) {
        return;
    }
    for (test, fact) in [
        (Test::Gap, Fact::AfterGap),
        (Test::Spike, Fact::Spike),
        (Test::Rate, Fact::TooFast),
        (Test::FlatLine, Fact::FlatLine),
    ] {
        out.count_many(fact, readings.iter().filter(|reading| reading.quality.has_failed(test)).count());
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
