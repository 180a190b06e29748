//! Alerts as they were against alerts as they would have been.

use std::collections::BTreeMap;

use records::{Alert, AlertState, Name, Severity, Subject, Timestamp};

/// An alert as a whole: what its transitions amount to.
#[derive(Clone, Debug, PartialEq)]
pub struct Life {
    /// `rule/subject/opened_at`.
    pub id: Name,
    /// The rule that raised it.
    pub rule: Name,
    /// About whom.
    pub subject: Subject,
    /// Since when the condition held, event time.
    pub opened_at: Timestamp,
    /// Until when, event time; `None` when that did not come in the range.
    pub cleared_at: Option<Timestamp>,
    /// How bad it was at its worst.
    pub severity: Severity,
    /// Since when it was known, ingest time.
    pub known_at: Timestamp,
    /// What was told of it.
    transitions: Vec<Alert>,
}

/// An alert that is there before and now, but not alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// As it was.
    pub before: Life,
    /// As it is now.
    pub now: Life,
    /// What differs: fields of the alert.
    pub fields: Vec<&'static str>,
}

/// What two sets of alerts have in common, and what not. In the order of rule, subject and time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Difference {
    /// How many are the same, transition by transition.
    pub same: usize,
    /// Only before.
    pub only_before: Vec<Life>,
    /// Only now.
    pub only_now: Vec<Life>,
    /// In both.
    pub changed: Vec<Change>,
}

impl Difference {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.only_before.is_empty() && self.only_now.is_empty() && self.changed.is_empty()
    }
}

/// Compares transitions, in any order. Alerts of one rule about one subject that were open at the same time are the
/// same alert, whatever their ids.
pub fn difference(before: Vec<Alert>, now: Vec<Alert>) -> Difference {
    let (mut before, mut now) = (lives(before), lives(now));
    let mut found = Difference::default();
    let shared: Vec<_> = before.keys().filter(|key| now.contains_key(*key)).cloned().collect();
    for key in shared {
        let (Some(before), Some(now)) = (before.remove(&key), now.remove(&key)) else { continue };
        match before.transitions == now.transitions {
            true => found.same += 1,
            false => found.changed.push(Change::new(before, now)),
        }
    }
    let mut rest: Vec<Life> = now.into_values().collect();
    for before in before.into_values() {
        match rest.iter().position(|now| before.is_beside(now)) {
            Some(place) => found.changed.push(Change::new(before, rest.remove(place))),
            None => found.only_before.push(before),
        }
    }
    found.only_now = rest;
    found.changed.sort_by_key(|change| key(&change.before));
    found
}

/// Alerts as wholes, in the order of rule, subject and time.
pub fn lives_of(alerts: Vec<Alert>) -> Vec<Life> {
    lives(alerts).into_values().collect()
}

type Key = (Name, Subject, Timestamp);

fn key(life: &Life) -> Key {
    (life.rule.clone(), life.subject.clone(), life.opened_at)
}

fn lives(alerts: Vec<Alert>) -> BTreeMap<Key, Life> {
    let mut by_id: BTreeMap<Name, Vec<Alert>> = BTreeMap::new();
    for alert in alerts {
        by_id.entry(alert.id.clone()).or_default().push(alert);
    }
    by_id.into_values().filter_map(Life::new).map(|life| (key(&life), life)).collect()
}

impl Life {
    fn new(mut transitions: Vec<Alert>) -> Option<Life> {
        transitions.sort_by_key(|alert| alert.transition);
        // A log that is read at least once may tell one twice.
        transitions.dedup();
        let first = transitions.first()?;
        let cleared = transitions.iter().find(|alert| alert.state == AlertState::Cleared);
        Some(Life {
            id: first.id.clone(),
            rule: first.rule.clone(),
            subject: first.subject.clone(),
            opened_at: first.opened_at,
            cleared_at: cleared.map(|alert| alert.at),
            severity: transitions.iter().map(|alert| alert.severity).max()?,
            known_at: first.as_of,
            transitions,
        })
    }

