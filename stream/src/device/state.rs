//! One device: how far it has come, its windows, and what is made of them.

mod expiry;
mod facts;
mod rows;
mod succession;

use super::clock::{ClockModel, Verdict};
use super::config::Times;
use super::context::Context;
use super::duplicates::Seen;
use super::jobs::{self, Concerned, Jobs, Sight};
use super::ledger::Ledger;
use super::order::Arrived;
use super::ordered::{Now, Ordered};
use super::panes::Panes;
use super::pipeline::{Pipeline, Whom};
use super::quality::{self, RuleOf};
use super::silence::Silence;
use crate::counts::Fact;
use crate::outputs::Outputs;
use crate::rule::QualityRule;
use minicbor::{Decode, Encode};
use records::{
    AccountItem, Action, Alert, Body, Device, Family, Flag, Name, Observation, Quantity, Reading, Timestamp,
    Window,
};

/// Everything that is remembered of a device. Nothing in it depends on other devices.
#[derive(Clone, Debug, Encode, Decode)]
pub struct DeviceState {
    #[cbor(n(0), with = "crate::cbor")]
    id: Name,
    #[cbor(n(1), with = "crate::cbor")]
    entry: Option<Box<Device>>,
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
    /// Of its entry, which stands somewhere else.
    #[cbor(skip)]
    family: Option<Family>,
    /// What is expected of its values where it stands, by the limits of its entry.
    #[cbor(skip)]
    site: Option<Box<[QualityRule]>>,
    /// Which jobs its messages are shown to, once there are any.
    #[cbor(skip)]
    concerned: Option<Box<Concerned>>,
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
            family: None,
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
            concerned: None,
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
        self.entry.as_deref()
    }

    /// Takes a newer registry entry.
    pub fn set_entry(&mut self, entry: Device, context: &Context) {
        self.entry = Some(Box::new(entry));
        self.restored(context);
    }

    /// Builds again what a snapshot leaves out.
    pub fn restored(&mut self, context: &Context) {
        self.concerned = None;
        self.family = self.entry.as_ref().map(|entry| entry.family);
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
        let whom = Whom { id: &self.id, entry: self.entry.as_deref() };
        self.silence.end(whom, as_of, context, out);
        let verdict = self.judge_clock(&mut message, context, out);
        self.newest = self.newest.max(message.event_time);
        let times = *self.times(context);
        let window = Window::tumbling(message.event_time, context.rules.windows.of(self.family()));
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
        self.ordered.is_some() || self.site.is_some() || context.depends_on_order(self.family())
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
        let (family, site) = (self.family(), self.site.take());
        let rule_of = |code: u16| rule_of(site.as_deref(), family, code, context);
        run(&mut ordered, &rule_of, &mut |arrived| self.accept(arrived, as_of, context, out));
        (self.ordered, self.site) = (Some(ordered), site);
    }

    /// Takes a message that has had its turn: passes it on, and adds it to its windows.
    fn accept(&mut self, arrived: Arrived, as_of: Timestamp, context: &Context, out: &mut Outputs) {
        let Arrived { message, verdict, forgotten_to, .. } = arrived;
        facts::count_tests(&message, out);
        self.note_values(&message);
        out.observation(&message);
        if !message.is_late {
            let size = context.rules.windows.of(self.family());
            let window = Window::tumbling(message.event_time, size);
            self.gather(&message.body, window, verdict, as_of, context, out);
        }
        if let Body::TagReads(_) = message.body {
            let whom = Whom { id: &self.id, entry: self.entry.as_deref() };
            self.pipeline.tag_reads(whom, &message, as_of, context, out);
        }
        let whom = Whom { id: &self.id, entry: self.entry.as_deref() };
        self.pipeline.message(whom, &message, context, out);
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
        let Body::Readings(readings) = &message.body else { return };
        if context.jobs_of(self.family()).is_empty() {
            return;
        }
        let mut concerned = self.concerned.take().unwrap_or_default();
        for job in concerned.jobs(readings, self.whom(), context) {
            let mut late = 0;
            if message.event_time < self.let_go_to {
                out.count(Fact::JobLate);
                continue;
            }
            self.tell(as_of, context, out, |jobs, whom, tell| {
                let sight = Sight { message, whom, places: &context.rules.places };
                let job = *job as usize;
                late += usize::from(jobs.observe(job, &sight, forgotten_to, &context.rules.jobs, tell));
            });
            out.count_many(Fact::JobLate, late);
        }
        self.concerned = Some(concerned);
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
        let whom = Whom { id, entry: entry.as_deref() };
        run(jobs, whom, &mut |told| {
            jobs::write(whom, &told, as_of, context, out);
        });
    }

    /// Gives a message its event time.
    fn judge_clock(&mut self, message: &mut Observation, context: &Context, out: &mut Outputs) -> Verdict {
        let config = &context.config.clock;
        let judgement = self.clock.judge(message, config.policy(self.family()), config);
        message.event_time = judgement.event_time;
        facts::count_clock(&judgement, out);
        judgement.verdict
    }

    /// Judges every reading by itself.
    fn judge(&self, message: &mut Observation, verdict: Verdict, context: &Context, out: &mut Outputs) {
        let Body::Readings(readings) = &mut message.body else { return };
        let (family, site) = (self.family(), self.site.as_deref());
        let mut failed = 0;
        for reading in readings {
            let rule = reading.quantity.code().and_then(|code| rule_of(site, family, code, context));
            failed += usize::from(quality::judge(reading, message.event_time, rule, verdict));
        }
        out.count_many(Fact::OutOfRange, failed);
    }

    /// An operator acts on one of its alerts, as of which we know at `as_of`.
    pub fn act(&mut self, action: &Action, as_of: Timestamp, context: &Context) -> Option<Alert> {
        let whom = Whom { id: &self.id, entry: self.entry.as_deref() };
        let by_window = self.pipeline.act(whom, action, as_of, context);
        by_window.or_else(|| self.silence.act(whom, action, as_of, context))
    }

    /// What it is; [`Family::Other`] while nobody has said.
    fn family(&self) -> Family {
        self.family.unwrap_or(Family::Other)
    }

    fn whom(&self) -> Whom<'_> {
        Whom { id: &self.id, entry: self.entry.as_deref() }
    }

    fn times<'c>(&self, context: &'c Context) -> &'c Times {
        context.times(self.family())
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
        let DeviceState { id, entry, panes, pipeline, ledger, .. } = self;
        let whom = Whom { id, entry: entry.as_deref() };
        panes.change(window, |pane, has_closed| {
            let refused = pane.add(readings, context.config.max_quantities);
            out.count_many(Fact::SeriesRefused, refused);
            if has_closed {
                ledger.note(AccountItem::LateRevised, 1);
                rows::revise(pane, readings, whom, pipeline, as_of, context, out);
            }
        });
    }

    /// Closes what ends up to `to`, in order.
    fn close(&mut self, to: Timestamp, as_of: Timestamp, context: &Context, out: &mut Outputs) {
        let DeviceState { id, entry, panes, pipeline, .. } = self;
        let whom = Whom { id, entry: entry.as_deref() };
        panes.close(to, |pane| rows::give(pane, whom, pipeline, as_of, context, out));
        pipeline.advance(whom, to, as_of, context, out);
        self.tell(as_of, context, out, |jobs, _, tell| jobs.close(to, &context.rules.jobs, tell));
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
