//! The rules file: parsed and validated as a whole, before anything runs.

use super::fields::{Fields, Problem, Problems};
use super::template::Word;
use super::threshold::{Kind, ThresholdRule, read_source};
use records::{Family, Name, UseCase};
use std::collections::BTreeSet;
use std::time::Duration;

/// Every rule of the stream stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Ruleset {
    /// Length of the tumbling window per family.
    pub windows: Windows,
    /// When an hour of PM2.5 is enough for an index.
    pub air: AirRule,
    /// When rain counts as continuing.
    pub rain: RainRule,
    /// Vibration zones.
    pub plant: PlantRule,
    /// When reads of a tag are one sighting.
    pub tags: TagRule,
    /// Rules on one quantity of one device.
    pub thresholds: Vec<ThresholdRule>,
    /// Standing queues on a road.
    pub queues: Vec<QueueRule>,
    /// Tags that don't arrive.
    pub routes: Vec<RouteRule>,
}

/// Length of the tumbling window per family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows([Duration; Family::ALL.len()]);

/// When an hour of PM2.5 is enough for an index.
#[derive(Clone, Debug, PartialEq)]
pub struct AirRule {
    /// Least number of usable readings in the hour.
    pub min_good: u32,
    /// Where that comes from.
    pub source: Name,
}

/// When rain counts as continuing.
#[derive(Clone, Debug, PartialEq)]
pub struct RainRule {
    /// It rained within this long.
    pub continuing: Duration,
    /// Where that comes from.
    pub source: Name,
}

/// Limits between vibration zones, mm/s rms, 10–1000 Hz.
#[derive(Clone, Debug, PartialEq)]
pub struct PlantRule {
    /// A/B, B/C and C/D, rising.
    pub zone_limits: [f64; 3],
    /// Where they come from.
    pub source: Name,
}

/// When reads of a tag at a reader are one sighting.
#[derive(Clone, Debug, PartialEq)]
pub struct TagRule {
    /// A tag not read for this long has left.
    pub timeout: Duration,
    /// A tag that stays is reported this often.
    pub longest: Duration,
    /// Most tags in sight of one reader that are kept apart.
    pub max_open: u32,
    /// Where that comes from.
    pub source: Name,
}

/// Standing queue: neighbouring detectors with high occupancy and low speed.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueRule {
    /// The alert, on `queue_detectors`: how many neighbours, for how long.
    pub alert: ThresholdRule,
    /// Standing traffic occupies a detector more than this, %.
    pub occupancy_above: f64,
    /// Standing traffic is slower than this, km/h.
    pub speed_below: f64,
    /// A detector that says nothing for this long, ingest time, is not waited for.
    pub patience: Duration,
    /// A detector that says nothing for this long, event time, is out of order: its neighbours are neighbours.
    pub forget: Duration,
}

/// A tag that leaves one reader of a line must arrive at the next.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteRule {
    /// The alert, on `tags_missing`: how many did not arrive.
    pub alert: ThresholdRule,
    /// How long a tag may take from one reader to the next.
    pub route_time: Duration,
    /// The same for lines that differ.
    pub lines: Vec<(Name, Duration)>,
    /// A reader is well again after this many arrivals in time, one after the other.
    pub clear_after: u32,
    /// A reader that says nothing for this long, ingest time, is not waited for.
    pub patience: Duration,
    /// Most tags under way that are remembered per line.
    pub max_open: u32,
}

const BUILT_IN: &str = include_str!("../../rules/default.toml");

impl Default for Ruleset {
    /// The rules of `rules/default.toml`, which are part of the program.
    fn default() -> Self {
        Ruleset::parse(BUILT_IN).expect("the built-in rules are valid: a test says so")
    }
}

impl Ruleset {
    /// Reads a rules file; on failure says everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Ruleset, Vec<Problem>> {
        let problems = Problems::default();
        let not_toml =
            |error: toml::de::Error| Problem { path: String::new(), message: format!("not TOML: {error}") };
        let table = text.parse().map_err(|error| vec![not_toml(error)])?;
        let mut fields = Fields::new(table, &problems);
        let ruleset = read(&mut fields);
        validate_ids(&ruleset, &fields);
        fields.finish();
        problems.into_result(ruleset)
    }
}

impl Windows {
    /// The length of a family's windows.
    pub fn of(&self, family: Family) -> Duration {
        let index = Family::ALL.iter().position(|known| *known == family);
        self.0[index.expect("every family is among all families")]
    }
}

impl RouteRule {
    /// How long a tag may take on that line.
    pub fn route_time(&self, line: &str) -> Duration {
        self.lines.iter().find(|(name, _)| name == line).map_or(self.route_time, |(_, time)| *time)
    }
}

