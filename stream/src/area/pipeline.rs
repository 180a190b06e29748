//! What is made of the rows of one area, use case by use case.

use super::context::{Change, Context};
use super::rollup::{Rollup, Told};
use crate::counts::Fact;
use crate::domain::tags::{Line, Missing, Route};
use crate::domain::traffic::{Queue, Standing};
use crate::outputs::Outputs;
use crate::rule::{
    About, AlertLife, AreaShareRule, Finding, JobRule, Lives, Output, Seen, Successors, ThresholdRule, Word,
    rule_of, why,
};
use minicbor::{Decode, Encode};
use records::{Action, Aggregate, Device, Family, Name, Share, Sighting, Subject, Timestamp, Window};

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
    /// By place among the jobs, once a device of the area has a share in one.
    #[n(3)]
    rollups: Vec<(u32, Rollup)>,
    /// One per rule on the share of devices beyond a limit that has looked.
    #[n(4)]
    lives: Lives,
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
        Area { name, roads: Vec::new(), lines: Vec::new(), rollups: Vec::new(), lives: Lives::default() }
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
        if device.area != self.name || !device.is_enabled {
            self.rollups.iter_mut().for_each(|(_, rollup)| rollup.remove(&device.id));
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

    /// Shares of devices → user-defined jobs about areas.
    pub fn share(&mut self, share: &Share, context: &Context, out: &mut Outputs) {
        let is_of = |job: &JobRule| job.id == share.job && [0, job.definition].contains(&share.definition);
        let place = context.rules.jobs.iter().position(|job| is_of(job) && job.area.is_some());
        // Of a job that the rules no longer have, or not yet, or otherwise.
        let Some(place) = place else { return out.count(Fact::Misplaced) };
        let Some(rule) = &context.rules.jobs[place].area else { return };
        self.advance_rollups(share.as_of, context, out);
        let number = u32::try_from(place).expect("a rules file has few jobs");
        let index = self.rollups.binary_search_by_key(&number, |(job, _)| *job).unwrap_or_else(|index| {
            self.rollups.insert(index, (number, Rollup::default()));
            index
        });
        match self.rollups[index].1.observe(share, rule) {
            Ok(false) => {}
            Ok(true) => out.count(Fact::ShareLate),
            Err(_) => out.count(Fact::Undecodable),
        }
    }

    fn advance_rollups(&mut self, as_of: Timestamp, context: &Context, out: &mut Outputs) {
        for (job, rollup) in &mut self.rollups {
            let job = &context.rules.jobs[*job as usize];
            for told in rollup.advance(as_of, job) {
                write_differences(&told, job, &self.name, context, out);
                write(&told, job, &self.name, context, out);
                let rules = context.rules.area_shares.iter().enumerate();
                for (index, rule) in rules.filter(|(_, rule)| rule.alert.id == job.id) {
                    judge_share(self.lives.of(index), &told, rule, &self.name, context, out);
                }
            }
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
        self.advance_rollups(as_of, context, out);
        for (road, rule) in self.roads.iter_mut().zip(&context.rules.queues) {
            let standings = road.queue.advance(as_of, rule);
            road.judge(&standings, &self.name, &rule.alert, out);
        }
        for (line, rule) in self.lines.iter_mut().zip(&context.rules.routes) {
            let missing = line.route.advance(as_of, &Line { rule, tags: &context.rules.tags });
            line.judge(&missing, &self.name, &rule.alert, context, out);
        }
    }

    /// Other rules hold from `at` on. The state of rules and jobs that are alike goes on; alerts of others end and say
    /// why, and windows of other jobs are let go.
    pub fn succeed(&mut self, change: &Change<'_>, at: Timestamp, out: &mut Outputs) {
        self.advance(at, change.before, out);
        let subject = Subject::Area(self.name.clone());
        let (before, after) = (&change.before.rules, &change.after.rules);
        let mut end = |rule: &ThresholdRule, life: AlertLife| {
            let about = about(rule, &subject, &self.name);
            life.withdraw(&about, why(rule, after), at).iter().for_each(|alert| out.alert_of(rule, alert));
        };
        let new_road = || Road { queue: Queue::new(self.name.clone()), life: AlertLife::default() };
        let roads = std::mem::take(&mut self.roads);
        self.roads = follow(roads, &change.to.queues, after.queues.len(), new_road, |place, road| {
            end(&before.queues[place].alert, road.life);
        });
        let new_line = || Readers { route: Route::new(self.name.clone()), life: AlertLife::default() };
        let lines = std::mem::take(&mut self.lines);
        self.lines = follow(lines, &change.to.routes, after.routes.len(), new_line, |place, line| {
            end(&before.routes[place].alert, line.life);
        });
        let shares = &change.to.area_shares;
        self.lives.succeed(shares, |place, life| end(&before.area_shares[place].alert, life));
        let place = |job: u32| u32::try_from(change.to.jobs.get(job as usize).copied().flatten()?).ok();
        let rollups = std::mem::take(&mut self.rollups).into_iter();
        self.rollups = rollups.filter_map(|(job, rollup)| Some((place(job)?, rollup))).collect();
        self.rollups.sort_by_key(|(job, _)| *job);
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
        let mut shares = context.rules.area_shares.iter();
        let share = shares.position(|rule| meant == Some(&rule.alert.id));
        let share = share
            .and_then(|share| Some((self.lives.get_mut(share)?, &context.rules.area_shares[share].alert)));
        let lives = lives.chain(share);
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
                out.alert_of(rule, &alert);
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
                out.alert_of(rule, &alert);
            }
        }
    }
}

