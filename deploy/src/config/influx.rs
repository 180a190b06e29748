//! `[influx]`: where windows go beside the local store, for those who have an InfluxDB 2.

use std::path::PathBuf;

use sinks::influx::{InfluxOptions, Tags};

use super::section::{Problems, Section};
use super::{DAY, MS, SECOND};

/// `[influx]`; absent: nothing is sent.
#[derive(Clone, Debug, PartialEq)]
pub struct InfluxConfig {
    /// The file that holds the token and nothing else; so that no secret stands in the configuration.
    pub token_file: PathBuf,
    /// Everything else.
    pub options: InfluxOptions,
}

/// Reads the section when the file has one. What is missing in it is a problem, and stands empty in the result.
pub fn read(mut from: Section<'_>, problems: &mut Problems<'_>) -> Option<InfluxConfig> {
    if from.is_empty() {
        return None;
    }
    let default = InfluxOptions::default();
    let url = from.wanted(
        "url",
        super::is_http,
        "an http or https URL such as \"http://localhost:8086\"",
        problems,
    );
    let org = from.wanted("org", |text| !text.is_empty(), "an organisation", problems);
    let bucket = from.wanted("bucket", |text| !text.is_empty(), "a bucket", problems);
    let token_file = from.wanted("token_file", |text| !text.is_empty(), "a path", problems);
    let mut count = |name: &str, default: usize, range: std::ops::Range<u64>| {
        let count = from.number(name, default as u64, range, problems);
        usize::try_from(count).unwrap_or(default)
    };
    let batch_lines = count("batch_lines", default.batch_lines, 1..100_001);
    let max_series = count("max_series", default.max_series, 1..100_000_001);
    let backfill_rate = count("backfill_rate", default.backfill_rate as usize, 1..10_000_001);
    let options = InfluxOptions {
        url: url.unwrap_or_default(),
        org: org.unwrap_or_default(),
        bucket: bucket.unwrap_or_default(),
        raw: from.flag("raw", default.raw, problems),
        tags: Tags {
            area: from.flag("tag_area", default.tags.area, problems),
            quantity: from.flag("tag_quantity", default.tags.quantity, problems),
        },
        batch_lines,
        batch_bytes: size(&mut from, default.batch_bytes, problems),
        batch_age: from.duration("batch_age", default.batch_age, MS..60 * SECOND, problems),
        timeout: from.duration("timeout", default.timeout, 100 * MS..600 * SECOND, problems),
        max_series,
        backfill_after: from.duration("backfill_after", default.backfill_after, SECOND..DAY, problems),
        backfill_rate: u32::try_from(backfill_rate).unwrap_or(default.backfill_rate),
    };
    from.end(problems);
    Some(InfluxConfig { token_file: PathBuf::from(token_file.unwrap_or_default()), options })
}

fn size(from: &mut Section<'_>, default: usize, problems: &mut Problems<'_>) -> usize {
    let bytes = from.size("batch_size", default as u64, 1 << 10..(32 << 20) + 1, problems);
    usize::try_from(bytes).unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn is_absent_unless_named() {
        assert_eq!(Config::parse("").expect("nothing is fine").influx, None);
    }

    #[test]
    fn says_what_is_missing_and_what_is_wrong() {
        let text = "[influx]\nurl = \"localhost:8086\"\nbucket = \"\"\nbatch_lines = 0\nraw = \"yes\"\ntoken = \"x\"\n";
        let found = Config::parse(text).expect_err("the section is broken");
        let found: String = found.iter().map(|problem| format!("{problem}\n")).collect();
        expect_test::expect![[r#"
            influx.org: must be an organisation
            influx.token_file: must be a path
            line 2: influx.url: must be an http or https URL such as "http://localhost:8086"
            line 3: influx.bucket: must be a bucket
            line 4: influx.batch_lines: must be a whole number from 1 to 100000
            line 5: influx.raw: must be true or false, not string
            line 6: influx.token: unknown key
        "#]]
        .assert_eq(&found);
    }
}
