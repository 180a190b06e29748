//! What a device says one after the other, in order of event time: pattern rules.

use super::context::Context;
use super::pipeline::Whom;
use crate::counts::Fact;
use crate::outputs::Outputs;
use crate::rule::{
    AboutDevice, AboutReading, AlertLife, MOST_OCCURRENCES, PatternRule, Places, Seen, Successors, Word,
    rule_of,
};
use minicbor::{Decode, Encode};
use records::{
    Action, Alert, Body, Family, Flag, Observation, Quantity, Reading, Subject, Timestamp, Window,
};
use std::time::Duration;

/// Most messages of a device that wait for those before them; beyond that the first is not waited for.
const MAX_WAITING: usize = 1024;
/// Most beginnings that wait for what should follow.
const MAX_BEGUN: usize = 256;
const INSTANT: Duration = Duration::from_millis(1);

/// The patterns of one device, one per rule that a message of it has said something to.
#[derive(Clone, Debug, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Patterns(#[n(0)] Vec<Pattern>);

/// Where the device stands in the pattern of one rule.
///
/// A message is looked at when the device has passed it by the out-of-orderness, so that the order of arrival does
/// not show. Of several at one instant the second counts before the first.
#[derive(Clone, Debug, Encode, Decode)]
struct Pattern {
    /// Its place in the rules file; state of another file is not restored.
    #[n(0)]
    rule: u32,
    /// By event time.
    #[n(1)]
    waiting: Vec<Said>,
    /// What is before has been looked at.
    #[cbor(n(2), with = "crate::cbor")]
    judged_to: Timestamp,
    /// Whether the first held when the device last said.
    #[n(3)]
    is_on: bool,
    /// When it began, where the second may still follow; of "A then B" the last alone.
    #[cbor(n(4), with = "crate::cbor")]
    begun: Vec<Timestamp>,
    /// When the pattern was complete, while that counts.
    #[cbor(n(5), with = "crate::cbor")]
    occurred: Vec<Timestamp>,
    #[n(6)]
    life: AlertLife,
}

/// What a message says.
#[derive(Clone, Copy, Debug, Encode, Decode)]
struct Said {
    #[cbor(n(0), with = "crate::cbor")]
    at: Timestamp,
    /// Of the first.
    #[n(1)]
    first: Option<bool>,
    /// Of the second.
    #[n(2)]
    second: bool,
}

/// How often the pattern has occurred, since something changed that.
struct Standing {
    span: Window,
    times: usize,
}

/// What is next in event time.
enum Next {
    Said(Said),
    /// The second did not follow.
    Unanswered,
    /// An occurrence counts no more.
    Forgotten,
}

impl Patterns {
    /// Takes a message whose quality has been judged.
    pub fn observe(&mut self, whom: Whom<'_>, message: &Observation, context: &Context, out: &mut Outputs) {
        let Body::Readings(readings) = &message.body else { return };
        let about = &Usable { whom, message, readings, places: &context.rules.places };
        for index in context.patterns_of(whom.family()) {
            let rule = &context.rules.patterns[*index];
            let (first, second) = (rule.first.holds(about), rule.second.holds(about) == Some(true));
            if first.is_none() && !second {
                continue;
            }
            if !self.of(*index).add(Said { at: message.event_time, first, second }) {
                out.count(Fact::PatternLate);
            }
        }
    }

    /// Looks at what was before `to`, as of which we know at `as_of`.
    pub fn advance(
        &mut self,
        whom: Whom<'_>,
        to: Timestamp,
        as_of: Timestamp,
        context: &Context,
        out: &mut Outputs,
    ) {
        for pattern in &mut self.0 {
            let rule = &context.rules.patterns[pattern.rule as usize];
            pattern.advance(to, rule, out, &mut |life, standing, out| {
                show(life, whom, rule, &standing, as_of, context, out);
            });
        }
    }

    /// When, in event time, [`Patterns::advance`] has something to do.
    pub fn next_end(&self, context: &Context) -> Option<Timestamp> {
        let next = |pattern: &Pattern| {
            Some(pattern.next(&context.rules.patterns[pattern.rule as usize])?.0 + INSTANT)
        };
        self.0.iter().filter_map(next).min()
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
        let place = context.rules.patterns.iter().position(|rule| rule.alert.id == id)?;
        let pattern = self.0.iter_mut().find(|pattern| pattern.rule as usize == place)?;
        whom.act(&mut pattern.life, &context.rules.patterns[place].alert, action, as_of)
    }

    /// Other rules hold. `end` takes what has no successor.
    pub fn succeed(&mut self, successors: &Successors, mut end: impl FnMut(usize, AlertLife)) {
        for mut pattern in std::mem::take(&mut self.0) {
            match successors.get(pattern.rule as usize).copied().flatten() {
                Some(place) => {
                    pattern.rule = u32::try_from(place).expect("a rules file has few rules");
                    self.0.push(pattern);
                }
                None => end(pattern.rule as usize, pattern.life),
            }
        }
    }

    /// Whether an alert is raised.
    pub fn is_raised(&self) -> bool {
        self.0.iter().any(|pattern| pattern.life.height() > 0)
    }

    fn of(&mut self, rule: usize) -> &mut Pattern {
        let index = self.0.iter().position(|pattern| pattern.rule as usize == rule).unwrap_or_else(|| {
            self.0.push(Pattern::new(u32::try_from(rule).expect("a rules file has few rules")));
            self.0.len() - 1
        });
        &mut self.0[index]
    }
}

