//! Standing queues on a road: neighbouring detectors that all see high occupancy and low speed.
//!
//! Detectors stand along the road in the order of their rank, in the direction of travel.

use super::progress::{Progress, is_back};
use crate::rule::QueueRule;
use minicbor::{Decode, Encode};
use records::{Aggregate, Device, Name, Quantity, Subject, Timestamp, Window};
use std::collections::VecDeque;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
/// Minutes that one detector may be ahead of the others: two days.
const MAX_PENDING: usize = 2880;

/// One road: which detectors stand, minute by minute.
///
/// A minute is looked at once, when every detector has come past it or has been silent for the rule's patience, so
/// neither the order in which detectors speak nor a backlog changes the result. State is bounded by the registry and
/// by two days of minutes that one detector may be ahead of the others.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Queue {
    #[cbor(n(0), with = "crate::cbor")]
    road: Name,
    /// By rank, then name.
    #[n(1)]
    detectors: Vec<Detector>,
    /// End of the newest minute that was looked at.
    #[cbor(n(2), with = "crate::cbor")]
    done: Timestamp,
    /// Ingest time of the newest row.
    #[cbor(n(3), with = "crate::cbor")]
    now: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
struct Detector {
    #[n(0)]
    rank: u32,
    #[cbor(n(1), with = "crate::cbor")]
    device: Name,
    /// What people call it.
    #[cbor(n(2), with = "crate::cbor")]
    label: Name,
    #[n(3)]
    progress: Progress,
    /// Minutes still to be looked at, in order.
    #[n(4)]
    pending: VecDeque<Minute>,
}

#[derive(Clone, Debug, PartialEq, Encode, Decode)]
struct Minute {
    #[cbor(n(0), with = "crate::cbor")]
    end: Timestamp,
    #[n(1)]
    occupancy: Option<f64>,
    #[n(2)]
    speed: Option<f64>,
    #[n(3)]
    is_backfill: bool,
}

/// How the road was in one minute.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// `queue_detectors`, about the road: detectors in its longest standing queue, 0 or 1 when there is none. Its
    /// count is the number of detectors in order, good the number of those that spoke of this minute.
    pub length: Aggregate,
    /// The detector at its front, furthest downstream.
    pub head: Option<Name>,
    /// The detector at its back, furthest upstream.
    pub tail: Option<Name>,
}

impl Queue {
    /// A road without detectors.
    pub fn new(road: Name) -> Queue {
        Queue { road, detectors: Vec::new(), done: Timestamp::MIN, now: Timestamp::MIN }
    }

    /// Takes a registry entry of a detector on this road; from `as_of` on it is waited for. A disabled one is
    /// gone. Call [`Queue::advance`] first.
    pub fn register(&mut self, device: &Device, as_of: Timestamp) {
        let known = self.detectors.iter().position(|known| known.device == device.id);
        let known = known.map(|index| self.detectors.remove(index));
        if !device.is_enabled {
            return;
        }
        let fresh = || (Progress::new(as_of), VecDeque::new());
        let (progress, pending) = known.map_or_else(fresh, |known| (known.progress, known.pending));
        let label = if device.label.is_empty() { device.id.clone() } else { device.label.clone() };
        let place =
            self.detectors.partition_point(|other| (other.rank, &other.device) < (device.rank, &device.id));
        let (rank, device) = (device.rank, device.id.clone());
        self.detectors.insert(place, Detector { rank, device, label, progress, pending });
    }

    /// A detector has left the road. Call [`Queue::advance`] first.
    pub fn remove(&mut self, device: &Name) {
        self.detectors.retain(|detector| detector.device != *device);
    }

    /// Takes a closed minute of `occupancy` or `speed` of a detector of this road, in order of `as_of`.
    ///
    /// Other windows, strangers and minutes that were looked at already change nothing; other quantities only show
    /// that the detector is alive. Returns what [`Queue::advance`] to the row's `as_of` returns.
    pub fn observe(&mut self, row: &Aggregate, rule: &QueueRule) -> Vec<Standing> {
        let decided = self.advance(row.as_of, rule);
        let is_minute = row.window.end.since(row.window.start) == MINUTE;
        if is_back(self.now, row.as_of, rule.patience) {
            self.detectors.iter_mut().for_each(|detector| detector.progress.wait_from(row.as_of));
        }
        let detector = self.detectors.iter_mut().find(|detector| detector.device == *row.subject.name());
        if let (Some(detector), true) = (detector, is_minute) {
            detector.take(row, self.done);
            self.now = self.now.max(row.as_of);
        }
        decided
    }

