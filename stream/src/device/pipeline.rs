//! What is made of a device's closed windows and tag reads, use case by use case.

use super::context::{Change, Context};
use super::patterns::Patterns;
use super::watch::Looked;
use crate::counts::Fact;
use crate::domain::tags::{Merger, Place};
use crate::domain::{air, plant, weather};
use crate::outputs::Outputs;
use crate::rule::{About, AlertLife, Lives, Seen, ThresholdRule, Word, rule_of, why};
use minicbor::{Decode, Encode};
use records::{Action, Aggregate, Alert, Device, Family, Name, Observation, Position, Subject, Timestamp};

/// The state of the operators of one device.
#[derive(Clone, Debug, Default, Encode, Decode)]
pub struct Pipeline {
    #[n(0)]
    rain: Option<Box<weather::RainSum>>,
    #[n(1)]
    tags: Option<Box<Merger>>,
    /// One per rule that has an alert, or may come to one.
    #[n(2)]
    lives: Lives,
    /// How far all rules have looked.
    #[n(3)]
    looked: Looked,
    /// What it says one after the other, once a rule is about that.
    #[n(4)]
    patterns: Option<Box<Patterns>>,
}

/// Whom it is about.
#[derive(Clone, Copy)]
pub struct Whom<'a> {
    /// The device.
    pub id: &'a Name,
    /// Its registry entry, once that has come.
    pub entry: Option<&'a Device>,
}

impl Whom<'_> {
    /// What it is; [`Family::Other`] while nobody has said.
    pub fn family(&self) -> Family {
        self.entry.map_or(Family::Other, |entry| entry.family)
    }

    /// What it rolls up into; empty while nobody has said.
    pub fn area(&self) -> Name {
        self.entry.map_or_else(Name::default, |entry| entry.area.clone())
    }

    /// Where it was: where its message says, else where it stands.
    pub fn position(&self, message: &Observation) -> Option<Position> {
        message.position.or_else(|| self.entry.and_then(|entry| entry.position))
    }

    /// What an alert of a rule says of it.
    pub fn about<'s>(self, rule: &'s ThresholdRule, subject: &'s Subject, area: &'s Name) -> About<'s>
    where
        Self: 's,
    {
        About {
            rule,
            subject,
            label: self.entry.map_or("", |entry| &entry.label),
            area,
            position: self.entry.and_then(|entry| entry.position),
        }
    }
}

impl Whom<'_> {
    /// An operator acts on the alert of a rule.
    pub fn act(
        self,
        life: &mut AlertLife,
        rule: &ThresholdRule,
        action: &Action,
        as_of: Timestamp,
    ) -> Option<Alert> {
        let (subject, area) = (Subject::Device(self.id.clone()), self.area());
        life.act(&self.about(rule, &subject, &area), action, as_of)
    }

    /// A rule is no more: its alert, if there is one, ends.
    pub fn withdraw(
        self,
        life: AlertLife,
        rule: &ThresholdRule,
        change: &Change<'_>,
        as_of: Timestamp,
        out: &mut Outputs,
    ) {
        let (subject, area) = (Subject::Device(self.id.clone()), self.area());
        let about = self.about(rule, &subject, &area);
        if let Some(alert) = life.withdraw(&about, why(rule, &change.after.rules), as_of) {
            out.alert_of(rule, &alert);
        }
    }
}

impl Pipeline {
    /// Takes a closed window and writes it, what derives from it, and what the rules say about both.
    pub fn window(&mut self, whom: Whom<'_>, row: &Aggregate, context: &Context, out: &mut Outputs) {
        out.aggregate(row);
        match whom.family() {
            Family::Air => self.air(whom, row, context, out),
            Family::Weather => self.weather(whom, row, context, out),
            Family::Machine => self.plant(whom, row, context, out),
            Family::Water | Family::Traffic | Family::Rfid | Family::Other => {}
        }
        if whom.family() != Family::Machine {
            self.judge(whom, row, true, &[], context, out);
        }
    }

    /// PM2.5 of an hour → sub-index of the hour → rules.
    fn air(&mut self, whom: Whom<'_>, row: &Aggregate, context: &Context, out: &mut Outputs) {
        let Some(index) = air::iaqi_of_hour(row, &context.rules.air) else { return };
        out.aggregate(&index);
        self.judge(whom, &index, true, &[], context, out);
    }

    /// Rain of a minute → rain of three hours → rules, which open only while it continues.
    fn weather(&mut self, whom: Whom<'_>, row: &Aggregate, context: &Context, out: &mut Outputs) {
        let rain = self.rain.get_or_insert_default().observe(row, &context.rules.rain);
        let Some(weather::Rain { sum, is_continuing, is_news }) = rain else { return };
        if is_news {
            out.aggregate(&sum);
        }
        self.judge(whom, &sum, is_continuing, &[], context, out);
    }

    /// Vibration of a minute → rules, which may name the zone.
    fn plant(&mut self, whom: Whom<'_>, row: &Aggregate, context: &Context, out: &mut Outputs) {
        let zone = plant::zone(row.mean, &context.rules.plant);
        self.judge(whom, row, true, &[(Word::Zone, zone)], context, out);
    }