impl Pattern {
    fn new(rule: u32) -> Pattern {
        let (waiting, begun, occurred, life) = Default::default();
        Pattern { rule, waiting, judged_to: Timestamp::MIN, is_on: false, begun, occurred, life }
    }

    /// Takes what a message says. Returns whether it came in time.
    fn add(&mut self, said: Said) -> bool {
        if said.at < self.judged_to {
            return false;
        }
        let index = self.waiting.partition_point(|known| known.at < said.at);
        match self.waiting.get_mut(index).filter(|known| known.at == said.at) {
            Some(known) => {
                known.first = known.first.max(said.first);
                known.second |= said.second;
            }
            None => self.waiting.insert(index, said),
        }
        true
    }

    /// Goes through what was before `to`, instant by instant.
    fn advance(
        &mut self,
        to: Timestamp,
        rule: &PatternRule,
        out: &mut Outputs,
        tell: &mut dyn FnMut(&mut AlertLife, Standing, &mut Outputs),
    ) {
        let crowded = self.waiting.len().saturating_sub(MAX_WAITING);
        let to = crowded.checked_sub(1).map_or(to, |last| to.max(self.waiting[last].at + INSTANT));
        self.judged_to = self.judged_to.max(to);
        while let Some((at, next)) = self.next(rule).filter(|(at, _)| *at < to) {
            let since = match next {
                Next::Said(said) => {
                    self.waiting.remove(0);
                    self.say(said, rule, out)
                }
                Next::Unanswered => Some(self.begun.remove(0)),
                Next::Forgotten => {
                    self.occurred.remove(0);
                    let (span, times) = (Window { start: at, end: at }, self.occurred.len());
                    tell(&mut self.life, Standing { span, times }, out);
                    None
                }
            };
            if let Some(start) = since {
                self.occur(at);
                let (span, times) = (Window { start, end: at }, self.occurred.len());
                tell(&mut self.life, Standing { span, times }, out);
            }
        }
    }

    /// What is next, and when: of one instant what the device said is looked at first.
    fn next(&self, rule: &PatternRule) -> Option<(Timestamp, Next)> {
        let said = self.waiting.first().map(|said| (said.at, Next::Said(*said)));
        let begun = self.begun.first().filter(|_| rule.is_without);
        let unanswered = begun.map(|begun| (*begun + rule.within, Next::Unanswered));
        let forgotten = self.occurred.first().map(|at| (*at + rule.forget, Next::Forgotten));
        said.into_iter().chain(unanswered).chain(forgotten).min_by_key(|(at, _)| *at)
    }

    /// The device says something; returns since when the pattern was on its way, when that completes it.
    fn say(
        &mut self,
        Said { at, first, second }: Said,
        rule: &PatternRule,
        out: &mut Outputs,
    ) -> Option<Timestamp> {
        let complete = match (second, rule.is_without) {
            (false, _) => None,
            (true, true) => {
                self.begun.clear();
                None
            }
            (true, false) => self.begun.pop().filter(|begun| at.since(*begun) <= rule.within),
        };
        let begins = first == Some(true) && !self.is_on;
        self.is_on = first.unwrap_or(self.is_on);
        if begins {
            self.begin(at, rule, out);
        }
        complete
    }

    fn begin(&mut self, at: Timestamp, rule: &PatternRule, out: &mut Outputs) {
        if !rule.is_without {
            self.begun.clear();
        }
        match self.begun.len() < MAX_BEGUN {
            true => self.begun.push(at),
            false => out.count(Fact::PatternLate),
        }
    }

    fn occur(&mut self, at: Timestamp) {
        if self.occurred.len() == MOST_OCCURRENCES as usize {
            self.occurred.remove(0);
        }
        self.occurred.push(at);
    }
}

fn show(
    life: &mut AlertLife,
    whom: Whom<'_>,
    rule: &PatternRule,
    standing: &Standing,
    as_of: Timestamp,
    context: &Context,
    out: &mut Outputs,
) {
    let (subject, area) = (Subject::Device(whom.id.clone()), whom.area());
    let times = standing.times.to_string();
    let seen = Seen {
        span: standing.span,
        value: standing.times as f64,
        is_active: true,
        as_of,
        is_backfill: standing.span.end + context.config.backfill_after < as_of,
        words: &[(Word::Times, &times)],
    };
    if let Some(alert) = life.observe(&whom.about(&rule.alert, &subject, &area), &seen) {
        out.alert_of(&rule.alert, &alert);
    }
}

/// A message as the conditions of patterns see it: its usable readings.
struct Usable<'a> {
    whom: Whom<'a>,
    message: &'a Observation,
    places: &'a Places,
    readings: &'a [Reading],
}

impl AboutReading for Usable<'_> {
    fn quantity(&self, quantity: &Quantity) -> Option<f64> {
        let mut usable = self.readings.iter().filter(|reading| reading.quality.is_usable());
        usable.find(|reading| reading.quantity == *quantity).map(|reading| reading.value)
    }
    fn flag(&self) -> Flag {
        Flag::Good
    }
    fn place(&self) -> &str {
        self.places.of(self.whom.position(self.message))
    }
}

impl AboutDevice for Usable<'_> {
    fn rank(&self) -> u32 {
        self.whom.rank()
    }
    fn family(&self) -> Family {
        self.whom.family()
    }
    fn area(&self) -> &str {
        AboutDevice::area(&self.whom)
    }
    fn device(&self) -> &str {
        self.whom.device()
    }
    fn label(&self) -> &str {
        self.whom.label()
    }
}

#[cfg(test)]
mod oracle;