    /// Ingest time has reached `as_of`, and every row and registration with a smaller `as_of` has been given.
    ///
    /// Returns the minutes that were decided before `as_of`, in order. Rows of one `as_of` belong together (a
    /// detector's occupancy and speed), so nothing is decided between them.
    pub fn advance(&mut self, as_of: Timestamp, rule: &QueueRule) -> Vec<Standing> {
        let mut decided = Vec::new();
        while let Some(end) = self.next_minute() {
            let decided_at = self.decided_at(end, rule);
            if decided_at >= as_of {
                break;
            }
            decided.push(self.decide(end, decided_at, rule));
            self.done = end;
        }
        decided
    }

    /// When all that there is to know of the minute is known, ingest time.
    fn decided_at(&self, end: Timestamp, rule: &QueueRule) -> Timestamp {
        let is_full = self.detectors.iter().any(|detector| detector.pending.len() >= MAX_PENDING);
        let past_from = |detector: &Detector| detector.progress.past_from(end, rule.patience);
        let last = self.detectors.iter().map(past_from).max().filter(|_| !is_full);
        last.map_or(self.now, |last| last.max(self.now))
    }

    fn next_minute(&self) -> Option<Timestamp> {
        self.detectors.iter().filter_map(|detector| Some(detector.pending.front()?.end)).min()
    }

    /// Finds the longest standing queue of the minute; of several equally long ones the furthest upstream.
    fn decide(&mut self, end: Timestamp, decided_at: Timestamp, rule: &QueueRule) -> Standing {
        let minutes: Vec<Option<Minute>> =
            self.detectors.iter_mut().map(|detector| detector.pop(end)).collect();
        let is_in_order = |detector: &Detector| detector.progress.reached > end - rule.forget;
        let in_order: Vec<(&Detector, &Option<Minute>)> =
            self.detectors.iter().zip(&minutes).filter(|(detector, _)| is_in_order(detector)).collect();
        let is_standing =
            |(_, minute): &(_, &Option<Minute>)| minute.as_ref().is_some_and(|m| m.stands(rule));
        let longest = in_order
            .chunk_by(|a, b| is_standing(a) == is_standing(b))
            .filter(|run| is_standing(&run[0]))
            .rev()
            .max_by_key(|run| run.len());
        let label = |place: Option<&(&Detector, _)>| place.map(|(detector, _)| detector.label.clone());
        let (tail, head) = longest.map_or((None, None), |run| (label(run.first()), label(run.last())));
        let length = longest.map_or(0, <[_]>::len);
        let known: Vec<&Minute> = minutes.iter().flatten().collect();
        let value = length as f64;
        let length = Aggregate {
            subject: Subject::Area(self.road.clone()),
            area: self.road.clone(),
            quantity: Quantity::from_name("queue_detectors"),
            window: Window { start: end - MINUTE, end },
            revision: 0,
            count: u32::try_from(in_order.len()).unwrap_or(u32::MAX),
            good: u32::try_from(known.len()).unwrap_or(u32::MAX),
            sum: value * known.len() as f64,
            mean: value,
            min: value,
            max: value,
            as_of: decided_at,
            is_backfill: known.iter().any(|minute| minute.is_backfill),
        };
        Standing { length, head, tail }
    }
}

impl Detector {
    fn take(&mut self, row: &Aggregate, done: Timestamp) {
        self.progress.advance(row.window.end, row.as_of);
        let value = (row.good > 0).then_some(row.mean);
        let end = row.window.end;
        if end <= done {
            return;
        }
        let place = self.pending.partition_point(|minute| minute.end < end);
        if self.pending.get(place).is_none_or(|minute| minute.end != end) {
            self.pending.insert(place, Minute { end, occupancy: None, speed: None, is_backfill: false });
        }
        let minute = &mut self.pending[place];
        minute.is_backfill |= row.is_backfill;
        match row.quantity.name() {
            "occupancy" => minute.occupancy = value,
            "speed" => minute.speed = value,
            _ => {}
        }
    }

    fn pop(&mut self, end: Timestamp) -> Option<Minute> {
        self.pending.front().filter(|minute| minute.end == end)?;
        self.pending.pop_front()
    }
}

impl Minute {
    /// A detector under a vehicle that does not move has no speed to tell.
    fn stands(&self, rule: &QueueRule) -> bool {
        self.occupancy.is_some_and(|occupancy| occupancy > rule.occupancy_above)
            && self.speed.is_none_or(|speed| speed < rule.speed_below)
    }
}

#[cfg(test)]
mod tests;
