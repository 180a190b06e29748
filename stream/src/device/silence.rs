//! Devices that fall silent: alerts on how long nothing has come, in ingest time, the one clock that goes on.

use super::context::{Change, Context};
use super::pipeline::Whom;
use crate::outputs::Outputs;
use crate::rule::{AlertLife, Lives, Seen, ThresholdRule, rule_of};
use minicbor::{Decode, Encode};
use records::{Action, Alert, Subject, Timestamp, Window};
use std::time::Duration;

/// The alerts on the silence of one device, one per rule that has found it silent.
#[derive(Clone, Debug, Default, Encode, Decode)]
pub struct Silence(#[n(0)] Lives);

impl Silence {
    /// When a device that was last heard at `heard` has been silent for long enough to reach a level. Nobody waits
    /// for a device that is disabled or was never heard. `rules`: those about its family.
    pub fn deadline(
        &self,
        whom: Whom<'_>,
        heard: Timestamp,
        rules: &[usize],
        context: &Context,
    ) -> Option<Timestamp> {
        if rules.is_empty() || heard == Timestamp::MIN || whom.entry.is_some_and(|entry| !entry.is_enabled) {
            return None;
        }
        let rules = rules.iter();
        rules.filter_map(|rule| Some(heard + self.next(*rule, &context.rules.absences[*rule])?)).min()
    }

    /// Whether an alert is raised.
    pub fn is_raised(&self) -> bool {
        self.0.is_raised()
    }

    /// The deadline has come.
    pub fn expire(
        &mut self,
        whom: Whom<'_>,
        heard: Timestamp,
        at: Timestamp,
        context: &Context,
        out: &mut Outputs,
    ) {
        for index in context.absences_of(whom.family()) {
            let rule = &context.rules.absences[*index];
            let Some(open) = self.next(*index, rule).filter(|open| heard + *open <= at) else { continue };
            // What reaches a level in milliseconds must not miss it by a rounding.
            let value = rule.levels[self.height(*index)].open.max(open.as_secs_f64());
            self.show(*index, whom, rule, at, value, out);
        }
    }

    /// The device speaks, as of which we know at `as_of`.
    pub fn end(&mut self, whom: Whom<'_>, as_of: Timestamp, context: &Context, out: &mut Outputs) {
        for index in self.0.raised() {
            self.show(index, whom, &context.rules.absences[index], as_of, 0.0, out);
        }
    }

    /// An operator acts on one of the alerts.
    pub fn act(
        &mut self,
        whom: Whom<'_>,
        action: &Action,
        as_of: Timestamp,
        context: &Context,
    ) -> Option<Alert> {
        let id = rule_of(&action.alert)?;
        let rules = &context.rules.absences;
        let rule = rules.iter().position(|rule| rule.id == id)?;
        whom.act(self.0.get_mut(rule)?, &rules[rule], action, as_of)
    }

    /// Other rules hold.
    pub fn succeed(&mut self, whom: Whom<'_>, change: &Change<'_>, as_of: Timestamp, out: &mut Outputs) {
        let rules = &change.before.rules.absences;
        self.0.succeed(&change.to.absences, |rule, life| {
            whom.withdraw(life, &rules[rule], change, as_of, out);
        });
    }

    /// How much silence it takes to reach the next level of a rule.
    fn next(&self, index: usize, rule: &ThresholdRule) -> Option<Duration> {
        let level = rule.levels.get(self.height(index))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds, more than 0")]
        let millis = (level.open * 1000.0).ceil() as u64;
        Some(Duration::from_millis(millis))
    }

    fn height(&self, index: usize) -> usize {
        self.0.get(index).map_or(0, AlertLife::height)
    }

    fn show(
        &mut self,
        index: usize,
        whom: Whom<'_>,
        rule: &ThresholdRule,
        at: Timestamp,
        value: f64,
        out: &mut Outputs,
    ) {
        let (subject, area) = (Subject::Device(whom.id.clone()), whom.area());
        let span = Window { start: at, end: at };
        let seen = Seen { span, value, is_active: true, as_of: at, is_backfill: false, words: &[] };
        if let Some(alert) = self.0.of(index).observe(&whom.about(rule, &subject, &area), &seen) {
            out.alert_of(rule, &alert);
        }
    }
}
