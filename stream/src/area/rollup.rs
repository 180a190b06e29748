//! A user-defined job over the devices of an area: their shares in, rows of the area out.

use crate::aggregate::Accumulator;
use crate::rule::{AreaRule, Difference, JobRule};
use minicbor::{Decode, Encode};
use records::{Name, Share, Timestamp, Window};
use std::collections::BTreeSet;
use std::time::Duration;

/// The panes of an area's devices, and the windows over them that are still to be told.
///
/// A window is told when every device that keeps up has passed its end, and at the latest `wait` after its end or
/// after what changed it came, ingest time. A device that is further behind than `wait` and a pane (it is silent, brings its
/// backlog, or has a clock that nobody can make sense of) is not waited for: what it says later is a revision.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Rollup {
    /// By end; only those that hold something.
    #[n(0)]
    panes: Vec<Pane>,
    /// Windows that something has changed, by end.
    #[n(1)]
    changed: Vec<Changed>,
    /// Windows that have been told, by end, and how often.
    #[n(2)]
    told: Vec<Telling>,
    /// By name.
    #[n(3)]
    members: Vec<Member>,
    /// Ingest time of the newest share.
    #[cbor(n(4), with = "crate::cbor")]
    now: Timestamp,
}

#[derive(Clone, Debug, Encode, Decode)]
struct Pane {
    #[cbor(n(0), with = "crate::cbor")]
    span: Window,
    /// By device.
    #[n(1)]
    parts: Vec<Part>,
}

/// What one device brings to a pane.
#[derive(Clone, Debug, Encode, Decode)]
struct Part {
    #[cbor(n(0), with = "crate::cbor")]
    device: Name,
    #[n(1)]
    revision: u32,
    #[n(2)]
    values: Vec<Accumulator>,
}

#[derive(Clone, Debug, Encode, Decode)]
struct Changed {
    #[cbor(n(0), with = "crate::cbor")]
    window: Window,
    /// Since this ingest time.
    #[cbor(n(1), with = "crate::cbor")]
    since: Timestamp,
}

#[derive(Clone, Debug, Encode, Decode)]
struct Telling {
    #[cbor(n(0), with = "crate::cbor")]
    window: Window,
    #[n(1)]
    times: u32,
    /// By output of a job that tells devices which stand out: those that were told last.
    #[n(2)]
    picked: Vec<Picked>,
}

