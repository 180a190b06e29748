//! The life of the alerts of one rule about one subject, one after the other.

use super::ladder::{Change, Ladder, Step};
use super::template::{Template, Word};
use super::threshold::ThresholdRule;
use super::view::{Sight, View};
use minicbor::{Decode, Encode};
use records::{Action, Alert, AlertState, Name, Position, Severity, Subject, Timestamp, Verb, Window};
use std::fmt::Write;

/// Where a rule stands for a subject, and its alert while one is open.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct AlertLife {
    #[n(0)]
    ladder: Ladder,
    #[n(1)]
    open: Option<Box<OpenAlert>>,
    /// Of a rule that looks at more than the value.
    #[n(2)]
    view: Option<Box<View>>,
}

/// Which rule, about whom.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The rule.
    pub rule: &'a ThresholdRule,
    /// About whom.
    pub subject: &'a Subject,
    /// What people call them; their name when this is empty.
    pub label: &'a str,
    /// Where they belong.
    pub area: &'a Name,
    /// Where they are.
    pub position: Option<Position>,
}

/// What was observed.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// When, event time: the window of an aggregate; start = end for an instant.
    pub span: Window,
    /// The value, in the unit of the rule's quantity. Not finite: ignored.
    pub value: f64,
    /// Whether the value may count. False: the condition does not hold, whatever the value.
    pub is_active: bool,
    /// Ingest time as of which we know.
    pub as_of: Timestamp,
    /// It tells of the past.
    pub is_backfill: bool,
    /// What else the rule's sentences may say.
    pub words: &'a [(Word, &'a str)],
}

/// What must be known of an open alert to write its next transition.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
struct OpenAlert {
    #[cbor(n(0), with = "crate::cbor")]
    id: Name,
    #[n(1)]
    transition: u32,
    #[n(2)]
    is_acknowledged: bool,
    #[cbor(n(3), with = "crate::cbor")]
    severity: Severity,
    #[cbor(n(4), with = "crate::cbor")]
    opened_at: Timestamp,
    #[n(5)]
    value: f64,
    #[n(6)]
    threshold: f64,
    #[n(7)]
    text: String,
    #[n(8)]
    is_backfill: bool,
}

impl AlertLife {
    /// Takes an observation; returns the transition it causes, if any.
    ///
    /// Call in event-time order; see [`Ladder::observe`].
    pub fn observe(&mut self, about: &About<'_>, seen: &Seen<'_>) -> Option<Alert> {
        if !seen.value.is_finite() {
            return None;
        }
        let seen = &self.look(about, seen)?;
        let step = match seen.is_active {
            true => self.ladder.observe(about.rule, seen.span, seen.value),
            false => self.ladder.observe_rest(about.rule, seen.span),
        }?;
        let open = self.advance(about, seen, &step);
        let state = match (step.change, open.is_acknowledged) {
            (Change::Clear, _) => AlertState::Cleared,
            (_, true) => AlertState::Acknowledged,
            (_, false) => AlertState::Open,
        };
        let alert = open.transition(about, state, step.at, seen.as_of);
        self.open = (step.change != Change::Clear).then(|| Box::new(open));
        Some(alert)
    }

    /// What the rule makes of what was observed; `None` when that says nothing.
    fn look<'s>(&mut self, about: &About<'_>, seen: &Seen<'s>) -> Option<Seen<'s>> {
        let rule = about.rule;
        if rule.view.is_plain() {
            return Some(*seen);
        }
        let view = self.view.get_or_insert_default();
        match view.look(rule.view, rule.direction, rule.gap, seen.span, seen.value) {
            Sight::Value(value) => Some(Seen { value, ..*seen }),
            Sight::TooFew => Some(Seen { is_active: false, ..*seen }),
            Sight::Nothing => None,
        }
    }

