//! Rules: when a value becomes an alert, how bad it is, and when it ends.
//!
//! A rule is data with a source ([`Ruleset`], `rules/default.toml`). Nothing here reads a clock: every duration is
//! measured between event times of what was observed.

mod alerting;
mod fields;
mod ladder;
mod ruleset;
mod template;
mod threshold;

pub use alerting::{About, AlertLife, Seen, rule_of};
pub use fields::Problem;
pub use ladder::{Change, Ladder, Step};
pub use ruleset::{AirRule, PlantRule, QueueRule, RainRule, RouteRule, Ruleset, TagRule, Windows};
pub use template::{Template, Word};
pub use threshold::{Direction, Level, ThresholdRule};