    /// Whether both are of one rule about one subject, and were open at the same time.
    fn is_beside(&self, other: &Life) -> bool {
        let end = |life: &Life| life.cleared_at.unwrap_or(Timestamp::MAX);
        (&self.rule, &self.subject) == (&other.rule, &other.subject)
            && self.opened_at <= end(other)
            && other.opened_at <= end(self)
    }
}

impl Change {
    fn new(before: Life, now: Life) -> Change {
        let fields = [
            ("opened_at", before.opened_at != now.opened_at),
            ("cleared_at", before.cleared_at != now.cleared_at),
            ("severity", before.severity != now.severity),
            ("known_at", before.known_at != now.known_at),
        ];
        let mut fields: Vec<_> = fields.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
        if fields.is_empty() {
            fields.push("transitions");
        }
        Change { before, now, fields }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::UseCase;

    /// `rule:opened+at state severity`, minutes.
    fn alerts(texts: &[&str]) -> Vec<Alert> {
        texts.iter().enumerate().map(|(place, text)| alert(text, place as u32)).collect()
    }

    fn alert(text: &str, transition: u32) -> Alert {
        let words: Vec<&str> = text.split([':', '+', ' ']).collect();
        let minutes = |word: &str| Timestamp(word.parse::<i64>().expect("minutes") * 60_000);
        let (opened_at, at) = (minutes(words[1]), minutes(words[2]));
        Alert {
            id: format!("{}/d/{opened_at}", words[0]).into(),
            transition,
            rule: words[0].into(),
            use_case: UseCase::Environment,
            subject: Subject::Device("d".into()),
            area: Name::default(),
            position: None,
            state: if words[3] == "cleared" { AlertState::Cleared } else { AlertState::Open },
            severity: if words[4] == "severe" { Severity::Severe } else { Severity::Minor },
            opened_at,
            at,
            as_of: at,
            quantity: "ph".into(),
            value: 1.0,
            threshold: 1.0,
            text: String::new(),
            source: Name::default(),
            is_backfill: false,
            actor: None,
            note: None,
        }
    }

    fn check(before: &[&str], now: &[&str], expected: &[&str]) {
        let found = difference(alerts(before), alerts(now));
        let mut shown = vec![format!("{} same", found.same)];
        shown.extend(found.only_before.iter().map(|life| format!("before {}", life.id)));
        shown.extend(found.only_now.iter().map(|life| format!("now {}", life.id)));
        let changed = found.changed.iter();
        shown.extend(changed.map(|change| format!("{} {}", change.before.id, change.fields.join(" "))));
        assert_eq!(shown, expected);
        assert_eq!(found.is_empty(), expected.len() == 1);
    }

    #[test]
    fn what_differs_is_named() {
        let life = ["a:1+1 open minor", "a:1+9 cleared minor"];
        check(&life, &life, &["1 same"]);
        check(&life, &[], &["0 same", "before a/d/60000"]);
        check(&[], &life, &["0 same", "now a/d/60000"]);
        check(&life, &["a:1+1 open minor"], &["0 same", "a/d/60000 cleared_at"]);
        check(&life, &["a:1+1 open severe", "a:1+9 cleared severe"], &["0 same", "a/d/60000 severity"]);
        check(&life, &["b:1+1 open minor"], &["0 same", "before a/d/60000", "now b/d/60000"]);
    }

    #[test]
    fn alerts_that_overlap_are_one_that_moved() {
        let life = ["a:1+1 open minor", "a:1+9 cleared minor"];
        let later = ["a:5+5 open minor", "a:5+9 cleared minor"];
        check(&life, &later, &["0 same", "a/d/60000 opened_at known_at"]);
        let after = ["a:10+10 open minor", "a:10+11 cleared minor"];
        check(&life, &after, &["0 same", "before a/d/60000", "now a/d/600000"]);
    }

    #[test]
    fn an_acknowledgement_is_a_difference() {
        let mut now = alerts(&["a:1+1 open minor", "a:1+9 cleared minor"]);
        let before = now.clone();
        now[0].actor = Some("li".into());
        assert_eq!(difference(before, now).changed[0].fields, ["transitions"]);
    }
}