    /// An operator says that they know. `None` when the action is for another alert, or changes nothing.
    pub fn act(&mut self, about: &About<'_>, action: &Action, as_of: Timestamp) -> Option<Alert> {
        let open = self.open.as_deref_mut().filter(|_| !about.rule.is_shadow)?;
        let Verb::Acknowledge = action.verb;
        if open.id != action.alert || open.is_acknowledged {
            return None;
        }
        open.is_acknowledged = true;
        open.transition += 1;
        let note = (!action.note.is_empty()).then(|| action.note.clone());
        let alert = open.transition(about, AlertState::Acknowledged, action.at, as_of);
        Some(Alert { actor: Some(action.actor.clone()), note, ..alert })
    }

    /// Whether it remembers nothing but how far it has looked.
    pub fn is_at_rest(&self) -> bool {
        self.open.is_none() && self.view.is_none() && self.ladder.is_at_rest()
    }

    /// The rule is no more, as of which we know at `as_of`: what is open ends, and says why.
    pub fn withdraw(self, about: &About<'_>, why: &str, as_of: Timestamp) -> Option<Alert> {
        let mut open = *self.open?;
        open.transition += 1;
        let label = if about.label.is_empty() { about.subject.name() } else { about.label };
        open.text = format!("{label}: over, because {why}");
        let at = as_of.max(open.opened_at);
        Some(open.transition(about, AlertState::Cleared, at, as_of))
    }

    /// How many levels of the rule are on.
    pub fn height(&self) -> usize {
        self.ladder.height()
    }

    /// How bad it is; `None` while nothing is open.
    pub fn severity(&self) -> Option<Severity> {
        self.open.as_ref().map(|open| open.severity)
    }

    /// The alert as it is after `step`.
    fn advance(&self, about: &About<'_>, seen: &Seen<'_>, step: &Step) -> OpenAlert {
        let before = self.open.as_deref();
        let got_worse = before.is_some_and(|before| step.severity > before.severity);
        let opened_at = before.map_or(step.since, |before| before.opened_at);
        OpenAlert {
            id: match before {
                Some(before) => before.id.clone(),
                None => id_of(about, opened_at),
            },
            transition: before.map_or(0, |before| before.transition + 1),
            is_acknowledged: before.is_some_and(|before| before.is_acknowledged) && !got_worse,
            severity: step.severity,
            opened_at,
            value: seen.value,
            threshold: step.threshold,
            text: text_of(about, seen, step),
            is_backfill: seen.is_backfill,
        }
    }
}

/// The rule of the alert with that id.
pub fn rule_of(alert: &str) -> Option<&str> {
    alert.split_once('/').map(|(rule, _)| rule)
}

impl OpenAlert {
    fn transition(&self, about: &About<'_>, state: AlertState, at: Timestamp, as_of: Timestamp) -> Alert {
        Alert {
            id: self.id.clone(),
            transition: self.transition,
            rule: about.rule.id.clone(),
            use_case: about.rule.use_case,
            subject: about.subject.clone(),
            area: about.area.clone(),
            position: about.position,
            state,
            severity: self.severity,
            opened_at: self.opened_at,
            at,
            as_of,
            quantity: about.rule.quantity.name().into(),
            value: self.value,
            threshold: self.threshold,
            text: self.text.clone(),
            source: about.rule.source.clone(),
            is_backfill: self.is_backfill,
            actor: None,
            note: None,
        }
    }
}

fn id_of(about: &About<'_>, opened_at: Timestamp) -> Name {
    format!("{}/{}/{opened_at}", about.rule.id, about.subject.name()).into()
}

