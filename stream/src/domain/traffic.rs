//! Standing queues on a road: neighbouring detectors that all see high occupancy and low speed.
//!
//! Detectors stand along the road in the order of their rank, in the direction of travel.

use super::progress::Progress;
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
/// by [`MAX_PENDING`].
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
mod tests {
    use super::*;
    use crate::rule::{About, AlertLife, Ruleset, Seen, Word};
    use proptest::prelude::*;
    use records::Family;

    fn rule() -> QueueRule {
        Ruleset::default().queues.remove(0)
    }

    fn device(id: &str, rank: u32) -> Device {
        Device {
            id: id.into(),
            family: Family::Traffic,
            label: Name::default(),
            area: "ring-1".into(),
            rank,
            position: None,
            is_enabled: true,
            updated_at: Timestamp(0),
        }
    }

    fn row(id: &str, quantity: &str, minute: i64, value: f64, as_of: i64) -> Aggregate {
        Aggregate {
            subject: Subject::Device(id.into()),
            area: "ring-1".into(),
            quantity: Quantity::from_name(quantity),
            window: Window { start: Timestamp((minute - 1) * 60_000), end: Timestamp(minute * 60_000) },
            revision: 0,
            count: 6,
            good: 6,
            sum: value * 6.0,
            mean: value,
            min: value,
            max: value,
            as_of: Timestamp(as_of),
            is_backfill: false,
        }
    }

    /// A road with detectors `a`, `b`, … at ranks 1, 2, …
    fn road(detectors: usize) -> Queue {
        let mut queue = Queue::new("ring-1".into());
        for (rank, id) in ["a", "b", "c", "d", "e", "f", "g"].into_iter().enumerate().take(detectors) {
            queue.register(&device(id, rank as u32 + 1), Timestamp(0));
        }
        queue
    }

    /// The rows of one minute: `S` standing, `s` standing without a speed, `f` flowing, `o` occupied but moving, `-`
    /// silent; one letter a detector.
    fn rows(minute: i64, states: &str) -> Vec<Aggregate> {
        let mut rows = Vec::new();
        for (id, state) in ["a", "b", "c", "d", "e", "f", "g"].into_iter().zip(states.chars()) {
            let (occupancy, speed) = match state {
                'S' => (70.0, Some(5.0)),
                's' => (99.0, None),
                'f' => (10.0, Some(60.0)),
                'o' => (45.0, Some(20.0)),
                _ => continue,
            };
            rows.push(row(id, "occupancy", minute, occupancy, minute * 60_000 + 5_000));
            rows.extend(speed.map(|speed| row(id, "speed", minute, speed, minute * 60_000 + 5_000)));
        }
        rows
    }

    fn show(standing: &Standing) -> String {
        let name = |name: &Option<Name>| name.as_deref().unwrap_or("").to_owned();
        let minute = standing.length.window.end.0 / 60_000;
        format!("{minute}:{}{}{}", standing.length.mean, name(&standing.tail), name(&standing.head))
    }

