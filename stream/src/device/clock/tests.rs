use super::*;
use records::{Body, Status};

const NOW: i64 = 1_777_852_800_000;

fn message(said: Option<i64>, ingest: i64) -> Observation {
    Observation {
        device: "d".into(),
        epoch: 0,
        sequence: None,
        device_time: said.map(Timestamp),
        event_time: Timestamp(0),
        ingest_time: Timestamp(ingest),
        position: None,
        stated: None,
        is_late: false,
        body: Body::Status(Status::default()),
    }
}

/// A device, second by second: what it is ahead by, and how long its messages take.
#[derive(Default)]
struct Bench {
    model: ClockModel,
    policy: Policy,
}

impl Bench {
    fn say(&mut self, said: Option<i64>, ingest: i64) -> Judgement {
        // Whatever is in the state survives a snapshot.
        self.model = minicbor::decode(&minicbor::to_vec(&self.model).unwrap()).unwrap();
        self.model.judge(&message(said, ingest), self.policy, &ClockConfig::default())
    }

    /// A message made at `at` seconds by a clock that is `ahead`, on the way for `delay`; seconds.
    fn made(&mut self, at: f64, ahead: f64, delay: f64) -> (f64, Judgement) {
        let millis = |seconds: f64| NOW + (seconds * 1000.0).round() as i64;
        let judgement = self.say(Some(millis(at + ahead)), millis(at + delay));
        let error = (judgement.event_time.0 - millis(at)) as f64 / 1000.0;
        (error, judgement)
    }

    /// Every ten seconds in `[from, to)`; the greatest error, and a letter per verdict as it changes.
    fn run(&mut self, (from, to): (i32, i32), ahead: f64, delay: impl Fn(i32) -> f64) -> (f64, String) {
        let mut worst: f64 = 0.0;
        let mut letters = String::new();
        for at in (from..to).step_by(10) {
            let (error, judgement) = self.made(f64::from(at), ahead, delay(at));
            worst = worst.max(error.abs());
            let letter = letter(judgement);
            if !letters.ends_with(letter) {
                letters.push(letter);
            }
        }
        (worst, letters)
    }
}

fn letter(judgement: Judgement) -> char {
    match judgement.verdict {
        Verdict::Absent => 'a',
        Verdict::Trusted => 't',
        Verdict::Corrected => 'c',
        Verdict::Doubted => 'd',
    }
}

/// Delays of a mobile network: mostly a third of a second, now and then some.
fn network(at: i32) -> f64 {
    [0.3, 0.4, 2.5, 0.3, 7.0, 0.5, 0.3][(at / 10) as usize % 7]
}

#[test]
fn the_first_word_of_a_device() {
    let check = |said: Option<i64>, expected: (i64, Verdict, Option<Fault>)| {
        let Judgement { event_time, verdict, fault, step } = Bench::default().say(said, NOW);
        assert_eq!((event_time.0, verdict, fault), expected, "{said:?}");
        assert_eq!(step, None);
    };
    use Fault::*;
    use Verdict::*;
    check(None, (NOW, Absent, None));
    check(Some(NOW - 1), (NOW - 1, Trusted, None));
    check(Some(NOW + 60_000), (NOW + 60_000, Trusted, None));
    check(Some(NOW + 60_001), (NOW, Doubted, Some(InFuture)));
    check(Some(EARLIEST.0), (EARLIEST.0, Trusted, None));
    check(Some(EARLIEST.0 - 1), (NOW, Doubted, Some(TooOld)));
    check(Some(0), (NOW, Doubted, Some(TooOld)));
    check(Some(NOW / 1000), (NOW, Corrected, Some(Seconds)));
    check(Some(NOW / 1000 - 3600), (NOW - 3_600_000, Corrected, Some(Seconds)));
    check(Some(NOW / 1000 - 90_000), (NOW, Doubted, Some(TooOld)));
    check(Some(i64::MIN), (NOW, Doubted, Some(TooOld)));
    check(Some(i64::MAX), (NOW, Doubted, Some(InFuture)));
}

