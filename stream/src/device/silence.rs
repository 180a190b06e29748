//! Devices that fall silent: alerts on how long nothing has come, in ingest time, the one clock that goes on.

use super::context::Context;
use super::pipeline::Whom;
use crate::outputs::Outputs;
use crate::rule::{About, AlertLife, Seen, ThresholdRule, rule_of};
use minicbor::{Decode, Encode};
use records::{Action, Alert, Subject, Timestamp, Window};
use std::time::Duration;

/// The alerts on the silence of one device, one per rule that has found it silent.
#[derive(Clone, Debug, Default, Encode, Decode)]
pub struct Silence(#[n(0)] Vec<Life>);

#[derive(Clone, Debug, Encode, Decode)]
struct Life {
    /// Its place in the rules file; state of another file is not restored.
    #[n(0)]
    rule: u32,
    #[n(1)]
    life: AlertLife,
}

impl Silence {
    /// When a device that was last heard at `heard` has been silent for long enough to reach a level. Nobody waits
    /// for a device that is disabled or was never heard.
    pub fn deadline(&self, whom: Whom<'_>, heard: Timestamp, context: &Context) -> Option<Timestamp> {
        if heard == Timestamp::MIN || whom.entry.is_some_and(|entry| !entry.is_enabled) {
            return None;
        }
        let rules = context.absences_of(whom.family()).iter();
        rules.filter_map(|rule| Some(heard + self.next(*rule, &context.rules.absences[*rule])?)).min()
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
        for place in 0..self.0.len() {
            let index = self.0[place].rule as usize;
            if self.0[place].life.height() > 0 {
                self.show(index, whom, &context.rules.absences[index], as_of, 0.0, out);
            }
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
        let life = self.0.iter_mut().find(|life| rules[life.rule as usize].id == id)?;
        let (subject, area) = (Subject::Device(whom.id.clone()), whom.area());
        life.life.act(&about(whom, &subject, &area, &rules[life.rule as usize]), action, as_of)
    }

    /// How much silence it takes to reach the next level of a rule.
    fn next(&self, index: usize, rule: &ThresholdRule) -> Option<Duration> {
        let level = rule.levels.get(self.height(index))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds, more than 0")]
        let millis = (level.open * 1000.0).ceil() as u64;
        Some(Duration::from_millis(millis))
    }

    fn height(&self, index: usize) -> usize {
        let life = self.0.iter().find(|life| life.rule as usize == index);
        life.map_or(0, |life| life.life.height())
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
        let place = self.0.iter().position(|life| life.rule as usize == index).unwrap_or_else(|| {
            let rule = u32::try_from(index).expect("a rules file has few rules");
            self.0.push(Life { rule, life: AlertLife::default() });
            self.0.len() - 1
        });
        if let Some(alert) = self.0[place].life.observe(&about(whom, &subject, &area, rule), &seen) {
            out.alert(&alert);
        }
    }
}

fn about<'a>(
    whom: Whom<'a>,
    subject: &'a Subject,
    area: &'a records::Name,
    rule: &'a ThresholdRule,
) -> About<'a> {
    About {
        rule,
        subject,
        label: whom.entry.map_or("", |entry| &entry.label),
        area,
        position: whom.entry.and_then(|entry| entry.position),
    }
}
