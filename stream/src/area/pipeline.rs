//! What is made of the rows of one area, use case by use case.

use super::context::Context;
use crate::counts::Fact;
use crate::domain::tags::{Line, Missing, Route};
use crate::domain::traffic::{Queue, Standing};
use crate::outputs::Outputs;
use crate::rule::{About, AlertLife, Seen, ThresholdRule, Word, rule_of};
use minicbor::{Decode, Encode};
use records::{Action, Aggregate, Device, Family, Name, Sighting, Subject, Timestamp, Window};

/// The operators of one area. What it has none of, it has no state for.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Area {
    #[cbor(n(0), with = "crate::cbor")]
    name: Name,
    /// One per queue rule, once the area has a detector.
    #[n(1)]
    roads: Vec<Road>,
    /// One per route rule, once the area has a reader.
    #[n(2)]
    lines: Vec<Readers>,
}

#[derive(Clone, Debug, Encode, Decode)]
struct Road {
    #[n(0)]
    queue: Queue,
    #[n(1)]
    life: AlertLife,
}

#[derive(Clone, Debug, Encode, Decode)]
struct Readers {
    #[n(0)]
    route: Route,
    #[n(1)]
    life: AlertLife,
}

impl Area {
    /// An area of which nothing is known.
    pub fn new(name: Name) -> Area {
        Area { name, roads: Vec::new(), lines: Vec::new() }
    }

    /// Takes a registry entry: of a member, or of a device that has left.
    pub fn device(&mut self, device: &Device, context: &Context, out: &mut Outputs) {
        self.advance(device.updated_at, context, out);
        self.prepare(device, context);
        let is_here = |family| device.family == family && device.area == self.name;
        for Road { queue, .. } in &mut self.roads {
            match is_here(Family::Traffic) {
                true => queue.register(device, device.updated_at),
                false => queue.remove(&device.id),
            }
        }
        for Readers { route, .. } in &mut self.lines {
            match is_here(Family::Rfid) {
                true => route.register(device, device.updated_at),
                false => route.remove(&device.id),
            }
        }
    }

    fn prepare(&mut self, device: &Device, context: &Context) {
        let name = || self.name.clone();
        if device.family == Family::Traffic && self.roads.is_empty() {
            let road = |_| Road { queue: Queue::new(name()), life: AlertLife::default() };
            self.roads = context.rules.queues.iter().map(road).collect();
        }
        if device.family == Family::Rfid && self.lines.is_empty() {
            let line = |_| Readers { route: Route::new(name()), life: AlertLife::default() };
            self.lines = context.rules.routes.iter().map(line).collect();
        }
    }

    /// Minutes of detectors → standing queue of the road → its rule; windows of readers tell how far they have come.
    pub fn window(&mut self, row: &Aggregate, context: &Context, out: &mut Outputs) {
        for (road, rule) in self.roads.iter_mut().zip(&context.rules.queues) {
            let standings = road.queue.observe(row, rule);
            road.judge(&standings, &self.name, &rule.alert, out);
        }
        for (line, rule) in self.lines.iter_mut().zip(&context.rules.routes) {
            let with = Line { rule, tags: &context.rules.tags };
            let missing = line.route.progress(row.subject.name(), row.window.end, row.as_of, &with);
            line.judge(&missing, &self.name, &rule.alert, context, out);
        }
    }

    /// Sightings → tags that did not arrive at the next reader → their rule.
    pub fn sighting(&mut self, sighting: &Sighting, context: &Context, out: &mut Outputs) {
        for (line, rule) in self.lines.iter_mut().zip(&context.rules.routes) {
            let missing = line.route.observe(sighting, &Line { rule, tags: &context.rules.tags });
            line.judge(&missing, &self.name, &rule.alert, context, out);
        }
    }

    /// Ingest time has reached `as_of`, and every row of a smaller one has been given.
    pub fn advance(&mut self, as_of: Timestamp, context: &Context, out: &mut Outputs) {
        for (road, rule) in self.roads.iter_mut().zip(&context.rules.queues) {
            let standings = road.queue.advance(as_of, rule);
            road.judge(&standings, &self.name, &rule.alert, out);
        }
        for (line, rule) in self.lines.iter_mut().zip(&context.rules.routes) {
            let missing = line.route.advance(as_of, &Line { rule, tags: &context.rules.tags });
            line.judge(&missing, &self.name, &rule.alert, context, out);
        }
    }

    /// An operator acts on an alert of the area.
    pub fn act(&mut self, action: &Action, context: &Context, out: &mut Outputs) {
        self.advance(action.at, context, out);
        let roads = self.roads.iter_mut().zip(&context.rules.queues);
        let lines = self.lines.iter_mut().zip(&context.rules.routes);
        let lives = roads
            .map(|(road, rule)| (&mut road.life, &rule.alert))
            .chain(lines.map(|(line, rule)| (&mut line.life, &rule.alert)));
        let meant = rule_of(&action.alert);
        let subject = Subject::Area(self.name.clone());
        let alert = lives
            .filter(|(_, rule)| meant == Some(&rule.id))
            .find_map(|(life, rule)| life.act(&about(rule, &subject, &self.name), action, action.at));
        match alert {
            Some(alert) => out.alert(&alert),
            None => out.count(Fact::ActionIgnored),
        }
    }
}

impl Road {
    fn judge(&mut self, standings: &[Standing], area: &Name, rule: &ThresholdRule, out: &mut Outputs) {
        for Standing { length, head, tail } in standings {
            let words = [(Word::Head, head), (Word::Tail, tail)];
            let words = words.map(|(word, name)| (word, name.as_deref().unwrap_or("?")));
            let seen = Seen {
                span: length.window,
                value: length.mean,
                is_active: true,
                as_of: length.as_of,
                is_backfill: length.is_backfill,
                words: &words,
            };
            if let Some(alert) = self.life.observe(&about(rule, &length.subject, area), &seen) {
                out.alert(&alert);
            }
        }
    }
}

impl Readers {
    fn judge(
        &mut self,
        missing: &[Missing],
        area: &Name,
        rule: &ThresholdRule,
        context: &Context,
        out: &mut Outputs,
    ) {
        for Missing { count, at, reader, tags } in missing {
            let seen = Seen {
                span: Window { start: *at, end: *at },
                value: count.mean,
                is_active: true,
                as_of: count.as_of,
                is_backfill: *at + context.config.backfill_after < count.as_of,
                words: &[(Word::Reader, reader), (Word::Tags, tags)],
            };
            if let Some(alert) = self.life.observe(&about(rule, &count.subject, area), &seen) {
                out.alert(&alert);
            }
        }
    }
}

fn about<'a>(rule: &'a ThresholdRule, subject: &'a Subject, area: &'a Name) -> About<'a> {
    About { rule, subject, label: "", area, position: None }
}
