//! Reading the tables of a rules file.

use super::{AirRule, PlantRule, QueueRule, RainRule, RouteRule, Ruleset, TagRule, Windows};
use crate::rule::area_share::AreaShareRule;
use crate::rule::fields::Fields;
use crate::rule::geofence::{Place, Places};
use crate::rule::job::JobRule;
use crate::rule::pattern::PatternRule;
use crate::rule::quality::QualityRule;
use crate::rule::template::Word;
use crate::rule::threshold::{Kind, ThresholdRule, read_source};
use records::{Family, Name, UseCase};
use std::time::Duration;

pub(super) fn read(fields: &mut Fields<'_>) -> Ruleset {
    Ruleset {
        text: Name::default(),
        windows: read_windows(fields.table("windows")),
        air: read_air(fields.table("air")),
        rain: read_rain(fields.table("rain")),
        plant: read_plant(fields.table("plant")),
        tags: read_tags(fields.table("tags")),
        thresholds: fields.tables("threshold").into_iter().map(read_threshold).collect(),
        absences: fields.tables("absence").into_iter().map(read_absence).collect(),
        patterns: fields.tables("pattern").into_iter().map(PatternRule::read).collect(),
        queues: fields.tables("queue").into_iter().map(read_queue).collect(),
        routes: fields.tables("route").into_iter().map(read_route).collect(),
        area_shares: fields.tables("area_share").into_iter().map(AreaShareRule::read).collect(),
        jobs: read_jobs(fields.tables("job")),
        places: Places(fields.tables("place").into_iter().map(Place::read).collect()),
        qualities: fields.tables("quality").into_iter().map(QualityRule::read).collect(),
    }
}

/// A job may read the windows of one that stands before it.
fn read_jobs(tables: Vec<Fields<'_>>) -> Vec<JobRule> {
    let mut jobs = Vec::new();
    for table in tables {
        let job = JobRule::read(table, &mut jobs);
        jobs.push(job);
    }
    jobs
}

/// Lengths that an operator is built for, and why.
const FIXED: [(Family, u64, &str); 3] = [
    (Family::Air, 3600, "the index is that of an hour"),
    (Family::Weather, 60, "rain is summed minute by minute"),
    (Family::Traffic, 60, "queues are looked at minute by minute"),
];

fn read_windows(mut fields: Fields<'_>) -> Windows {
    let windows = Family::ALL.map(|family| {
        let key = format!("{}_s", family.name());
        match FIXED.iter().find(|(fixed, ..)| *fixed == family) {
            Some((_, seconds, why)) => fields.fixed_seconds(&key, Duration::from_secs(*seconds), why),
            None => fields.positive_seconds(&key),
        }
    });
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

fn read_absence(mut fields: Fields<'_>) -> ThresholdRule {
    let rule = ThresholdRule::read_absence(&mut fields);
    rule.validate(&fields);
    if rule.levels.iter().any(|level| level.open <= 0.0 || level.clear <= 0.0) {
        fields.problem("levels", "are seconds of silence, so `open` and `clear` must be more than 0");
    }
    fields.finish();
    rule
}

fn read_queue(mut fields: Fields<'_>) -> QueueRule {
    let kind = Kind {
        use_case: UseCase::Transport,
        family: Family::Traffic,
        quantity: "queue_detectors",
        words: &[Word::Head, Word::Tail],
        has_holds: true,
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
        has_holds: false,
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