#[test]
fn a_right_clock_is_believed_to_the_millisecond() {
    for ahead in [0.0, 59.0, -50.0] {
        let (worst, verdicts) = Bench::default().run((0, 7200), ahead, network);
        assert_eq!((worst, verdicts.as_str()), (f64::abs(ahead), "t"));
    }
}

#[test]
fn a_fast_clock_is_corrected_once_it_has_settled() {
    let mut bench = Bench::default();
    let (worst, verdicts) = bench.run((0, 130), 7200.0, network);
    assert_eq!(verdicts, "dc");
    assert!(worst <= 2.5, "{worst}");
    // From then on within the least delay, whatever a message's own.
    let (worst, verdicts) = bench.run((130, 7200), 7200.0, network);
    assert_eq!((worst, verdicts.as_str()), (0.3, "c"));
}

#[test]
fn a_slow_clock_is_history_until_it_has_settled() {
    let mut bench = Bench::default();
    assert_eq!(bench.run((0, 120), -7200.0, network).1, "t");
    let (worst, verdicts) = bench.run((130, 7200), -7200.0, network);
    assert_eq!((worst, verdicts.as_str()), (0.3, "c"));
    let (_, judgement) = bench.made(7200.0, -7200.0, 0.4);
    assert_eq!(judgement.fault, Some(Fault::Behind));
}

/// Six hours in seconds, in minutes, and at nearly real time; oldest first, newest first, mixed with the present.
#[test]
fn a_backlog_is_no_slow_clock() {
    for speed in [3600.0, 60.0, 2.0, 1.15] {
        let mut bench = Bench::default();
        bench.run((0, 600), 0.0, network);
        for made in (600..22_200).step_by(10) {
            let arrives = 22_200.0 + f64::from(made - 600) / speed;
            let (error, judgement) = bench.made(f64::from(made), 0.0, arrives - f64::from(made));
            assert_eq!((error, letter(judgement)), (0.0, 't'), "{speed} {made}");
        }
    }
    let mut bench = Bench::default();
    for n in 0..2160 {
        let arrives = 22_200.0 + f64::from(n);
        let made = f64::from(22_200 - n * 10);
        assert_eq!(bench.made(made, 0.0, arrives - made).0, 0.0);
        assert_eq!(bench.made(arrives, 0.0, 0.3).0, 0.0);
    }
    // Uploaded every five minutes, for hours.
    let mut bench = Bench::default();
    assert_eq!(bench.run((0, 20_000), 0.0, |at| f64::from(300 - at % 300)), (0.0, "t".into()));
}

/// A wrong clock that is known keeps its correction through an outage.
#[test]
fn a_backlog_of_a_fast_device_is_corrected() {
    let mut bench = Bench::default();
    bench.run((0, 600), 7200.0, network);
    let (worst, verdicts) =
        bench.run((600, 22_200), 7200.0, |at| 22_200.0 + f64::from(at) / 1000.0 - f64::from(at));
    assert_eq!((worst, verdicts.as_str()), (0.3, "cdc"));
    assert_eq!(bench.run((22_210, 23_000), 7200.0, network), (0.3, "c".into()));
}

/// Uploaded in batches, an offset is that of the newest of a batch.
#[test]
fn batches_of_a_fast_device_settle() {
    let mut bench = Bench::default();
    let batches = |at: i32| f64::from(300 - at % 300) - 9.0;
    bench.run((0, 3600), 7200.0, batches);
    let (worst, verdicts) = bench.run((3600, 20_000), 7200.0, batches);
    assert_eq!((worst, verdicts.as_str()), (1.0, "c"));
}