    /// Tag reads of a message → sightings.
    pub fn tag_reads(
        &mut self,
        whom: Whom<'_>,
        message: &Observation,
        as_of: Timestamp,
        context: &Context,
        out: &mut Outputs,
    ) {
        let place = Place { device: whom.id, area: &whom.area(), as_of };
        let merger = self.tags.get_or_insert_default();
        for sighting in merger.observe(&place, message, &context.rules.tags) {
            out.count(Fact::Sighted);
            out.sighting(&sighting);
        }
    }

    /// A message, for rules on what is said one after the other.
    pub fn message(&mut self, whom: Whom<'_>, message: &Observation, context: &Context, out: &mut Outputs) {
        if !context.patterns_of(whom.family()).is_empty() {
            self.patterns.get_or_insert_default().observe(whom, message, context, out);
        }
    }

    /// The device has come to `reached`: tags that it has not read for long have left, and what was said before is in
    /// order.
    pub fn advance(
        &mut self,
        whom: Whom<'_>,
        reached: Timestamp,
        as_of: Timestamp,
        context: &Context,
        out: &mut Outputs,
    ) {
        if let Some(patterns) = &mut self.patterns {
            patterns.advance(whom, reached, as_of, context, out);
        }
        let Some(merger) = &mut self.tags else { return };
        let place = Place { device: whom.id, area: &whom.area(), as_of };
        for sighting in merger.advance(&place, reached, &context.rules.tags) {
            out.count(Fact::Sighted);
            out.sighting(&sighting);
        }
    }

    /// Whether an alert is raised.
    pub fn is_raised(&self) -> bool {
        self.lives.is_raised() || self.patterns.as_ref().is_some_and(|patterns| patterns.is_raised())
    }

    /// Its raised alerts, and nothing else.
    pub fn into_raised(self) -> Pipeline {
        Pipeline { lives: self.lives.into_raised(), ..Pipeline::default() }
    }

    /// Other rules hold.
    pub fn succeed(&mut self, whom: Whom<'_>, change: &Change<'_>, as_of: Timestamp, out: &mut Outputs) {
        let rules = &change.before.rules.thresholds;
        self.lives.succeed(&change.to.thresholds, |rule, life| {
            whom.withdraw(life, &rules[rule], change, as_of, out);
        });
        let rules = &change.before.rules.patterns;
        if let Some(patterns) = &mut self.patterns {
            patterns.succeed(&change.to.patterns, |rule, life| {
                whom.withdraw(life, &rules[rule].alert, change, as_of, out);
            });
        }
    }

    /// When, in event time, [`Pipeline::advance`] has something to do.
    pub fn next_end(&self, context: &Context) -> Option<Timestamp> {
        let tag = self.tags.as_ref().and_then(|tags| tags.next_end(&context.rules.tags));
        let pattern = self.patterns.as_ref().and_then(|patterns| patterns.next_end(context));
        tag.into_iter().chain(pattern).min()
    }

    /// An operator acts on an alert of the device.
    pub fn act(
        &mut self,
        whom: Whom<'_>,
        action: &Action,
        as_of: Timestamp,
        context: &Context,
    ) -> Option<Alert> {
        let of_pattern =
            self.patterns.as_mut().and_then(|patterns| patterns.act(whom, action, as_of, context));
        if of_pattern.is_some() {
            return of_pattern;
        }
        let id = rule_of(&action.alert)?;
        let rule = context.rules.thresholds.iter().position(|rule| rule.id == id)?;
        whom.act(self.lives.get_mut(rule)?, &context.rules.thresholds[rule], action, as_of)
    }

    /// Shows a row to the rules of its quantity. Only a window's first closing counts: a revision would show them
    /// an older time than they have seen.
    fn judge(
        &mut self,
        whom: Whom<'_>,
        row: &Aggregate,
        is_active: bool,
        words: &[(Word, &str)],
        context: &Context,
        out: &mut Outputs,
    ) {
        if row.revision > 0 || row.good == 0 || !row.mean.is_finite() {
            return;
        }
        let Some(watched) = context.watch(whom.family()).of(&row.quantity) else { return };
        let is_new = self.looked.look(&row.quantity, row.window.end);
        let rules = &context.rules.thresholds;
        let is_about = |rule: &ThresholdRule| rule.family == whom.family() && rule.quantity == row.quantity;
        let alive = self.lives.rules().filter(|rule| is_about(&rules[*rule as usize]));
        for rule in watched.looking(row.mean, is_new, is_active, alive) {
            let rule = rule as usize;
            let (span, value) = (row.window, row.mean);
            let (as_of, is_backfill) = (row.as_of, row.is_backfill);
            let seen = Seen { span, value, is_active, as_of, is_backfill, words };
            let about = whom.about(&rules[rule], &row.subject, &row.area);
            if let Some(alert) = self.lives.of(rule).observe(&about, &seen) {
                out.alert_of(about.rule, &alert);
            }
            self.lives.forget_at_rest(rule);
        }
    }
}
