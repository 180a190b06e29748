//! Times as payloads write them.

use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::{Offset, TimeZone};
use records::Timestamp;
use serde_json::Value;

/// How a payload writes a time.
#[derive(Clone, Debug, PartialEq)]
pub enum TimeFormat {
    /// A count since 1970-01-01T00:00:00Z; the number is how many make a second.
    Count(f64),
    /// RFC 3339 with an offset.
    Rfc3339,
    /// A text after a pattern of strftime's kind, in a zone unless it has an offset itself.
    Pattern {
        /// As `%Y-%m-%d %H:%M:%S`.
        pattern: String,
        /// Where that is the time.
        zone: TimeZone,
    },
}

impl TimeFormat {
    /// The format of that name (`s`, `ms`, `us`, `rfc3339`), or a pattern with `%`; `zone` is a name of the time
    /// zone database or an offset as `+08:00`, UTC when absent.
    ///
    /// # Errors
    /// What is wrong with either.
    pub fn parse(format: &str, zone: Option<&str>) -> Result<TimeFormat, String> {
        let named = match format {
            "s" => Some(TimeFormat::Count(1.0)),
            "ms" => Some(TimeFormat::Count(1e3)),
            "us" => Some(TimeFormat::Count(1e6)),
            "rfc3339" => Some(TimeFormat::Rfc3339),
            _ => None,
        };
        match (named, zone) {
            (Some(named), None) => Ok(named),
            (Some(_), Some(_)) => Err(format!("a time in {format:?} needs no zone")),
            (None, zone) => TimeFormat::pattern(format, zone.unwrap_or("UTC")),
        }
    }

    /// Written and read back once, so that a pattern that leaves the date out is found before a message comes.
    fn pattern(format: &str, zone: &str) -> Result<TimeFormat, String> {
        let zone = read_zone(zone)?;
        let pattern = TimeFormat::Pattern { pattern: format.to_owned(), zone: zone.clone() };
        let sample = jiff::Timestamp::UNIX_EPOCH.to_zoned_datetime(zone);
        let written = strtime::format(format, &sample).map_err(|error| format!("{format:?}: {error}"))?;
        let is_read = format.contains('%') && pattern.read(&Value::String(written)).is_ok();
        if is_read {
            Ok(pattern)
        } else {
            Err(format!("{format:?} is none of s, ms, us, rfc3339, and no pattern of date and time"))
        }
    }

    /// The instant that a value tells.
    ///
    /// # Errors
    /// Why it tells none.
    pub(super) fn read(&self, value: &Value) -> Result<Timestamp, String> {
        let millis = match (self, value) {
            (TimeFormat::Count(per_second), Value::Number(number)) => {
                number.as_f64().map(|count| (count * 1000.0 / per_second).round() as i64)
            }
            (TimeFormat::Count(per_second), Value::String(text)) => {
                text.trim().parse::<f64>().ok().map(|count| (count * 1000.0 / per_second).round() as i64)
            }
            (TimeFormat::Rfc3339, Value::String(text)) => firmware_protocol::parse_rfc3339(text),
            (TimeFormat::Pattern { pattern, zone }, Value::String(text)) => by_pattern(pattern, zone, text),
            _ => None,
        };
        let is_in_range = |at: &i64| (firmware_protocol::MIN_TIME..=firmware_protocol::MAX_TIME).contains(at);
        millis.filter(is_in_range).map(Timestamp).ok_or_else(|| format!("{value} is no such time"))
    }
}

fn by_pattern(pattern: &str, zone: &TimeZone, text: &str) -> Option<i64> {
    let broken_down = BrokenDownTime::parse(pattern, text.trim()).ok()?;
    let at = match broken_down.to_timestamp() {
        Ok(at) => at,
        Err(_) => zone.to_timestamp(broken_down.to_datetime().ok()?).ok()?,
    };
    Some(at.as_millisecond())
}

fn read_zone(name: &str) -> Result<TimeZone, String> {
    let unknown =
        || format!("{name:?} is neither a time zone as \"Asia/Shanghai\" nor an offset as \"+08:00\"");
    let Some((sign, clock)) = name.split_at_checked(1).filter(|(sign, _)| matches!(*sign, "+" | "-")) else {
        return TimeZone::get(name).map_err(|_| unknown());
    };
    let seconds = clock.split_once(':').and_then(|(hours, minutes)| {
        let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
        ((0..24).contains(&hours) && (0..60).contains(&minutes)).then_some(hours * 3600 + minutes * 60)
    });
    let signed = seconds.map(|seconds| if sign == "-" { -seconds } else { seconds });
    signed.and_then(|seconds| Offset::from_seconds(seconds).ok()).map(TimeZone::fixed).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_what_payloads_write() {
        let check = |format: &str, zone: Option<&str>, value: Value, expected: Option<i64>| {
            let read = TimeFormat::parse(format, zone).unwrap().read(&value);
            assert_eq!(read.ok().map(Timestamp::millis), expected, "{format} {zone:?} {value}");
        };
        check("s", None, json!(1_764_000_000.25), Some(1_764_000_000_250));
        check("s", None, json!("1764000000"), Some(1_764_000_000_000));
        check("ms", None, json!(1_764_000_000_123_i64), Some(1_764_000_000_123));
        check("us", None, json!(1_764_000_000_123_456_i64), Some(1_764_000_000_123));
        check("s", None, json!(1e300), None);
        check("ms", None, json!([1]), None);
        check("rfc3339", None, json!("2025-11-25T00:00:00+08:00"), Some(1_764_000_000_000));
        check("rfc3339", None, json!("2025-11-25T00:00:00"), None);
        let local = "%Y-%m-%d %H:%M:%S";
        check(local, Some("Asia/Shanghai"), json!("2025-11-25 00:00:00"), Some(1_764_000_000_000));
        check(local, Some("+08:00"), json!("2025-11-25 00:00:00"), Some(1_764_000_000_000));
        check(local, Some("-03:30"), json!("2025-11-24 12:30:00"), Some(1_764_000_000_000));
        check(local, None, json!("2025-11-24 16:00:00"), Some(1_764_000_000_000));
        check(local, None, json!("yesterday"), None);
        check("%Y%m%d%H%M%S", Some("+08:00"), json!("20251125000000"), Some(1_764_000_000_000));
        check(
            "%Y-%m-%dT%H:%M:%S%z",
            Some("Asia/Shanghai"),
            json!("2025-11-24T16:00:00+0000"),
            Some(1_764_000_000_000),
        );
    }

    #[test]
    fn refuses_what_could_never_be_read() {
        for (format, zone) in [
            ("seconds", None),
            ("%H:%M:%S", None),
            ("%Q%Q%Q", None),
            ("ms", Some("UTC")),
            ("%Y-%m-%d %H:%M:%S", Some("Mars/Olympus")),
            ("%Y-%m-%d %H:%M:%S", Some("+25:00")),
            ("", None),
        ] {
            assert!(TimeFormat::parse(format, zone).is_err(), "{format} {zone:?}");
        }
    }
}