/// What each rule of the new set keeps: that of the old one that it is, or something new. `end` takes the rest. Where
/// there is nothing, there is nobody whom the rules are about.
fn follow<T>(
    old: Vec<T>,
    places: &Successors,
    count: usize,
    new: impl Fn() -> T,
    mut end: impl FnMut(usize, T),
) -> Vec<T> {
    if old.is_empty() {
        return old;
    }
    let mut kept: Vec<Option<T>> = (0..count).map(|_| None).collect();
    for (place, one) in old.into_iter().enumerate() {
        match places.get(place).copied().flatten() {
            Some(to) => kept[to] = Some(one),
            None => end(place, one),
        }
    }
    kept.into_iter().map(|one| one.unwrap_or_else(&new)).collect()
}

/// Shows a window to a rule when it is told first: a revision would show an older time than the rule has seen.
fn judge_share(
    life: &mut AlertLife,
    told: &Told,
    rule: &AreaShareRule,
    area: &Name,
    context: &Context,
    out: &mut Outputs,
) {
    let Some((known, beyond)) = rule.count(&told.parts).filter(|_| told.revision == 0) else { return };
    let devices = format!("{beyond} of {known}");
    let seen = Seen {
        span: told.window,
        value: 100.0 * f64::from(beyond) / f64::from(known),
        is_active: true,
        as_of: told.as_of,
        is_backfill: told.window.end + context.config.backfill_after < told.as_of,
        words: &[(Word::Devices, &devices)],
    };
    let subject = Subject::Area(area.clone());
    if let Some(alert) = life.observe(&about(&rule.alert, &subject, area), &seen) {
        out.alert_of(&rule.alert, &alert);
    }
}

fn write(told: &Told, job: &JobRule, area: &Name, context: &Context, out: &mut Outputs) {
    if job.area.as_ref().is_some_and(|rule| rule.rank.is_some()) {
        return write_picked(told, job, area, context, out);
    }
    let (subject, values) = (&Subject::Area(area.clone()), &told.values());
    let Told { window, revision, as_of, .. } = *told;
    let backfill_after = context.config.backfill_after;
    let finding = Finding { subject, area, window, revision, values, as_of, backfill_after };
    for output in &job.outputs {
        out.count(Fact::JobRow);
        out.aggregate(&output.row(&finding));
    }
}

/// How each device differs from the others. What can't be told is a row in which nothing is good.
fn write_differences(told: &Told, job: &JobRule, area: &Name, context: &Context, out: &mut Outputs) {
    let test = job.area.as_ref().and_then(|rule| rule.neighbours.as_ref());
    let Some(test) = test else { return };
    let Told { window, revision, as_of, .. } = *told;
    let backfill_after = context.config.backfill_after;
    for difference in &told.differences {
        let (subject, values) = (&Subject::Device(difference.device.clone()), &[]);
        let finding = Finding { subject, area, window, revision, values, as_of, backfill_after };
        let (count, good) = difference.counts;
        let good = if difference.value.is_some() { good } else { 0 };
        out.count_many(Fact::DiffersFromNeighbours, usize::from(test.is_suspect(difference)));
        out.count(Fact::JobRow);
        out.aggregate(&test.of.row_with(&finding, (count, good, difference.value)));
    }
}

/// Rows of the devices that stand out, the first first, and then those of devices that no longer do: nothing in them is
/// good.
fn write_picked(told: &Told, job: &JobRule, area: &Name, context: &Context, out: &mut Outputs) {
    let Told { window, revision, as_of, .. } = *told;
    let backfill_after = context.config.backfill_after;
    for (output, (now, before)) in job.outputs.iter().zip(&told.picked) {
        let left = before.0.iter().filter(|device| !now.0.contains(device)).map(|device| (device, false));
        for (device, is_picked) in now.0.iter().map(|device| (device, true)).chain(left) {
            let values =
                told.parts.iter().find(|(known, _)| known == device).map(|(_, values)| values.as_slice());
            let (subject, values) = (&Subject::Device(device.clone()), values.unwrap_or_default());
            let row = output.row(&Finding { subject, area, window, revision, values, as_of, backfill_after });
            out.count(Fact::JobRow);
            out.aggregate(&if is_picked { row } else { Output::nothing_good(row) });
        }
    }
}

fn about<'a>(rule: &'a ThresholdRule, subject: &'a Subject, area: &'a Name) -> About<'a> {
    About { rule, subject, label: "", area, position: None }
}