/// The rule's sentence. Times are not in it: they are fields of the alert, and only who shows them knows the
/// reader's time zone.
fn text_of(about: &About<'_>, seen: &Seen<'_>, step: &Step) -> String {
    let rule = about.rule;
    let is_over = step.change == Change::Clear;
    let template: &Template = if is_over { &rule.cleared } else { &rule.text };
    let info = rule.quantity.info();
    let decimals = info.map_or(2, |info| usize::from(info.decimals));
    let number =
        |value: f64, to: &mut String| write!(to, "{value:.decimals$}").expect("a String takes everything");
    template.fill(|word, to| match word {
        Word::Value => number(seen.value, to),
        Word::Threshold => number(step.threshold, to),
        Word::Unit => to.push_str(&info.map_or("".into(), |info| spoken(info.unit))),
        Word::Subject if about.label.is_empty() => to.push_str(about.subject.name()),
        Word::Subject => to.push_str(about.label),
        Word::Area => to.push_str(about.area),
        Word::Level => to.push_str(&rule.levels[step.level].name),
        Word::Is => to.push_str(if seen.is_backfill { "was" } else { "is" }),
        Word::Zone | Word::Head | Word::Tail | Word::Reader | Word::Tags | Word::Devices | Word::Times => {
            let found = seen.words.iter().find(|(known, _)| *known == word);
            to.push_str(found.map_or("?", |(_, text)| *text));
        }
    })
}