    fn run(queue: &mut Queue, rows: &[Aggregate], until: i64) -> String {
        let mut decided = Vec::new();
        for row in rows {
            *queue = minicbor::decode(&minicbor::to_vec(&*queue).unwrap()).unwrap();
            decided.extend(queue.observe(row, &rule()));
        }
        decided.extend(queue.advance(Timestamp(until), &rule()));
        decided.iter().map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_longest_run_of_standing_detectors() {
        let check = |states: &str, expected: &str| {
            assert_eq!(run(&mut road(states.len()), &rows(1, states), i64::MAX), expected, "{states}");
        };
        check("ffff", "1:0");
        check("fSff", "1:1bb");
        check("fSSf", "1:2bc");
        check("fSsf", "1:2bc");
        check("ssss", "1:4ad");
        check("oSSo", "1:2bc");
        check("SSfSSS", "1:3df");
        check("SSfSS", "1:2ab");
        check("S", "1:1aa");
        check("f", "1:0");
    }

    /// A limit itself is not beyond it.
    #[test]
    fn limits_are_exclusive() {
        let check = |occupancy, speed, expected: f64| {
            let mut queue = road(1);
            let rows = [row("a", "occupancy", 1, occupancy, 60_000), row("a", "speed", 1, speed, 60_000)];
            rows.iter().for_each(|row| assert_eq!(queue.observe(row, &rule()), []));
            let decided = queue.advance(Timestamp(60_001), &rule());
            assert_eq!(decided[0].length.mean, expected, "{occupancy} {speed}");
        };
        check(40.0, 5.0, 0.0);
        check(40.1, 5.0, 1.0);
        check(90.0, 20.0, 0.0);
        check(90.0, 19.9, 1.0);
    }

    #[test]
    fn silence_breaks_a_queue_until_it_is_forgotten() {
        let all: Vec<_> =
            (1..=20).flat_map(|minute| rows(minute, if minute < 3 { "SSS" } else { "S-S" })).collect();
        let shown = run(&mut road(3), &all, i64::MAX);
        assert!(shown.starts_with("1:3ac 2:3ac 3:1aa 4:1aa"), "{shown}");
        // 15 minutes after its last minute, b is out of order, and a and c are neighbours.
        assert!(shown.ends_with("15:1aa 16:1aa 17:2ac 18:2ac 19:2ac 20:2ac"), "{shown}");
    }

    /// Silence is waited out once, not guessed: the decision bears the instant at which the patience ended.
    #[test]
    fn a_silent_detector_is_waited_for() {
        let mut queue = road(2);
        for row in rows(1, "S") {
            assert_eq!(queue.observe(&row, &rule()), []);
        }
        // b was last heard at its registration at 0, so patience ends 150 s after the minute.
        assert_eq!(queue.advance(Timestamp(210_001), &rule()), []);
        let decided = queue.advance(Timestamp(400_000), &rule());
        assert_eq!(decided.iter().map(|standing| standing.length.as_of.0).collect::<Vec<_>>(), [210_001]);
        // What it says later of that minute comes too late.
        assert_eq!(run(&mut queue, &[row("b", "occupancy", 1, 99.0, 500_000)], i64::MAX), "");
    }

    /// A backlog of one detector waits for that of the others.
    #[test]
    fn a_backlog_is_joined() {
        let by_device = |id: &str, as_of: i64| {
            let rows = (1..=100).map(|minute| row(id, "occupancy", minute, 99.0, as_of + minute));
            rows.collect::<Vec<_>>()
        };
        let all = [by_device("a", 10_000_000), by_device("b", 10_001_000)].concat();
        let mut queue = Queue::new("ring-1".into());
        queue.register(&device("a", 1), Timestamp(10_000_000));
        queue.register(&device("b", 2), Timestamp(10_000_000));
        let shown = run(&mut queue, &all, 10_002_000);
        assert_eq!(shown.split(' ').filter(|minute| minute.ends_with(":2ab")).count(), 100, "{shown}");
    }

    #[test]
    fn the_registry_rules() {
        let mut queue = road(3);
        queue.register(&Device { is_enabled: false, ..device("b", 2) }, Timestamp(1));
        assert_eq!(run(&mut queue, &rows(1, "SSS"), i64::MAX), "1:2ac");
        queue.register(&Device { label: "Gate".into(), ..device("a", 9) }, Timestamp(2));
        assert_eq!(run(&mut queue, &rows(2, "S-S"), i64::MAX), "2:2cGate");
        queue.remove(&"c".into());
        assert_eq!(run(&mut queue, &rows(3, "S-S"), i64::MAX), "3:1GateGate");
        assert_eq!(run(&mut Queue::new("x".into()), &rows(3, "S-S"), i64::MAX), "");
    }

    #[test]
    fn state_is_bounded() {
        let mut queue = road(2);
        for minute in 1..=10_000 {
            queue.observe(&row("a", "occupancy", minute, 1.0, 1000 + minute), &rule());
        }
        assert_eq!(queue.detectors[0].pending.len(), MAX_PENDING);
    }

    /// Two neighbours for two minutes open an alert, dated to the start of the first minute.
    #[test]
    fn opens_an_alert() {
        let states = ["fff", "fSS", "fSS", "SSS", "fff", "fff"];
        let (mut queue, mut life, rule) = (road(3), AlertLife::default(), rule());
        let all: Vec<_> = (1..).zip(states).flat_map(|(minute, states)| rows(minute, states)).collect();
        let mut standing: Vec<_> = all.iter().flat_map(|row| queue.observe(row, &rule)).collect();
        standing.extend(queue.advance(Timestamp::MAX, &rule));
        let road = Subject::Area("ring-1".into());
        let area = Name::new("ring-1");
        let about = About { rule: &rule.alert, subject: &road, label: "Ring 1", area: &area, position: None };
        let mut shown = Vec::new();
        for Standing { length, head, tail } in &standing {
            let words = [(Word::Head, head), (Word::Tail, tail)]
                .map(|(word, name)| (word, name.as_deref().unwrap_or("?")));
            let (span, value, as_of) = (length.window, length.mean, length.as_of);
            let seen = Seen { span, value, is_active: true, as_of, is_backfill: false, words: &words };
            shown.extend(
                life.observe(&about, &seen)
                    .map(|alert| format!("{} to {}: {}", alert.opened_at, alert.at, alert.text)),
            );
        }
        assert_eq!(
            shown,
            [
                "60000 to 180000: Ring 1: standing queue over 2 detectors, from c back to b",
                "60000 to 360000: Ring 1: standing queue is gone",
            ]
        );
    }

    proptest! {
        /// Asking often or seldom, the same is decided, with the same stamps.
        #[test]
        fn ticks_decide_nothing(
            spoken in proptest::collection::vec((0..3usize, 1..8i64, any::<bool>(), 0..120_000i64), 0..40),
            every in 4_000..50_000i64,
        ) {
            let mut as_of = 0;
            let (mut seldom, mut often) = (road(3), road(3));
            let (mut first, mut second) = (Vec::new(), Vec::new());
            for (detector, minute, stands, pause) in spoken {
                for tick in (as_of..as_of + pause).step_by(every as usize) {
                    second.extend(often.advance(Timestamp(tick), &rule()));
                }
                as_of += pause;
                let row = row(["a", "b", "c"][detector], "occupancy", minute, if stands { 99.0 } else { 1.0 }, as_of);
                first.extend(seldom.observe(&row, &rule()));
                second.extend(often.observe(&row, &rule()));
            }
            first.extend(seldom.advance(Timestamp::MAX, &rule()));
            second.extend(often.advance(Timestamp::MAX, &rule()));
            prop_assert_eq!(first, second);
        }
    }
}
