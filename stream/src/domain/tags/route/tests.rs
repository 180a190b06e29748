use super::zone::MAX_NAMED;
use super::*;
use crate::rule::Ruleset;
use proptest::prelude::*;
use records::Family;

/// Route time 100, slack 10 + 30, patience 1000; well after 2 arrivals. All in milliseconds.
fn rules() -> (RouteRule, TagRule) {
    let rules = Ruleset::default();
    let millis = Duration::from_millis;
    let route = RouteRule {
        route_time: millis(100),
        patience: millis(1000),
        clear_after: 2,
        max_open: 8,
        ..rules.routes[0].clone()
    };
    (route, TagRule { timeout: millis(10), longest: millis(30), ..rules.tags })
}

fn reader(id: &str, rank: u32) -> Device {
    Device {
        id: id.into(),
        family: Family::Rfid,
        label: Name::default(),
        area: "line".into(),
        rank,
        position: None,
        is_enabled: true,
        updated_at: Timestamp(0),
        limits: Vec::new(),
    }
}

/// Readers `1`, `2`, `3`, and `4`, the latter in the zone of `3`.
fn line() -> Route {
    let mut route = Route::new("line".into());
    for (id, rank) in [("1", 10), ("2", 20), ("3", 30), ("4", 30)] {
        route.register(&reader(id, rank), Timestamp(0));
    }
    route
}

fn show(missing: &Missing) -> String {
    format!(
        "{}@{} {} at {} [{}]",
        missing.at, missing.count.as_of, missing.count.mean, missing.reader, missing.tags
    )
}

/// `steps`: `as_of:reader=tag` is a sighting at that instant, `as_of:reader=tag@from-to` at another, `as_of:reader>to`
/// progress, `as_of:` a tick.
fn feed(route: &mut Route, steps: &str) -> Vec<Missing> {
    let (rule, tags) = rules();
    let line = Line { rule: &rule, tags: &tags };
    let mut changes = Vec::new();
    for step in steps.split_whitespace() {
        *route = minicbor::decode(&minicbor::to_vec(&*route).unwrap()).unwrap();
        let (as_of, what) = step.split_once(':').unwrap();
        let as_of = Timestamp(as_of.parse().unwrap());
        if let Some((reader, reached)) = what.split_once('>') {
            let reached = Timestamp(reached.parse().unwrap());
            changes.extend(route.progress(&reader.into(), reached, as_of, &line));
        } else if let Some((reader, tag)) = what.split_once('=') {
            let (tag, span) = tag.split_once('@').unwrap_or((tag, ""));
            let span = span.split_once('-').map(|(from, to)| (from.parse().unwrap(), to.parse().unwrap()));
            let (first, last) = span.unwrap_or((as_of.0, as_of.0));
            changes.extend(route.observe(&sighting(reader, tag, first, last, as_of.0), &line));
        } else {
            changes.extend(route.advance(as_of, &line));
        }
    }
    changes
}

fn sighting(reader: &str, tag: &str, first: i64, last: i64, as_of: i64) -> Sighting {
    Sighting {
        area: "line".into(),
        device: reader.into(),
        epc: tag.into(),
        first_seen: Timestamp(first),
        last_seen: Timestamp(last),
        count: 1,
        as_of: Timestamp(as_of),
    }
}

fn check(steps: &str, expected: &[&str]) {
    let shown: Vec<_> = feed(&mut line(), steps).iter().map(show).collect();
    assert_eq!(shown, expected, "{steps}");
}

#[test]
fn a_tag_that_arrives_says_nothing() {
    check("0:1=A 100:2=A 200:3=A 900:1>900 901:2>900 902:3>900 903:4>900 905:", &[]);
    check("0:1=A 50:2=A 90:4=A 900:1>900 901:2>900 902:3>900 903:4>900 905:", &[]);
    // The last zone expects nothing.
    check("0:3=A 900:1>900 901:2>900 902:3>900 903:4>900 905:", &[]);
    // Out of order: the next reader was quicker to tell.
    check("80:2=A 90:1=A@20-22 900:1>900 901:2>900 902:3>80 905:", &[]);
}

#[test]
fn a_tag_that_does_not_arrive_is_known_when_the_next_reader_is_past() {
    // 100 to arrive and 40 that a sighting may take: 2 must have come to 140.
    check("0:1=A 139:2>139 200:", &[]);
    check("0:1=A 141:2>140 141:", &[]);
    check("0:1=A 141:2>140 142:", &["100@141 1 at 2 [A]"]);
    // A zone is past when all its readers are.
    check("0:2=A 150:3>150 160:", &[]);
    check("0:2=A 150:3>150 151:4>150 160:", &["100@151 1 at 3 / 4 [A]"]);
    // Too late is missing, and known at once.
    check("0:1=A 101:2=A", &["100@101 1 at 2 [A]"]);
    check("0:1=A 100:2=A", &[]);
}

