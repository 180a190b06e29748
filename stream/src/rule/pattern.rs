//! A rule on what a device says one after the other: "A then B within t", or "A without B within t".

use super::fields::Fields;
use super::select::{About, Seen, read_happening};
use super::template::Word;
use super::threshold::{Kind, ThresholdRule, read_family, read_use_case};
use crate::expression::Condition;
use records::{Family, Quantity, UseCase};
use std::time::Duration;

/// A `[[pattern]]` of the rules file.
#[derive(Clone, Debug, PartialEq)]
pub struct PatternRule {
    /// The alert, on how often the pattern occurred in the past [`PatternRule::forget`].
    pub alert: ThresholdRule,
    /// It begins when this begins to hold.
    pub first: Happening,
    /// What follows, or should have.
    pub second: Happening,
    /// Whether it is the lack of the second that counts.
    pub is_without: bool,
    /// How long after the first, event time, the second counts; the last instant does.
    pub within: Duration,
    /// How long an occurrence counts, event time.
    pub forget: Duration,
}

/// Something that may hold in a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Happening {
    condition: Option<Condition>,
    quantities: Vec<Quantity>,
}

/// Most occurrences that are remembered, and so the most that a level may ask for.
pub const MOST_OCCURRENCES: u32 = 100;

impl PatternRule {
    pub(super) fn read(mut fields: Fields<'_>) -> PatternRule {
        let kind = Kind {
            use_case: UseCase::Environment,
            family: Family::Other,
            quantity: "occurrences",
            words: &[Word::Times],
            has_holds: false,
        };
        let alert = ThresholdRule::read_of_kind(&mut fields, &kind);
        let alert =
            ThresholdRule { use_case: read_use_case(&mut fields), family: read_family(&mut fields), ..alert };
        let is_without = fields.has("without");
        if is_without == fields.has("then") {
            fields.problem("", "must have one of then, without");
        }
        let second = if is_without { "without" } else { "then" };
        let rule = PatternRule {
            first: Happening::read("first", &mut fields),
            second: Happening::read(second, &mut fields),
            is_without,
            within: fields.positive_seconds("within_s"),
            forget: fields.positive_seconds("forget_s"),
            alert,
        };
        rule.alert.validate(&fields);
        let is_number = |open: f64| open > 0.0 && open <= f64::from(MOST_OCCURRENCES);
        if rule.alert.levels.iter().any(|level| !is_number(level.open) || level.clear <= 0.0) {
            let most = format!("`open` at most {MOST_OCCURRENCES}");
            fields.problem("levels", format!("are numbers of occurrences, so more than 0, and {most}"));
        }
        fields.finish();
        rule
    }
}

impl Happening {
    fn read(key: &str, fields: &mut Fields<'_>) -> Happening {
        let mut quantities = Vec::new();
        let text = fields.text(key);
        let condition = match read_happening(&text, &mut quantities) {
            _ if text.is_empty() => None,
            Ok(condition) => Some(condition),
            Err(fault) => {
                fields.fault(key, &fault);
                None
            }
        };
        Happening { condition, quantities }
    }

    /// Whether it holds; `None` when the message does not say.
    pub fn holds(&self, about: &impl About) -> Option<bool> {
        self.condition.as_ref()?.of(&Seen { about, quantities: &self.quantities })
    }
}