#[test]
fn steps_are_recognised_and_named() {
    let check = |steps: &[f64], expected: &[Step]| {
        let mut bench = Bench::default();
        let mut found = Vec::new();
        for (hour, ahead) in (0..).zip(steps) {
            for at in (hour * 3600..hour * 3600 + 3600).step_by(10) {
                found.extend(bench.made(f64::from(at), *ahead, network(at)).1.step);
            }
            let (error, _) = bench.made(f64::from(hour * 3600 + 3595), *ahead, 0.4);
            assert!(error.abs() <= 60.0, "{error} after {ahead}");
        }
        assert_eq!(found, expected, "{steps:?}");
    };
    let since_1970 = NOW as f64 / 1000.0;
    check(&[0.0, 1.0, -3.0, 40.0], &[]);
    check(&[8.0 * 3600.0], &[Step::Zone]);
    check(&[0.0, -8.0 * 3600.0, 0.0], &[Step::Zone, Step::Set]);
    check(&[0.0, 400.0, 0.0], &[Step::Astray, Step::Set]);
    check(&[0.0, -since_1970, -since_1970 - 3600.0, 0.0], &[Step::Reset, Step::Reset, Step::Set]);
    check(&[7200.0, 7200.0, 7300.0], &[Step::Zone, Step::Astray]);
}

/// Messages with one nonsense among them are judged one by one.
#[test]
fn nonsense_hurts_nobody_else() {
    let mut bench = Bench::default();
    for at in 0..500 {
        let ahead = if at % 7 == 3 {
            86_400.0
        } else if at % 7 == 5 {
            -1.7e9
        } else {
            0.0
        };
        let (error, judgement) = bench.made(f64::from(at * 10), ahead, 0.3);
        let expected = if ahead == 0.0 { (0.0, 't') } else { (0.3, letter(judgement)) };
        assert_eq!((error, letter(judgement)), expected, "{at}");
    }
}

#[test]
fn other_policies_do_not_correct() {
    let check = |policy: Policy, ahead: f64, expected: (f64, char)| {
        let mut bench = Bench { policy, ..Bench::default() };
        bench.run((0, 600), ahead, |_| 0.4);
        let (error, judgement) = bench.made(600.0, ahead, 0.4);
        assert_eq!((error, letter(judgement)), expected, "{policy:?} {ahead}");
    };
    check(Policy::Trust, -7200.0, (-7200.0, 't'));
    check(Policy::Trust, 7200.0, (0.4, 'd'));
    check(Policy::Trust, 30.0, (30.0, 't'));
    check(Policy::Ingest, -7200.0, (0.4, 'd'));
    check(Policy::Ingest, 7200.0, (0.4, 'd'));
    check(Policy::Ingest, 30.0, (30.0, 't'));
}

#[test]
fn a_clock_near_the_bound_does_not_flutter() {
    let mut bench = Bench::default();
    let (_, verdicts) = bench.run((0, 7200), 61.0, network);
    assert_eq!(verdicts, "dc");
    // It drifts nearer: corrected until it is half as far.
    let mut seen = String::new();
    for at in (7200..60_000).step_by(10) {
        let ahead = 61.0 - f64::from(at - 7200) / 1000.0;
        let (_, judgement) = bench.made(f64::from(at), ahead, 0.3);
        let letter = letter(judgement);
        if !seen.ends_with(letter) {
            seen.push(letter);
        }
    }
    assert_eq!(seen, "ct");
}

proptest::proptest! {
    #[test]
    fn anything_may_come(words in proptest::collection::vec((proptest::prelude::any::<i64>(), proptest::prelude::any::<i64>()), 0..40)) {
        let mut bench = Bench::default();
        for (said, ingest) in words {
            let judgement = bench.say(Some(said), ingest);
            let most = Timestamp(ingest) + ClockConfig::default().allowance;
            proptest::prop_assert!(judgement.event_time <= most);
            proptest::prop_assert!(judgement.event_time >= EARLIEST || judgement.event_time == Timestamp(ingest));
        }
    }
}
