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

#[cfg(test)]
mod tests {
    use super::*;
    use records::{Quantity, Severity};

    #[test]
    fn the_built_in_rules_are_valid() {
        let rules = Ruleset::parse(BUILT_IN).unwrap_or_else(|problems| panic!("{problems:#?}"));
        assert_eq!(rules, Ruleset::default());
        assert_eq!(rules.windows.of(Family::Air), Duration::from_secs(3600));
        assert_eq!(rules.windows.of(Family::Rfid), Duration::from_secs(60));
        let worst = rules.thresholds[0].levels.last().map(|level| (level.severity, level.open));
        assert_eq!(worst, Some((Severity::Extreme, 301.0)));
        let quantities: Vec<_> = rules.thresholds.iter().map(|rule| rule.quantity.clone()).collect();
        assert_eq!(quantities, ["iaqi_pm2_5", "rainfall_3h", "vibration"].map(Quantity::from_name));
        assert_eq!(rules.thresholds[2].source, "ISO 10816-3, group 2, rigid (configuration)");
    }

    /// The vibration rule repeats the limits of the zones that its text names.
    #[test]
    fn built_in_vibration_levels_are_the_zones() {
        let rules = Ruleset::default();
        let opens: Vec<_> = rules.thresholds[2].levels.iter().map(|level| level.open).collect();
        assert_eq!(opens, rules.plant.zone_limits[1..]);
    }

    /// Of a sentence, "warning" is for those who may warn.
    #[test]
    fn built_in_rain_texts_never_warn() {
        let (_, rain) = BUILT_IN.split_once("id = \"rain-3h\"").unwrap();
        let (rain, _) = rain.split_once("[[threshold]]").unwrap();
        assert!(rain.contains("proposed") && !rain.contains("warning"));
    }

    /// Changes one thing in the built-in file and expects these problems.
    fn check(from: &str, to: &str, expected: &[&str]) {
        assert!(BUILT_IN.contains(from), "{from}");
        let problems = Ruleset::parse(&BUILT_IN.replacen(from, to, 1)).err().unwrap_or_default();
        assert_eq!(problems.iter().map(ToString::to_string).collect::<Vec<_>>(), expected, "{to}");
    }

    #[test]
    fn says_where_and_what() {
        check("min_good = 1", "min_good = 0", &["air.min_good: must be a whole number of at least 1"]);
        check("min_good = 1", "min_good = 1.5", &["air.min_good: must be a whole number of at least 1"]);
        check(
            "air_s = 3600",
            "air_s = 0",
            &["windows.air_s: must be more than 0 and at most ten years, in seconds"],
        );
        check("air_s = 3600", "", &["windows.air_s: is missing"]);
        check(
            "air_s = 3600",
            "air_s = -1",
            &["windows.air_s: must be more than 0 and at most ten years, in seconds"],
        );
        check(
            "air_s = 3600",
            "air_s = nan",
            &["windows.air_s: must be more than 0 and at most ten years, in seconds"],
        );
        check(
            "hold_off_s = 1200",
            "hold_off_s = \"1 h\"",
            &["threshold[1].hold_off_s: must be a number of seconds"],
        );
        check("zone_c_from = 2.8", "zone_c_from = 1.4", &["plant: zone limits must rise, from more than 0"]);
        check(
            "[rain]",
            "[snow]",
            &[
                "rain: is missing",
                "rain.continuing_s: is missing",
                "rain.source: is missing",
                "rain.basis: is missing",
                "snow: is not a key known here",
            ],
        );
        check(
            "hold_on_s = 120",
            "hold_on_s = 120\nhold = 3",
            &["threshold[2].hold: is not a key known here"],
        );
        check(
            "family = \"air\"",
            "family = \"fire\"",
            &["threshold[0].family: `fire` is none of other, air, water, weather, traffic, rfid, machine"],
        );
        check(
            "quantity = \"vibration\"",
            "quantity = \"shake\"",
            &[
                "threshold[2].quantity: `shake` is not in the registry",
                "threshold[2].text: `{zone}` is none of {value} {unit} {threshold} {subject} {area} {level} {is}",
                "threshold[2].cleared: `{zone}` is none of {value} {unit} {threshold} {subject} {area} {level} {is}",
            ],
        );
        check(
            "\"severe\", name = \"long queue\"",
            "7, name = \"\"",
            &[
                "queue[0].levels[1].severity: must be text",
                "queue[0].levels[1].name: must be text",
                "queue[0].levels[1].severity: must be worse than that of the level before",
            ],
        );
        check(
            "id = \"rain-3h\"",
            "id = \"Rain/3\"",
            &["threshold[1].id: may hold lower-case letters, digits and `-`"],
        );
        check(
            "id = \"tag-missing\"",
            "id = \"rain-3h\"",
            &["route[0].id: `rain-3h` is the id of another rule"],
        );
        check(
            "clear_after = 3",
            "clear_after = 3\nline = [{ area = \"a\" }]",
            &["route[0].line[0].route_time_s: is missing"],
        );
    }

    #[test]
    fn levels_must_be_ordered() {
        let level = "open = 151, clear = 145";
        let check = |to: &str, expected: &[&str]| check(level, to, expected);
        check(
            "open = 151, clear = 151",
            &["threshold[0].levels[1].clear: may equal `open` only with hold_on_s or hold_off_s"],
        );
        check(
            "open = 151, clear = 152",
            &["threshold[0].levels[1].clear: must be on the safe side of `open`"],
        );
        check(
            "open = 101, clear = 96",
            &["threshold[0].levels[1].open: must be beyond that of the level before"],
        );
        check(
            "open = 151, clear = 94",
            &["threshold[0].levels[1].clear: must not be on the safe side of that of the level before"],
        );
        check(
            "open = 251, clear = 145",
            &["threshold[0].levels[2].open: must be beyond that of the level before"],
        );
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let problems = Ruleset::parse("[windows]\nair_s = true").unwrap_err();
        let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
        for path in
            ["windows.air_s", "windows.water_s", "air", "rain.continuing_s", "plant.zone_d_from", "tags"]
        {
            assert!(paths.contains(&path), "{path} in {paths:?}");
        }
    }

    #[test]
    fn what_is_no_table_is_refused() {
        let message = |text: &str| Ruleset::parse(text).unwrap_err()[0].to_string();
        assert!(message("air = [").starts_with("not TOML:"), "{}", message("air = ["));
        assert!(message("windows = 3").starts_with("windows: must be a table"));
        let threshold = Ruleset::parse(&format!("threshold = [3]\n{}", ""));
        assert!(threshold.unwrap_err().iter().any(|problem| problem.path == "threshold[0]"));
    }

    #[test]
    fn a_line_may_differ() {
        let text =
            BUILT_IN.replacen("clear_after", "line = [{ area = \"l2\", route_time_s = 60 }]\nclear_after", 1);
        let rules = Ruleset::parse(&text).unwrap();
        assert_eq!(rules.routes[0].route_time("l2"), Duration::from_secs(60));
        assert_eq!(rules.routes[0].route_time("l1"), Duration::from_secs(180));
    }
}
