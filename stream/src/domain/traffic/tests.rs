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
        limits: Vec::new(),
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
    // b never spoke: patience, 150 s, begins when the road first does, at 65 s.
    assert_eq!(queue.advance(Timestamp(215_001), &rule()), []);
    let decided = queue.advance(Timestamp(400_000), &rule());
    assert_eq!(decided.iter().map(|standing| standing.length.as_of.0).collect::<Vec<_>>(), [215_001]);
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