#[test]
fn a_tag_seen_further_on_was_missed() {
    check("0:1=A 50:3=A 60:2>89 70:", &[]);
    check("0:1=A 50:3=A 60:2>90 70:", &["50@60 1 at 2 [A]"]);
    // But the reader in between may only have been slow to tell.
    check("0:1=A 50:3=A 60:2=A@20-20 160:2>160 170:", &[]);
}

#[test]
fn a_silent_reader_is_waited_for_with_patience() {
    check("0:1=A 1140:", &[]);
    check("0:1=A 1141:", &[]);
    check("0:1=A 1142:", &["100@1141 1 at 2 [A]"]);
    // However late somebody asks.
    check("0:1=A 9999:", &["100@1141 1 at 2 [A]"]);
    // It spoke: patience begins anew.
    check("0:1=A 1000:2>50 2000:", &[]);
    check("0:1=A 1000:2>50 2002:", &["100@2001 1 at 2 [A]"]);
    // A backlog has its time, too: patience runs in ingest time, and from when the line speaks again.
    check("500000:1=A@0-0 501001:", &[]);
    check("500000:1=A@0-0 501002:", &["100@501001 1 at 2 [A]"]);
    let mut route = Route::new("line".into());
    for (id, rank) in [("1", 10), ("2", 20)] {
        route.register(&reader(id, rank), Timestamp(500_000));
    }
    assert_eq!(feed(&mut route, "500000:1=A@0-0 500900: 500950:2=A@50-50 501000:1>500 509000:"), []);
}

#[test]
fn misses_add_up_and_arrivals_heal() {
    check(
        "0:1=A 10:1=B 20:1=C 30:1=D 300:2>300 310:",
        &[
            "100@300 1 at 2 [A]",
            "110@300 2 at 2 [A, B]",
            "120@300 3 at 2 [A, B, C]",
            "130@300 4 at 2 [B, C, D and 1 before]",
        ],
    );
    let miss = "0:1=A 150:2>150 160:1=B 170:2=B";
    check(miss, &["100@150 1 at 2 [A]"]);
    check(&format!("{miss} 180:1=C 190:2=C"), &["100@150 1 at 2 [A]", "190@190 0 at 2 []"]);
    // Time on the line does not run back, though arrivals may be told after a later deadline.
    check(
        "0:1=A 1:1=B 2:1=C 141:2>140 143:2=B@50-50 144:2=C@60-60",
        &["100@141 1 at 2 [A]", "100@144 0 at 2 []"],
    );
    // Arrivals must follow each other.
    let miss = format!("{miss} 180:1=C 330:2>330 340:1=D 350:2=D");
    check(&miss, &["100@150 1 at 2 [A]", "280@330 2 at 2 [A, C]"]);
    check(
        &format!("{miss} 360:1=E 370:2=E"),
        &["100@150 1 at 2 [A]", "280@330 2 at 2 [A, C]", "370@370 0 at 2 []"],
    );
}

#[test]
fn the_worst_zone_is_told() {
    let two_at_2 = "0:1=A 1:1=B 2:2=X 150:2>150 151:3>150 152:4>150 160:";
    check(two_at_2, &["100@150 1 at 2 [A]", "101@150 2 at 2 [A, B]"]);
    // X is missing at the zone of 3, too, which shows when 2 is well again.
    check(
        &format!("{two_at_2} 170:1=C 171:2=C 172:1=D 173:2=D"),
        &["100@150 1 at 2 [A]", "101@150 2 at 2 [A, B]", "173@173 1 at 3 / 4 [X]"],
    );
}

#[test]
fn a_tag_may_stay_or_go_back() {
    // Seen again at the same reader: expected 100 after that.
    check("0:1=A@0-30 60:1=A@35-60 150:2=A 300:2>300 310:3=A@160-160", &[]);
    check("0:1=A@0-30 60:1=A@35-60 300:2>300 310:", &["160@300 1 at 2 [A]"]);
    // Back to the first reader before it reached the third zone, then on.
    check("0:1=A 50:2=A 80:1=A 120:2=A 160:3=A 400:2>400 401:3>400 402:4>400 410:", &[]);
    // Back for good: nothing is missing where it was expected before, only where it is expected now.
    check("0:1=A 50:2=A 80:1=A 300:3>300 301:4>300 310:", &[]);
    check("0:1=A 50:2=A 80:1=A 300:3>300 301:4>300 310:2>300 320:", &["180@310 1 at 2 [A]"]);
    // Another round later is another passage.
    check("0:1=A 50:2=A 60:3=A 500:1=A 700:2>700 710:", &["600@700 1 at 2 [A]"]);
}

