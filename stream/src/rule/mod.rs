//! Rules: when a value becomes an alert, how bad it is, and when it ends.
//!
//! A rule is data with a source ([`Ruleset`], `rules/default.toml`). Nothing here reads a clock: every duration is
//! measured between event times of what was observed.

mod alerting;
mod area_share;
mod calendar;
mod chain;
mod fields;
mod geofence;
mod job;
mod ladder;
mod lives;
mod neighbours;
mod output;
mod pattern;
mod places;
mod quality;
mod rank;
mod reign;
mod ruleset;
mod select;
mod succession;
mod template;
mod threshold;
mod view;
mod windowing;

pub use alerting::{About, AlertLife, Seen, rule_of};
pub use area_share::AreaShareRule;
pub use calendar::{Calendar, CalendarUnit};
pub use chain::Source;
pub use fields::Problem;
pub use geofence::Places;
pub use job::{AreaRule, Concern, Input, JobRule, Output};
pub use ladder::{Change, Ladder, Step};
pub use lives::Lives;
pub use neighbours::{Difference, NeighbourTest};
pub use output::Finding;
pub use pattern::{MOST_OCCURRENCES, PatternRule};
pub use quality::{Flat, QualityRule};
pub use rank::Rank;
pub use reign::{Heard, Reign, RulesSet};
pub use ruleset::{AirRule, PlantRule, QueueRule, RainRule, RouteRule, Ruleset, TagRule, Windows};
pub use select::{About as AboutReading, AboutDevice, Seen as SeenReading};
pub use succession::{Succession, Successors, why};
pub use template::{Template, Word};
pub use threshold::{Direction, Level, ThresholdRule};
pub use view::{Sight, View, ViewRule};
pub use windowing::Windowing;
