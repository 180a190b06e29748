//! `[[export]]`: files of what is stored, period by period.

use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use sinks::export::{ExportFormat, ExportOptions, Exports, Period};

use super::section::{Problems, Section};
use super::{DAY, HOUR, SECOND};

/// Reads all of them; one with a problem is left out.
pub fn read(tables: Vec<Section<'_>>, problems: &mut Problems<'_>) -> Vec<ExportOptions> {
    let mut exports: Vec<ExportOptions> = Vec::new();
    for table in tables {
        let (at, path) = (table.span("name"), table.path_of("name"));
        let Some(export) = read_one(table, problems) else { continue };
        let is_taken = |other: &ExportOptions| other.name == export.name && other.folder == export.folder;
        if exports.iter().any(is_taken) {
            problems.add(at, path, format!("two exports into one folder are called \"{}\"", export.name));
        }
        exports.push(export);
    }
    exports
}

fn read_one(mut from: Section<'_>, problems: &mut Problems<'_>) -> Option<ExportOptions> {
    let name = from.required("name", problems, super::name);
    let what = read_what(&mut from, problems);
    let format = from.required("format", problems, |text| match text {
        "csv" => Ok(ExportFormat::Csv),
        "parquet" => Ok(ExportFormat::Parquet),
        other => Err(format!("\"{other}\" is none of csv, parquet")),
    });
    let period = from.read("period", problems, |text| match text {
        "hour" => Ok(Period::Hour),
        "day" => Ok(Period::Day),
        "month" => Ok(Period::Month),
        other => Err(format!("\"{other}\" is none of hour, day, month")),
    });
    let zone = from.read("zone", problems, |text| {
        TimeZone::get(text).map_err(|_| format!("\"{text}\" is not a time zone such as \"Asia/Shanghai\""))
    });
    let folder = from.required("folder", problems, |text| match text {
        "" => Err("must be a path".to_owned()),
        text => Ok(PathBuf::from(text)),
    });
    let delay = from.duration("delay", 900 * SECOND, SECOND..30 * DAY, problems);
    let keep = from.duration("retention", Duration::ZERO, HOUR..36_500 * DAY, problems);
    let mut texts = |key| from.texts(key, problems).into_iter().map(|(_, text)| text);
    let quantities = texts("quantities").map(Into::into).collect();
    let subjects = texts("subjects").collect();
    from.end(problems);
    Some(ExportOptions {
        name: name?,
        what: what?,
        quantities,
        subjects,
        format: format?,
        period: period.unwrap_or(Period::Day),
        zone: zone.unwrap_or(TimeZone::UTC),
        folder: folder?,
        delay,
        retention: (!keep.is_zero()).then_some(keep),
    })
}

fn read_what(from: &mut Section<'_>, problems: &mut Problems<'_>) -> Option<Exports> {
    let (at, path) = (from.span("window"), from.path_of("window"));
    let window = from.duration("window", Duration::ZERO, SECOND..400 * DAY, problems);
    let what = from.required("what", problems, |text| match text {
        "observations" => Ok(Exports::Observations),
        "windows" => Ok(Exports::Windows(window)),
        other => Err(format!("\"{other}\" is none of observations, windows")),
    })?;
    match (what, at) {
        (Exports::Windows(_), None) => problems.add(None, path, "is missing: the length of the windows"),
        (Exports::Observations, Some(at)) => problems.add(Some(at), path, "goes with what = \"windows\""),
        _ => return Some(what),
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn reads_every_key() {
        let text = r#"
            [[export]]
            name = "hours"
            what = "windows"
            window = "10m"
            quantities = ["pm2_5", "pm10"]
            subjects = ["air-*", "area/Tianhe"]
            format = "csv"
            period = "month"
            zone = "Asia/Shanghai"
            folder = "/srv/exports"
            delay = "1h"
            retention = "365d"
        "#;
        let exports = Config::parse(text).expect("all keys are right").exports;
        let expected = ExportOptions {
            name: "hours".to_owned(),
            what: Exports::Windows(600 * SECOND),
            quantities: vec!["pm2_5".into(), "pm10".into()],
            subjects: vec!["air-*".to_owned(), "area/Tianhe".to_owned()],
            format: ExportFormat::Csv,
            period: Period::Month,
            zone: TimeZone::get("Asia/Shanghai").expect("a zone"),
            folder: "/srv/exports".into(),
            delay: HOUR,
            retention: Some(365 * DAY),
        };
        assert_eq!(exports, [expected]);
    }

    #[test]
    fn says_what_is_missing_and_what_is_wrong() {
        let text = "\
[[export]]
name = \"a/b\"
what = \"windows\"
format = \"xlsx\"
period = \"week\"
zone = \"Shanghai\"
[[export]]
name = \"all\"
what = \"observations\"
window = \"10m\"
format = \"csv\"
folder = \"out\"
";
        let found = Config::parse(text).expect_err("both are broken");
        let found: String = found.iter().map(|problem| format!("{problem}\n")).collect();
        expect_test::expect![[r#"
            export[0].window: is missing: the length of the windows
            export[0].folder: is missing
            line 2: export[0].name: must be 1 to 64 of A-Z a-z 0-9 . _ -
            line 4: export[0].format: "xlsx" is none of csv, parquet
            line 5: export[0].period: "week" is none of hour, day, month
            line 6: export[0].zone: "Shanghai" is not a time zone such as "Asia/Shanghai"
            line 10: export[1].window: goes with what = "windows"
        "#]]
        .assert_eq(&found);
    }
}