#[test]
fn what_is_too_old_is_not_judged() {
    // 1 comes back with what it saw long ago; what 2 saw then is forgotten.
    let live: String = (0..40).map(|n| format!("{0}:2=T{n} {0}:3=T{n} {0}:4>{0} ", 1200 + n * 50)).collect();
    let late = "4000:1=T1@1240-1240 5000:2>5000 5001:";
    assert_eq!(feed(&mut line(), &format!("{live}{late}")), []);
    // Against this one, which is not too old.
    let fresh = "3160:1=Z@3155-3155 5000:2>5000 5001:";
    assert_eq!(feed(&mut line(), &format!("{live}{fresh}")).len(), 1);
}

#[test]
fn strangers_and_the_registry() {
    check("0:9=A 900:9>900 1900:", &[]);
    let mut route = line();
    route.register(&Device { is_enabled: false, ..reader("2", 20) }, Timestamp(0));
    let shown: Vec<_> = feed(&mut route, "0:1=A 150:3>150 151:4>150 160:").iter().map(show).collect();
    assert_eq!(shown, ["100@151 1 at 3 / 4 [A]"]);
    route.register(&Device { label: "Dock".into(), ..reader("3", 25) }, Timestamp(200));
    let shown: Vec<_> = feed(&mut route, "200:1=B 350:3>350 360:").iter().map(show).collect();
    assert_eq!(shown, ["300@350 1 at Dock [B]"]);
    for id in ["1", "3", "4"] {
        route.remove(&id.into());
    }
    assert!(route.zones.is_empty() && feed(&mut route, "400:1=C 9000:").is_empty());
}

#[test]
fn rows_of_one_minute_are_revisions() {
    let shown: Vec<_> = feed(&mut line(), "0:1=A 10:1=B 59990:2>300 59990:1=C 90000:2>90000 90001:")
        .iter()
        .map(|missing| (missing.count.window.start.0, missing.count.revision, missing.count.sum))
        .collect();
    assert_eq!(shown, [(0, 0, 1.0), (0, 1, 2.0), (60_000, 0, 3.0)]);
}

#[test]
fn state_is_bounded() {
    let mut route = line();
    for n in 0..5000 {
        feed(&mut route, &format!("{0}:1=T{n} {0}:2>{0}", n * 3));
    }
    let due: usize = route.zones.values().map(|zone| zone.due.len()).sum();
    assert!(route.tags.len() <= 8 && due < 100, "{} {due}", route.tags.len());
    assert!(route.zones.values().all(|zone| zone.named().split(", ").count() <= MAX_NAMED));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Asking often or seldom, the same is told, with the same stamps.
    #[test]
    fn ticks_decide_nothing(
        spoken in proptest::collection::vec((1..5u8, 0..5u8, 0..400i64, 0..200i64), 0..60),
        every in 100..500usize,
    ) {
        let (mut seldom, mut often) = (line(), line());
        let (mut first, mut second) = (Vec::new(), Vec::new());
        let mut as_of = 1000;
        for (reader, tag, pause, ago) in spoken {
            for tick in (as_of..as_of + pause).step_by(every) {
                second.extend(feed(&mut often, &format!("{tick}:")));
            }
            as_of += pause;
            let at = as_of - ago;
            let step = match tag {
                0 => format!("{as_of}:{reader}>{at}"),
                tag => format!("{as_of}:{reader}={tag}@{at}-{at}"),
            };
            first.extend(feed(&mut seldom, &step));
            second.extend(feed(&mut often, &step));
        }
        first.extend(feed(&mut seldom, "999999:"));
        second.extend(feed(&mut often, "999999:"));
        prop_assert!(first.is_sorted_by_key(|missing| missing.at));
        prop_assert_eq!(first, second);
    }

    /// Tags that all arrive in time raise nothing, however far behind each reader is (within the patience) and however
    /// much its sightings are out of order (within what a sighting may take).
    #[test]
    fn no_false_miss(
        tags in proptest::collection::vec((0..30i64, 1..100i64, 1..100i64), 1..8),
        behind in proptest::array::uniform3(0..500i64),
        disorder in proptest::collection::vec(0..40i64, 24),
    ) {
        let mut sightings = Vec::new();
        let mut start = 1000;
        for (n, (pause, to_2, to_3)) in tags.iter().enumerate() {
            start += pause;
            let times = [("1", start), ("2", start + to_2), ("3", start + to_2 + to_3)];
            for (zone, at) in times.into_iter().enumerate() {
                sightings.push((at.1 + behind[zone] + disorder[n * 3 + zone], at, n));
            }
        }
        sightings.sort();
        let mut route = line();
        let mut changes = Vec::new();
        for (as_of, (reader, at), n) in sightings {
            changes.extend(feed(&mut route, &format!("{as_of}:{reader}=T{n}@{at}-{at}")));
        }
        changes.extend(feed(&mut route, "1900:"));
        prop_assert_eq!(changes, vec![]);
    }
}
