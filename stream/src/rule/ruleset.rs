//! The rules file: parsed and validated as a whole, before anything runs.

mod read;

use super::area_share::AreaShareRule;
use super::fields::{Fields, Problem, Problems};
use super::geofence::Places;
use super::job::{JobRule, Output};
use super::pattern::PatternRule;
use super::quality::{QualityRule, WAIT};
use super::threshold::ThresholdRule;
use records::{Family, Name, Quantity};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::Duration;

/// Every rule of the stream stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Ruleset {
    /// The file that they were read from.
    pub text: Name,
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
    /// Devices that fall silent: thresholds on seconds of silence.
    pub absences: Vec<ThresholdRule>,
    /// What devices say one after the other.
    pub patterns: Vec<PatternRule>,
    /// Standing queues on a road.
    pub queues: Vec<QueueRule>,
    /// Tags that don't arrive.
    pub routes: Vec<RouteRule>,
    /// Areas of which too many devices are beyond a limit.
    pub area_shares: Vec<AreaShareRule>,
    /// What users want to know beside, and behind those the roll-ups that `area_shares` look at.
    pub jobs: Vec<JobRule>,
    /// Where devices may be.
    pub places: Places,
    /// What values are expected.
    pub qualities: Vec<QualityRule>,
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
        let not_toml = |error: toml::de::Error| Problem {
            path: String::new(),
            message: format!("not TOML: {error}"),
            at: None,
        };
        let table = text.parse().map_err(|error| vec![not_toml(error)])?;
        let mut fields = Fields::new(table, &problems);
        let mut ruleset = read::read(&mut fields);
        validate_ids(&ruleset, &fields);
        validate_outputs(&ruleset, &fields);
        validate_qualities(&ruleset, &fields);
        validate_places(&ruleset, &fields);
        ruleset.text = text.into();
        ruleset.jobs.extend(ruleset.area_shares.iter().map(|rule| rule.job.clone()));
        fields.finish();
        problems.into_result(ruleset, text)
    }
}

impl Ruleset {
    /// Whether a user-defined job tells its statistics under that name.
    pub fn is_selected(&self, quantity: &Quantity) -> bool {
        let compared =
            |job: &JobRule| job.area.as_ref()?.neighbours.as_ref().map(|test| test.of.name.clone());
        let tells = |job: &JobRule| {
            job.outputs.iter().any(|output| output.name == *quantity)
                || compared(job).as_ref() == Some(quantity)
        };
        quantity.code().is_none() && self.jobs.iter().any(tells)
    }
}

impl Ruleset {
    /// The parts of the file by kind and id, as words that are the same for parts that are alike.
    pub fn parts(&self) -> BTreeMap<String, String> {
        fn named<T: Debug>(kind: &str, rules: &[T], id: impl Fn(&T) -> &Name) -> Vec<(String, String)> {
            rules.iter().map(|rule| (format!("{kind} {}", id(rule)), format!("{rule:?}"))).collect()
        }
        let single = [
            ("windows", format!("{:?}", self.windows)),
            ("air", format!("{:?}", self.air)),
            ("rain", format!("{:?}", self.rain)),
            ("plant", format!("{:?}", self.plant)),
            ("tags", format!("{:?}", self.tags)),
            ("quality", format!("{:?}", self.qualities)),
            ("places", format!("{:?}", self.places)),
        ];
        let single = single.into_iter().map(|(name, part)| (name.to_owned(), part));
        let told: Vec<_> = self.jobs.iter().filter(|job| !job.outputs.is_empty()).collect();
        single
            .chain(named("threshold", &self.thresholds, |rule| &rule.id))
            .chain(named("absence", &self.absences, |rule| &rule.id))
            .chain(named("queue", &self.queues, |rule| &rule.alert.id))
            .chain(named("route", &self.routes, |rule| &rule.alert.id))
            .chain(named("pattern", &self.patterns, |rule| &rule.alert.id))
            .chain(named("area_share", &self.area_shares, |rule| &rule.alert.id))
            .chain(named("job", &told, |job| &job.id))
            .collect()
    }

