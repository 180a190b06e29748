//! A threshold rule: levels of one quantity, each with a severity and two thresholds.

use super::fields::Fields;
use super::template::{Template, Word};
use super::view::ViewRule;
use records::{Family, Name, Quantity, Severity, UseCase};
use std::time::Duration;

/// When a value becomes an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct ThresholdRule {
    /// First part of the ids of its alerts: lower-case letters, digits and `-`.
    pub id: Name,
    /// Who acts on it.
    pub use_case: UseCase,
    /// Devices it is about.
    pub family: Family,
    /// What it looks at; may be a derived quantity.
    pub quantity: Quantity,
    /// What it makes of the values.
    pub view: ViewRule,
    /// Which side is dangerous.
    pub direction: Direction,
    /// From the mildest to the worst: 1 to 4, severities and opening thresholds strictly ordered.
    pub levels: Vec<Level>,
    /// How long a level must be reached before it counts.
    pub hold_on: Duration,
    /// How long the value must be on the safe side before a level is left.
    pub hold_off: Duration,
    /// A silence longer than this starts a hold anew: nobody knows what happened in between.
    pub gap: Duration,
    /// What an operator reads while it holds.
    pub text: Template,
    /// What they read when it has ended.
    pub cleared: Template,
    /// It runs beside the others, and nobody is told.
    pub is_shadow: bool,
    /// Standard and clause; says "(configuration)" when the numbers are ours to choose.
    pub source: Name,
}

/// One step of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Level {
    /// How bad it is.
    pub severity: Severity,
    /// What people call it.
    pub name: Name,
    /// Reached at this value or beyond.
    pub open: f64,
    /// Left when the value is strictly on the safe side of this.
    pub clear: f64,
}

/// Which side of a threshold is dangerous.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// High values.
    Above,
    /// Low values.
    Below,
}

impl Direction {
    /// Whether `value` is at `threshold` or beyond it.
    pub fn reaches(self, value: f64, threshold: f64) -> bool {
        match self {
            Direction::Above => value >= threshold,
            Direction::Below => value <= threshold,
        }
    }
}

/// What a kind of rule fixes by itself; the rest is in the file.
pub(super) struct Kind {
    pub(super) use_case: UseCase,
    pub(super) family: Family,
    pub(super) quantity: &'static str,
    pub(super) words: &'static [Word],
    /// Whether its values come at all times, so that holds make sense.
    pub(super) has_holds: bool,
}

const SEVERITIES: &[(&str, Severity)] = &[
    ("minor", Severity::Minor),
    ("moderate", Severity::Moderate),
    ("severe", Severity::Severe),
    ("extreme", Severity::Extreme),
];
const USE_CASES: &[(&str, UseCase)] = &[
    ("transport", UseCase::Transport),
    ("environment", UseCase::Environment),
    ("manufacturing", UseCase::Manufacturing),
];
const DIRECTIONS: &[(&str, Direction)] = &[("above", Direction::Above), ("below", Direction::Below)];

impl ThresholdRule {
    /// A rule of the general kind.
    pub(super) fn read(fields: &mut Fields<'_>) -> ThresholdRule {
        let quantity = read_quantity(fields);
        let words: &[Word] = if quantity.name() == "vibration" { &[Word::Zone] } else { &[] };
        ThresholdRule {
            use_case: read_use_case(fields),
            family: read_family(fields),
            view: read_view(fields),
            direction: fields.choice("direction", DIRECTIONS),
            ..read_common(fields, quantity, words, true)
        }
    }

    /// A rule on seconds of silence.
    pub(super) fn read_absence(fields: &mut Fields<'_>) -> ThresholdRule {
        ThresholdRule {
            use_case: read_use_case(fields),
            family: read_family(fields),
            ..read_common(fields, Quantity::from_name("silence"), &[], false)
        }
    }

    /// The alert part of a kind of rule that computes its own quantity, more of which is worse.
    pub(super) fn read_of_kind(fields: &mut Fields<'_>, kind: &Kind) -> ThresholdRule {
        ThresholdRule {
            use_case: kind.use_case,
            family: kind.family,
            ..read_common(fields, Quantity::from_name(kind.quantity), kind.words, kind.has_holds)
        }
    }