fn read(fields: &mut Fields<'_>) -> Ruleset {
    Ruleset {
        windows: read_windows(fields.table("windows")),
        air: read_air(fields.table("air")),
        rain: read_rain(fields.table("rain")),
        plant: read_plant(fields.table("plant")),
        tags: read_tags(fields.table("tags")),
        thresholds: fields.tables("threshold").into_iter().map(read_threshold).collect(),
        queues: fields.tables("queue").into_iter().map(read_queue).collect(),
        routes: fields.tables("route").into_iter().map(read_route).collect(),
    }
}

fn read_windows(mut fields: Fields<'_>) -> Windows {
    let windows = Family::ALL.map(|family| fields.positive_seconds(&format!("{}_s", family.name())));
    fields.finish();
    Windows(windows)
}

fn read_air(mut fields: Fields<'_>) -> AirRule {
    let rule = AirRule { min_good: fields.whole("min_good", 1), source: read_source(&mut fields) };
    fields.finish();
    rule
}

fn read_rain(mut fields: Fields<'_>) -> RainRule {
    let rule =
        RainRule { continuing: fields.positive_seconds("continuing_s"), source: read_source(&mut fields) };
    fields.finish();
    rule
}

fn read_plant(mut fields: Fields<'_>) -> PlantRule {
    let zone_limits = ["zone_b_from", "zone_c_from", "zone_d_from"].map(|key| fields.number(key));
    if !(0.0 < zone_limits[0] && zone_limits.is_sorted_by(|a, b| a < b)) {
        fields.problem("", "zone limits must rise, from more than 0");
    }
    let rule = PlantRule { zone_limits, source: read_source(&mut fields) };
    fields.finish();
    rule
}

fn read_tags(mut fields: Fields<'_>) -> TagRule {
    let rule = TagRule {
        timeout: fields.positive_seconds("timeout_s"),
        longest: fields.positive_seconds("longest_s"),
        max_open: fields.whole("max_open", 1),
        source: read_source(&mut fields),
    };
    fields.finish();
    rule
}

fn read_threshold(mut fields: Fields<'_>) -> ThresholdRule {
    let rule = ThresholdRule::read(&mut fields);
    rule.validate(&fields);
    fields.finish();
    rule
}

fn read_queue(mut fields: Fields<'_>) -> QueueRule {
    let kind = Kind {
        use_case: UseCase::Transport,
        family: Family::Traffic,
        quantity: "queue_detectors",
        words: &[Word::Head, Word::Tail],
    };
    let rule = QueueRule {
        alert: ThresholdRule::read_of_kind(&mut fields, &kind),
        occupancy_above: fields.number("occupancy_above"),
        speed_below: fields.number("speed_below"),
        patience: fields.positive_seconds("patience_s"),
        forget: fields.positive_seconds("forget_s"),
    };
    rule.alert.validate(&fields);
    fields.finish();
    rule
}

fn read_route(mut fields: Fields<'_>) -> RouteRule {
    let kind = Kind {
        use_case: UseCase::Manufacturing,
        family: Family::Rfid,
        quantity: "tags_missing",
        words: &[Word::Reader, Word::Tags],
    };
    let rule = RouteRule {
        alert: ThresholdRule::read_of_kind(&mut fields, &kind),
        route_time: fields.positive_seconds("route_time_s"),
        lines: fields.tables("line").into_iter().map(read_line).collect(),
        clear_after: fields.whole("clear_after", 1),
        patience: fields.positive_seconds("patience_s"),
        max_open: fields.whole("max_open", 1),
    };
    rule.alert.validate(&fields);
    fields.finish();
    rule
}

fn read_line(mut fields: Fields<'_>) -> (Name, Duration) {
    let line = (fields.text("area").into(), fields.positive_seconds("route_time_s"));
    fields.finish();
    line
}

/// An id is the first part of an alert's id, so no two rules may share one.
fn validate_ids(ruleset: &Ruleset, fields: &Fields<'_>) {
    let ids = |kind: &'static str, rules: Vec<&ThresholdRule>| {
        let place = |(index, rule): (usize, &ThresholdRule)| (format!("{kind}[{index}].id"), rule.id.clone());
        rules.into_iter().enumerate().map(place).collect::<Vec<_>>()
    };
    let mut seen = BTreeSet::new();
    let all = [
        ids("threshold", ruleset.thresholds.iter().collect()),
        ids("queue", ruleset.queues.iter().map(|rule| &rule.alert).collect()),
        ids("route", ruleset.routes.iter().map(|rule| &rule.alert).collect()),
    ];
    for (path, id) in all.into_iter().flatten().filter(|(_, id)| !id.is_empty()) {
        if !seen.insert(id.clone()) {
            fields.problem(&path, format!("`{id}` is the id of another rule"));
        }
    }
}