/// A UCUM unit as people write it: annotations (`{vehicle}`) say nothing, `u` is µ, `Cel` is °C.
fn spoken(unit: &str) -> String {
    match unit {
        "Cel" => "°C".to_owned(),
        "/min" => "rpm".to_owned(),
        _ if unit.starts_with('{') => String::new(),
        _ => match unit.strip_prefix("ug").or(unit.strip_prefix("uS")) {
            Some(rest) => format!("µ{}{rest}", &unit[1..2]),
            None => unit.trim_matches(['[', ']']).to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::Ruleset;

    /// `steps`: `time:value`, `time:-value` for "not active", `time:ack`, `time:old value` for a backlog.
    fn run(rule: &ThresholdRule, steps: &[&str]) -> Vec<Alert> {
        let subject = Subject::Device("d7".into());
        let area = Name::new("north");
        let about = About { rule, subject: &subject, label: "", area: &area, position: None };
        let mut life = AlertLife::default();
        let mut alerts = Vec::new();
        for step in steps {
            // Whatever is in the state survives a snapshot.
            life = minicbor::decode(&minicbor::to_vec(&life).unwrap()).unwrap();
            let (at, what) = step.split_once(':').unwrap();
            let at = Timestamp(at.parse::<i64>().unwrap() * 1000);
            if what == "ack" {
                let id = alerts.last().map_or(Name::new("none"), |alert: &Alert| alert.id.clone());
                alerts.extend(life.act(&about, &acknowledge(id, &subject, at), at));
                continue;
            }
            let is_backfill = what.starts_with("old ");
            let value = what.trim_start_matches("old ");
            let seen = Seen {
                span: Window { start: at, end: at },
                value: value.trim_start_matches('-').parse().unwrap(),
                is_active: !value.starts_with('-'),
                as_of: at + std::time::Duration::from_secs(1),
                is_backfill,
                words: &[(Word::Zone, "C")],
            };
            alerts.extend(life.observe(&about, &seen));
        }
        alerts
    }

    fn acknowledge(alert: Name, subject: &Subject, at: Timestamp) -> Action {
        let subject = subject.clone();
        Action { alert, subject, verb: Verb::Acknowledge, actor: "li".into(), at, note: "on my way".into() }
    }

    fn check(rule: usize, steps: &[&str], expected: &[&str]) {
        let rules = Ruleset::default();
        let show = |alert: &Alert| {
            format!(
                "{} #{} {:?} {:?}: {}",
                alert.id, alert.transition, alert.state, alert.severity, alert.text
            )
        };
        let shown: Vec<_> = run(&rules.thresholds[rule], steps).iter().map(show).collect();
        assert_eq!(shown, expected, "{steps:?}");
    }

    #[test]
    fn opens_changes_and_clears() {
        check(
            0,
            &["1:101", "2:155", "3:60", "9:103"],
            &[
                "pm25-iaqi/d7/1000 #0 Open Minor: d7: PM2.5 index of the hour is 101, lightly polluted",
                "pm25-iaqi/d7/1000 #1 Open Moderate: d7: PM2.5 index of the hour is 155, moderately polluted",
                "pm25-iaqi/d7/1000 #2 Cleared Moderate: d7: PM2.5 index of the hour is back to 60",
                "pm25-iaqi/d7/9000 #0 Open Minor: d7: PM2.5 index of the hour is 103, lightly polluted",
            ],
        );
        check(
            0,
            &["1:old 101", "2:old 60"],
            &[
                "pm25-iaqi/d7/1000 #0 Open Minor: d7: PM2.5 index of the hour was 101, lightly polluted",
                "pm25-iaqi/d7/1000 #1 Cleared Minor: d7: PM2.5 index of the hour was back to 60",
            ],
        );
    }

    #[test]
    fn acknowledged_until_it_gets_worse() {
        check(
            0,
            &["0:ack", "1:155", "2:ack", "3:ack", "4:120", "5:210", "6:ack", "7:0", "8:ack"],
            &[
                "pm25-iaqi/d7/1000 #0 Open Moderate: d7: PM2.5 index of the hour is 155, moderately polluted",
                "pm25-iaqi/d7/1000 #1 Acknowledged Moderate: d7: PM2.5 index of the hour is 155, moderately polluted",
                "pm25-iaqi/d7/1000 #2 Acknowledged Minor: d7: PM2.5 index of the hour is 120, lightly polluted",
                "pm25-iaqi/d7/1000 #3 Open Severe: d7: PM2.5 index of the hour is 210, heavily polluted",
                "pm25-iaqi/d7/1000 #4 Acknowledged Severe: d7: PM2.5 index of the hour is 210, heavily polluted",
                "pm25-iaqi/d7/1000 #5 Cleared Severe: d7: PM2.5 index of the hour is back to 0",
            ],
        );
    }

    #[test]
    fn who_acted_is_on_record() {
        let alerts = run(&Ruleset::default().thresholds[0], &["1:155", "2:ack", "3:0"]);
        let actors: Vec<_> =
            alerts.iter().map(|alert| (alert.actor.as_deref(), alert.note.as_deref())).collect();
        assert_eq!(actors, [(None, None), (Some("li"), Some("on my way")), (None, None)]);
        assert_eq!((alerts[1].at, alerts[1].opened_at), (Timestamp(2000), Timestamp(1000)));
        assert_eq!(rule_of(&alerts[1].id), Some("pm25-iaqi"));
    }

    #[test]
    fn inactive_is_safe_whatever_the_value() {
        check(
            1,
            &["0:-60", "60:60.04", "120:-60", "1320:-60"],
            &[
                "rain-3h/d7/60000 #0 Open Severe: d7: 60.0 mm of rain in the past 3 h is at or over the 50.0 mm \
             criterion (level orange proposed)",
            ],
        );
        check(
            1,
            &["60:60", "600:-60", "1200:-60", "1800:-58"],
            &[
                "rain-3h/d7/60000 #0 Open Severe: d7: 60.0 mm of rain in the past 3 h is at or over the 50.0 mm \
             criterion (level orange proposed)",
                "rain-3h/d7/60000 #1 Cleared Severe: d7: threshold exceedance over, 58.0 mm of rain in the past 3 h",
            ],
        );
    }

    #[test]
    fn opened_at_is_the_start_of_the_hold() {
        check(
            2,
            &["60:3.0", "120:3.1", "180:3.25", "240:NaN"],
            &[
                "vibration-zone/d7/60000 #0 Open Moderate: d7: vibration is 3.25 mm/s, zone C (from 2.80 mm/s)",
            ],
        );
    }

    #[test]
    fn units_as_people_write_them() {
        let check = |ucum: &str, expected: &str| assert_eq!(spoken(ucum), expected);
        check("ug/m3", "µg/m3");
        check("uS/cm", "µS/cm");
        check("Cel", "°C");
        check("[pH]", "pH");
        check("{vehicle}", "");
        check("mm/s", "mm/s");
        check("%", "%");
    }
}
