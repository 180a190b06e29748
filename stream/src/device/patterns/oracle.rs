//! Patterns beside brute force: all messages at once, every beginning looked at by itself.

use super::*;
use crate::outputs::Partitions;
use crate::rule::Ruleset;
use proptest::prelude::*;

const DISORDER: i64 = 10_000;
const WITHIN: i64 = 30_000;
const FORGET: i64 = 100_000;

/// Event time, and what is said of the first and the second.
type Said = (i64, Option<bool>, bool);
/// Of an occurrence: since when, when, and how many there are then.
type Occurrence = (i64, i64, usize);

fn rule(second: &str) -> PatternRule {
    let text = format!(
        "{}\n[[pattern]]\nid = \"p\"\nuse_case = \"environment\"\nfamily = \"other\"\nfirst = \"temperature > 1\"\n\
         {second} = \"humidity > 1\"\nwithin_s = 30\nforget_s = 100\ntext = \"t\"\ncleared = \"c\"\nsource = \"s\"\n\
         basis = \"configuration\"\nlevels = [{{ severity = \"minor\", name = \"n\", open = 1, clear = 0.5 }}]\n",
        include_str!("../../../rules/default.toml")
    );
    Ruleset::parse(&text).unwrap_or_else(|problems| panic!("{problems:?}")).patterns.remove(0)
}

/// What occurs when messages come later than said by as much as `delays`, each looked at when its device has passed it.
fn run(rule: &PatternRule, said: &[Said], delays: &[i64]) -> Vec<Occurrence> {
    let one = Partitions { telemetry: 1, observations: 1, aggregates: 1, alerts: 1, ledger: 1 };
    let (mut out, mut pattern, mut found) = (Outputs::new(one), Pattern::new(0), Vec::new());
    let mut order: Vec<usize> = (0..said.len()).collect();
    order.sort_by_key(|index| (said[*index].0 + delays[*index], *index));
    let mut newest = i64::MIN;
    let mut tell = |_: &mut AlertLife, Standing { span, times }: Standing, _: &mut Outputs| {
        found.push((span.start.0, span.end.0, times));
    };
    for index in order {
        // Whatever is in the state survives a snapshot.
        pattern = minicbor::decode(&minicbor::to_vec(&pattern).unwrap()).unwrap();
        let (at, first, second) = said[index];
        assert!(
            pattern.add(super::Said { at: Timestamp(at), first, second }),
            "nothing is later than it may be"
        );
        newest = newest.max(at);
        pattern.advance(Timestamp(newest - DISORDER), rule, &mut out, &mut tell);
    }
    pattern.advance(Timestamp(newest + 2 * FORGET), rule, &mut out, &mut tell);
    assert!(pattern.next(rule).is_none() && pattern.occurred.is_empty());
    assert_eq!(out.take_counts().of(Fact::PatternLate), 0);
    found.retain(|(start, end, _)| start < end);
    found
}

fn brute_force(said: &[Said], is_without: bool) -> Vec<Occurrence> {
    let mut instants: Vec<i64> = said.iter().map(|said| said.0).collect();
    instants.sort_unstable();
    instants.dedup();
    let at = |instant: i64| said.iter().filter(move |said| said.0 == instant);
    let is_second = |instant: &i64| at(*instant).any(|said| said.2);
    let mut begun = Vec::new();
    let mut is_on = false;
    for instant in &instants {
        let Some(first) = at(*instant).filter_map(|said| said.1).max() else { continue };
        if first && !is_on {
            begun.push(*instant);
        }
        is_on = first;
    }
    let seconds: Vec<i64> = instants.iter().copied().filter(|instant| is_second(instant)).collect();
    let answer = |begun: i64| seconds.iter().copied().find(|second| begun < *second);
    let mut occurred: Vec<(i64, i64)> = if is_without {
        let is_unanswered = |begun: &i64| answer(*begun).is_none_or(|second| second > begun + WITHIN);
        begun.iter().copied().filter(is_unanswered).map(|begun| (begun, begun + WITHIN)).collect()
    } else {
        let last_before = |second: i64| begun.iter().copied().rfind(|begun| *begun < second);
        let answers = |second: &i64| {
            let begun = last_before(*second)?;
            (answer(begun) == Some(*second) && second - begun <= WITHIN).then_some((begun, *second))
        };
        seconds.iter().filter_map(answers).collect()
    };
    occurred.sort_by_key(|(_, end)| *end);
    let times =
        |end: i64| occurred.iter().filter(|(_, other)| end - FORGET <= *other && *other <= end).count();
    occurred.iter().map(|(start, end)| (*start, *end, times(*end))).collect()
}

fn said() -> impl Strategy<Value = (Vec<Said>, Vec<i64>)> {
    let step = prop_oneof![3 => 0..8_000i64, 1 => 8_000..60_000i64];
    let first = prop_oneof![2 => Just(None), 2 => Just(Some(false)), 2 => Just(Some(true))];
    let one = (step, first, prop::bool::weighted(0.3), 0..DISORDER);
    prop::collection::vec(one, 1..60).prop_map(|steps| {
        let mut at = 0;
        let said = steps.iter().map(|(step, first, second, _)| {
            // Whole seconds, so that ends of waiting and messages meet.
            at += step / 1000 * 1000;
            (at, *first, *second)
        });
        (said.collect(), steps.iter().map(|(.., delay)| *delay).collect())
    })
}

proptest! {
    #[test]
    fn what_occurs_equals_brute_force((said, delays) in said()) {
        for (second, is_without) in [("then", false), ("without", true)] {
            prop_assert_eq!(run(&rule(second), &said, &delays), brute_force(&said, is_without), "{}", second);
        }
    }
}

/// A device that begins for ever is remembered no further than it may be, and what found no room is counted.
#[test]
fn stays_bounded() {
    let (rule, mut pattern) = (rule("without"), Pattern::new(0));
    let one = Partitions { telemetry: 1, observations: 1, aggregates: 1, alerts: 1, ledger: 1 };
    let mut out = Outputs::new(one);
    for at in 0..5000 {
        let (at, first) = (Timestamp(at), Some(at % 2 == 0));
        assert!(pattern.add(super::Said { at, first, second: false }));
        pattern.advance(Timestamp::MIN, &rule, &mut out, &mut |_, _, _| {});
    }
    assert!(pattern.waiting.len() <= MAX_WAITING && pattern.begun.len() == MAX_BEGUN);
    assert!(!pattern.add(super::Said { at: Timestamp(3), first: None, second: true }));
    assert_eq!(out.take_counts().of(Fact::PatternLate), (5000 - MAX_WAITING as u64) / 2 - MAX_BEGUN as u64);
    pattern.advance(Timestamp(100_000_000), &rule, &mut out, &mut |_, standing, _| {
        assert!(standing.times <= MOST_OCCURRENCES as usize);
    });
}