/// Devices that stand out, the first first.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
#[cbor(transparent)]
pub struct Picked(#[cbor(n(0), with = "crate::cbor")] pub Vec<Name>);

#[derive(Clone, Debug, Encode, Decode)]
struct Member {
    #[cbor(n(0), with = "crate::cbor")]
    device: Name,
    /// The end of its newest pane.
    #[cbor(n(1), with = "crate::cbor")]
    reached: Timestamp,
    /// The length of that, ms.
    #[n(2)]
    pane_ms: u64,
}

/// A window of the area as it is told.
pub struct Told {
    /// `[start, end)`.
    pub window: Window,
    /// One more each time it is told again.
    pub revision: u32,
    /// What is known of each of its devices, by name and then by input of the job.
    pub parts: Vec<(Name, Vec<Accumulator>)>,
    /// When that was decided, ingest time.
    pub as_of: Timestamp,
    /// By output of a job that tells devices which stand out: those, and those that did when it was told before.
    pub picked: Vec<(Picked, Picked)>,
    /// How each device differs from the others, when that is asked: parts of suspect ones hold nothing usable.
    pub differences: Vec<Difference>,
}

impl Default for Rollup {
    fn default() -> Self {
        let (panes, changed, told, members) = Default::default();
        Rollup { panes, changed, told, members, now: Timestamp::MIN }
    }
}

impl Told {
    /// All devices together.
    pub fn values(&self) -> Vec<Accumulator> {
        let mut parts = self.parts.iter().map(|(_, values)| values);
        let mut all = parts.next().cloned().unwrap_or_default();
        parts.for_each(|values| merge(&mut all, values));
        all
    }
}

impl Rollup {
    /// Takes a share, in order of `as_of`, when [`Rollup::advance`] has come there. Returns whether it came too late.
    ///
    /// # Errors
    /// When its values are not state of this version.
    pub fn observe(&mut self, share: &Share, rule: &AreaRule) -> Result<bool, minicbor::decode::Error> {
        let values: Vec<Accumulator> = minicbor::decode(&share.values)?;
        self.now = self.now.max(share.as_of);
        self.join(share);
        let keeps = |end: Timestamp| end + rule.allowed_lateness >= share.as_of;
        let windows = rule.windowing.windows(share.window).filter(|window| keeps(window.end));
        let windows: Vec<Window> = windows.collect();
        if windows.is_empty() {
            return Ok(true);
        }
        self.put(share, values);
        windows.into_iter().for_each(|window| self.change(window, share.as_of));
        Ok(false)
    }

    /// A device has left the area: nobody waits for it, and what it has said stays.
    pub fn remove(&mut self, device: &Name) {
        self.members.retain(|member| member.device != *device);
    }

    fn join(&mut self, share: &Share) {
        let (device, end) = (share.device.clone(), share.window.end);
        let place = self.members.binary_search_by(|member| member.device.cmp(&device));
        let place = place.unwrap_or_else(|place| {
            self.members.insert(place, Member { device, reached: Timestamp::MIN, pane_ms: 0 });
            place
        });
        let member = &mut self.members[place];
        if end > member.reached {
            member.reached = end;
            member.pane_ms = u64::try_from(end.since(share.window.start).as_millis()).unwrap_or(u64::MAX);
        }
    }

    fn put(&mut self, share: &Share, values: Vec<Accumulator>) {
        let place = self.panes.binary_search_by_key(&by_end(share.window), |pane| by_end(pane.span));
        let place = place.unwrap_or_else(|place| {
            self.panes.insert(place, Pane { span: share.window, parts: Vec::new() });
            place
        });
        let parts = &mut self.panes[place].parts;
        let part = Part { device: share.device.clone(), revision: share.revision, values };
        match parts.binary_search_by(|known| known.device.cmp(&part.device)) {
            Ok(place) if parts[place].revision <= part.revision => parts[place] = part,
            Ok(_) => {}
            Err(place) => parts.insert(place, part),
        }
    }

    fn change(&mut self, window: Window, since: Timestamp) {
        let place = self.changed.binary_search_by_key(&by_end(window), |changed| by_end(changed.window));
        if let Err(place) = place {
            self.changed.insert(place, Changed { window, since });
        }
    }

    /// Ingest time has reached `as_of`, and every share of a smaller one has been given: tells what was decided
    /// before, in the order in which it was. An instant, so that it does not matter how often somebody asks.
    pub fn advance(&mut self, as_of: Timestamp, job: &JobRule) -> Vec<Told> {
        let mut told = Vec::new();
        let Some(rule) = &job.area else { return told };
        loop {
            let decided = |changed: &Changed| (self.decided_at(changed, rule), changed.window.end);
            let first = self.changed.iter().enumerate().min_by_key(|(_, changed)| decided(changed));
            let Some((index, changed)) = first else { break };
            let at = self.decided_at(changed, rule);
            if at >= as_of {
                break;
            }
            let window = self.changed.remove(index).window;
            told.push(self.tell(window, at, job));
        }
        self.forget(as_of, rule);
        told
    }

    fn decided_at(&self, changed: &Changed, rule: &AreaRule) -> Timestamp {
        let end = changed.window.end;
        let is_missing = |member: &Member| {
            let keeps_up = member.reached + Duration::from_millis(member.pane_ms) + rule.wait >= end;
            member.reached < end && keeps_up
        };
        let deadline = end.max(changed.since) + rule.wait;
        let known = self.now.max(changed.since);
        match self.members.iter().all(|member| member.reached >= end) {
            true => deadline.min(known),
            false if self.members.iter().any(is_missing) => deadline,
            // Some are not waited for, so nobody has said that it is over.
            false => deadline.min(known.max(end)),
        }
    }

    fn tell(&mut self, window: Window, as_of: Timestamp, job: &JobRule) -> Told {
        let place = self.told.binary_search_by_key(&by_end(window), |told| by_end(told.window));
        let place = place.unwrap_or_else(|place| {
            self.told.insert(place, Telling { window, times: 0, picked: Vec::new() });
            place
        });
        let revision = self.told[place].times;
        self.told[place].times = revision.saturating_add(1);
        let mut parts = self.parts(window);
        let differences = leave_out(&mut parts, job);
        let picked = self.pick(place, &parts, job);
        Told { window, revision, parts, as_of, picked, differences }
    }

    /// The devices that stand out now, and those that did when the window was told before.
    fn pick(
        &mut self,
        told: usize,
        parts: &[(Name, Vec<Accumulator>)],
        job: &JobRule,
    ) -> Vec<(Picked, Picked)> {
        let Some(rank) = job.area.as_ref().and_then(|rule| rule.rank) else { return Vec::new() };
        let known = &mut self.told[told].picked;
        known.resize(job.outputs.len(), Picked::default());
        let outputs = known.iter_mut().zip(&job.outputs);
        let pick = |(known, output): (&mut Picked, _)| {
            let now = Picked(rank.pick(output, parts));
            (now.clone(), std::mem::replace(known, now))
        };
        outputs.map(pick).collect()
    }

    /// What each device has said of a window.
    fn parts(&self, window: Window) -> Vec<(Name, Vec<Accumulator>)> {
        let is_inside = |pane: &&Pane| window.start <= pane.span.start && pane.span.end <= window.end;
        let inside: Vec<&Pane> = self.panes.iter().filter(is_inside).collect();
        let devices: BTreeSet<&Name> =
            inside.iter().flat_map(|pane| &pane.parts).map(|part| &part.device).collect();
        let of_device = |device: &Name| {
            let mut all = Vec::new();
            for pane in &inside {
                if let Ok(place) = pane.parts.binary_search_by(|part| part.device.cmp(device)) {
                    merge(&mut all, &pane.parts[place].values);
                }
            }
            (device.clone(), all)
        };
        devices.into_iter().map(of_device).collect()
    }

    /// Forgets what takes no more shares, once everything that it changes has been told.
    fn forget(&mut self, as_of: Timestamp, rule: &AreaRule) {
        let is_over = |end: Timestamp| end + rule.allowed_lateness + rule.wait < as_of;
        self.panes.retain(|pane| !is_over(rule.windowing.last_end(pane.span)));
        self.told.retain(|told| !is_over(told.window.end));
        self.members.retain(|member| !is_over(member.reached));
    }
}

/// Compares devices with each other, and leaves out what is suspect.
fn leave_out(parts: &mut [(Name, Vec<Accumulator>)], job: &JobRule) -> Vec<Difference> {
    let test = job.area.as_ref().and_then(|rule| rule.neighbours.as_ref());
    let Some(test) = test else { return Vec::new() };
    let differences = test.differences(parts);
    for ((_, values), _) in parts.iter_mut().zip(&differences).filter(|(_, found)| test.is_suspect(found)) {
        values.iter_mut().for_each(|values| *values = values.doubted());
    }
    differences
}

/// The order in which windows are kept.
fn by_end(window: Window) -> (Timestamp, Timestamp) {
    (window.end, window.start)
}

fn merge(to: &mut Vec<Accumulator>, from: &[Accumulator]) {
    to.resize(from.len().max(to.len()), Accumulator::default());
    to.iter_mut().zip(from).for_each(|(to, from)| to.merge(from));
}
