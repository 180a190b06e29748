//! What becomes of a device that says nothing: windows close for want of patience, silence is told, and at last its
//! state is let go.

use super::DeviceState;
use crate::counts::Fact;
use crate::device::context::Context;
use crate::device::ordered::Now;
use crate::device::pipeline::Whom;
use crate::outputs::Outputs;
use records::Timestamp;

impl DeviceState {
    /// When, in ingest time, something closes, is said or is let go although the device stays silent.
    pub fn deadline(&self, context: &Context) -> Option<Timestamp> {
        self.due(context).or_else(|| self.idle_from(context))
    }

    /// When something closes or is said.
    fn due(&self, context: &Context) -> Option<Timestamp> {
        let silent = self.silent_at(context);
        let turn = self.ordered.as_ref().and_then(|ordered| ordered.deadline());
        let told = self.ledger.deadline();
        self.patience_ends(context).into_iter().chain(silent).chain(turn).chain(told).min()
    }

    fn silent_at(&self, context: &Context) -> Option<Timestamp> {
        let rules = context.absences_of(self.family());
        self.silence.deadline(self.whom(), self.heard, rules, context)
    }

    fn patience_ends(&self, context: &Context) -> Option<Timestamp> {
        Some(self.next_end(context)?.max(self.heard) + self.times(context).patience)
    }

    /// The deadline has come.
    pub fn expire(&mut self, deadline: Timestamp, context: &Context, out: &mut Outputs) {
        if self.due(context).is_none() {
            return self.let_go(context, out);
        }
        self.ledger.expire(&self.id, deadline, out);
        let is_over = self.patience_ends(context).is_some_and(|ends| ends <= deadline);
        let has_turn = self.ordered.as_ref().and_then(|ordered| ordered.deadline()).is_some();
        if has_turn {
            // A window that closes for want of patience takes with it what still waits to be in it.
            let progress = self.next_end(context).filter(|_| is_over).unwrap_or(Timestamp::MIN);
            let now = Now { as_of: deadline, progress };
            self.in_turn(context, out, deadline, |ordered, rule_of, go| ordered.expire(now, rule_of, go));
            // Windows that waited for it close with it.
            self.close(self.settled(self.times(context)), deadline, context, out);
        }
        if let Some(end) = self.next_end(context).filter(|_| is_over) {
            return self.close(end, deadline, context, out);
        }
        let whom = Whom { id: &self.id, entry: self.entry.as_deref() };
        if self.silent_at(context).is_some_and(|due| due <= deadline) {
            self.silence.expire(whom, self.heard, deadline, context, out);
        }
    }

    /// The first end that is still to come, event time.
    fn next_end(&self, context: &Context) -> Option<Timestamp> {
        let tag = self.pipeline.next_end(context);
        let job = self.jobs.next_end(&context.rules.jobs);
        self.panes.next_end().into_iter().chain(tag).chain(job).min()
    }

    /// When the device has said nothing, not even something known, for so long that its state is let go: counted
    /// from the end of the hour of its last message.
    pub fn idle_from(&self, context: &Context) -> Option<Timestamp> {
        let last = self.ledger.ends().filter(|_| !self.is_idle)?;
        Some(last + context.config.idle_after + self.times(context).allowed_lateness)
    }

    /// Whether nothing is known of it, so that it may as well be a stranger.
    pub fn is_forgotten(&self) -> bool {
        self.is_idle && self.entry.is_none() && !self.has_alert()
    }

    fn has_alert(&self) -> bool {
        self.silence.is_raised() || self.pipeline.is_raised()
    }

    /// Lets go of what is only good for messages to come: clock, numbers, order, windows. Alerts stay open, the
    /// registry's entry stays, and what was told is not told anew. A stranger without alerts is forgotten altogether.
    fn let_go(&mut self, context: &Context, out: &mut Outputs) {
        out.count(Fact::DeviceIdle);
        let is_stranger = self.entry.is_none() && !self.has_alert();
        let fresh = DeviceState::new(self.id.clone());
        let before = std::mem::replace(self, fresh);
        self.is_idle = true;
        self.ledger = before.ledger;
        self.scheduled = before.scheduled;
        if is_stranger {
            return;
        }
        self.let_go_to = before.let_go_to.max(before.panes.closed_to());
        self.heard = before.heard;
        self.silence = before.silence;
        self.pipeline = before.pipeline.into_raised();
        self.entry = before.entry;
        self.restored(context);
    }
}