    /// Notes what is wrong between the levels, which needs all of them and the direction.
    pub(super) fn validate(&self, fields: &Fields<'_>) {
        if self.levels.is_empty() {
            fields.problem("levels", "needs at least one level");
        }
        for (index, level) in self.levels.iter().enumerate() {
            let problem =
                |key: &str, message: &str| fields.problem(&format!("levels[{index}].{key}"), message);
            let is_inside = self.direction.reaches(level.open, level.clear);
            if !is_inside {
                problem("clear", "must be on the safe side of `open`");
            }
            let has_hold = !(self.hold_on.is_zero() && self.hold_off.is_zero());
            if is_inside && level.clear == level.open && !has_hold {
                problem("clear", "may equal `open` only with hold_on_s or hold_off_s");
            }
            let Some(before) = index.checked_sub(1).and_then(|index| self.levels.get(index)) else {
                continue;
            };
            if level.severity <= before.severity {
                problem("severity", "must be worse than that of the level before");
            }
            if level.open == before.open || !self.direction.reaches(level.open, before.open) {
                problem("open", "must be beyond that of the level before");
            }
            if !self.direction.reaches(level.clear, before.clear) {
                problem("clear", "must not be on the safe side of that of the level before");
            }
        }
    }
}

pub(super) fn read_use_case(fields: &mut Fields<'_>) -> UseCase {
    fields.choice("use_case", USE_CASES)
}

pub(super) fn read_family(fields: &mut Fields<'_>) -> Family {
    fields.choice("family", &Family::ALL.map(|family| (family.name(), family)))
}

/// A quantity of the registry.
pub(super) fn read_quantity(fields: &mut Fields<'_>) -> Quantity {
    let name = fields.text("quantity");
    let quantity = Quantity::from_name(&name);
    if quantity.info().is_none() && !name.is_empty() {
        fields.problem("quantity", format!("`{name}` is not in the registry"));
    }
    quantity
}

fn read_common(
    fields: &mut Fields<'_>,
    quantity: Quantity,
    words: &[Word],
    has_holds: bool,
) -> ThresholdRule {
    let mut hold = |key: &str| if has_holds { fields.seconds(key) } else { Duration::ZERO };
    let (hold_on, hold_off) = (hold("hold_on_s"), hold("hold_off_s"));
    let gap = if has_holds { fields.positive_seconds("gap_s") } else { Duration::MAX };
    ThresholdRule {
        id: read_id(fields),
        use_case: UseCase::Environment,
        family: Family::Other,
        quantity,
        view: ViewRule::default(),
        direction: Direction::Above,
        levels: fields.tables("levels").into_iter().map(read_level).collect(),
        hold_on,
        hold_off,
        gap,
        text: read_template(fields, "text", words),
        cleared: read_template(fields, "cleared", words),
        is_shadow: fields.claim("shadow"),
        source: read_source(fields),
    }
}

fn read_view(fields: &mut Fields<'_>) -> ViewRule {
    let is_rate =
        fields.has("looks_at") && fields.choice("looks_at", &[("value", false), ("rate_per_minute", true)]);
    ViewRule { is_rate, n_of_m: fields.has("n_of_m").then(|| fields.n_of_m("n_of_m")) }
}

fn read_id(fields: &mut Fields<'_>) -> Name {
    let id = fields.text("id");
    if !id.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')) {
        fields.problem("id", "may hold lower-case letters, digits and `-`");
    }
    id.into()
}

fn read_level(mut fields: Fields<'_>) -> Level {
    let level = Level {
        severity: fields.choice("severity", SEVERITIES),
        name: fields.text("name").into(),
        open: fields.number("open"),
        clear: fields.number("clear"),
    };
    fields.finish();
    level
}

fn read_template(fields: &mut Fields<'_>, key: &str, words: &[Word]) -> Template {
    let text = fields.text(key);
    Template::parse(&text, words).unwrap_or_else(|message| {
        fields.problem(key, message);
        Template::default()
    })
}

/// The source, with the mark that tells a standard's numbers from numbers somebody chose.
pub(super) fn read_source(fields: &mut Fields<'_>) -> Name {
    let source = fields.text("source");
    let is_standard = fields.choice("basis", &[("standard", true), ("configuration", false)]);
    if is_standard { source.into() } else { format!("{source} (configuration)").into() }
}