    /// Every rule that raises alerts.
    pub fn alerting(&self) -> impl Iterator<Item = &ThresholdRule> {
        let of_areas = self.queues.iter().map(|rule| &rule.alert);
        let of_areas = of_areas.chain(self.routes.iter().map(|rule| &rule.alert));
        let of_areas = of_areas.chain(self.area_shares.iter().map(|rule| &rule.alert));
        let patterns = self.patterns.iter().map(|rule| &rule.alert);
        self.thresholds.iter().chain(&self.absences).chain(patterns).chain(of_areas)
    }

    /// How long a value may wait at most to be judged, ingest time.
    pub fn longest_wait(&self) -> Duration {
        let waits = self.qualities.iter().filter_map(|rule| Some(rule.spike?.wait));
        waits.chain([WAIT]).max().unwrap_or_default()
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

/// An id is the first part of an alert's id, so no two rules may share one.
fn validate_ids(ruleset: &Ruleset, fields: &Fields<'_>) {
    let ids = |kind: &'static str, rules: Vec<&ThresholdRule>| {
        let place = |(index, rule): (usize, &ThresholdRule)| (format!("{kind}[{index}].id"), rule.id.clone());
        rules.into_iter().enumerate().map(place).collect::<Vec<_>>()
    };
    let mut seen = BTreeSet::new();
    let all = [
        ids("threshold", ruleset.thresholds.iter().collect()),
        ids("absence", ruleset.absences.iter().collect()),
        ids("pattern", ruleset.patterns.iter().map(|rule| &rule.alert).collect()),
        ids("queue", ruleset.queues.iter().map(|rule| &rule.alert).collect()),
        ids("area_share", ruleset.area_shares.iter().map(|rule| &rule.alert).collect()),
        ids("route", ruleset.routes.iter().map(|rule| &rule.alert).collect()),
    ];
    for (path, id) in all.into_iter().flatten().filter(|(_, id)| !id.is_empty()) {
        if !seen.insert(id.clone()) {
            fields.problem(&path, format!("`{id}` is the id of another rule"));
        }
    }
}

/// Rows of two jobs under one name could not be told apart, nor shares of devices in two roll-ups.
fn validate_outputs(ruleset: &Ruleset, fields: &Fields<'_>) {
    let mut seen = BTreeSet::new();
    let mut areas: BTreeSet<&Name> = ruleset.area_shares.iter().map(|rule| &rule.alert.id).collect();
    for (index, job) in ruleset.jobs.iter().enumerate() {
        if job.area.is_some() && !areas.insert(&job.id) {
            fields.problem(
                &format!("job[{index}].id"),
                format!("`{}` is the id of another job or rule about areas", job.id),
            );
        }
        let path = |output: &Output| (format!("select.{}", output.name), output.name.clone());
        let compared = job.area.as_ref().and_then(|area| area.neighbours.as_ref());
        let compared = compared.map(|test| ("neighbours.tells".to_owned(), test.of.name.clone()));
        for (path, name) in job.outputs.iter().map(path).chain(compared) {
            if !seen.insert(name) {
                fields.problem(&format!("job[{index}].{path}"), "is selected by another job as well");
            }
        }
    }
}

/// An expression could mean either of two that are called alike.
fn validate_places(ruleset: &Ruleset, fields: &Fields<'_>) {
    let mut seen = BTreeSet::new();
    for (index, place) in ruleset.places.0.iter().enumerate() {
        if !place.id.is_empty() && !seen.insert(&place.id) {
            fields
                .problem(&format!("place[{index}].id"), format!("`{}` is the id of another place", place.id));
        }
    }
}

/// Of two tables about one quantity nobody could tell which counts.
fn validate_qualities(ruleset: &Ruleset, fields: &Fields<'_>) {
    let mut seen = BTreeSet::new();
    for (index, rule) in ruleset.qualities.iter().enumerate() {
        if !seen.insert((rule.family, rule.quantity.clone())) {
            fields.problem(&format!("quality[{index}]"), "is about the same as one before");
        }
    }
}

#[cfg(test)]
mod tests;
