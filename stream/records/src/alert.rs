//! One transition in the life of an alert. JSON on the log, so that anybody can read the feed.

use crate::time::as_millis;
use crate::{Name, Position, Subject, Timestamp};
use serde::{Deserialize, Serialize};

/// How bad, in CAP 1.2's words; ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Minimal to no known threat.
    Minor,
    /// Possible threat.
    Moderate,
    /// Significant threat.
    Severe,
    /// Extraordinary threat.
    Extreme,
}

impl Severity {
    /// All of them, the mildest first.
    pub const ALL: [Severity; 4] = [Severity::Minor, Severity::Moderate, Severity::Severe, Severity::Extreme];

    /// Its word in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Minor => "minor",
            Severity::Moderate => "moderate",
            Severity::Severe => "severe",
            Severity::Extreme => "extreme",
        }
    }
}

/// Who acts on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UseCase {
    /// Smart transport.
    Transport,
    /// Air, water, weather.
    Environment,
    /// Plants, lines, goods.
    Manufacturing,
}

/// Where an alert stands after a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// The condition holds and nobody has said that they know.
    Open,
    /// The condition holds and an operator knows.
    Acknowledged,
    /// The condition has ended. Final.
    Cleared,
}

/// A transition of an alert: opening, change of severity, acknowledgement, clearing.
///
/// Key [`Alert::id`]; the highest `transition` tells how it stands. All but `as_of` is event time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// `rule/subject/opened_at`: the same condition at the same time has the same id in every replay.
    pub id: Name,
    /// 0 for the opening, then one more for each.
    pub transition: u32,
    /// The rule that raised it.
    pub rule: Name,
    /// Who acts on it.
    pub use_case: UseCase,
    /// About whom.
    pub subject: Subject,
    /// Where it belongs.
    pub area: Name,
    /// Where it is, when known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub position: Option<Position>,
    /// How it stands after this transition.
    pub state: AlertState,
    /// How bad it is now (for a cleared alert: how bad it was last).
    pub severity: Severity,
    /// Since when the condition holds, event time.
    #[serde(with = "as_millis")]
    pub opened_at: Timestamp,
    /// When this transition happened, event time.
    #[serde(with = "as_millis")]
    pub at: Timestamp,
    /// Ingest time as of which we knew; see [`crate::Aggregate::as_of`].
    #[serde(with = "as_millis")]
    pub as_of: Timestamp,
    /// Name of the quantity that decided.
    pub quantity: Name,
    /// Its value at this transition.
    pub value: f64,
    /// The threshold that was crossed.
    pub threshold: f64,
    /// One sentence for an operator.
    pub text: String,
    /// The standard and clause the rule comes from.
    pub source: Name,
    /// It tells of the past: it was noticed long after it happened, from a backlog.
    pub is_backfill: bool,
    /// Who acted, for transitions by a person.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub actor: Option<Name>,
    /// What they noted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<String>,
}
