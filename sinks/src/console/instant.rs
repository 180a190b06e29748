//! Times and spans as clients write them.

use super::reply::Refusal;
use records::Timestamp;
use std::time::Duration;

/// An instant: milliseconds since the epoch, or RFC 3339.
pub fn instant(field: &str, text: &str) -> Result<Timestamp, Refusal> {
    if let Ok(millis) = text.parse::<i64>() {
        return Ok(Timestamp(millis));
    }
    // In a query string an unescaped `+` arrives as a space.
    let text = text.replace(' ', "+");
    text.parse::<jiff::Timestamp>().map(|at| Timestamp(at.as_millisecond())).map_err(|_| {
        Refusal::BadRequest(format!("{field}: milliseconds or RFC 3339, as 2026-11-22T08:00:00Z"))
    })
}

/// The range `[from, to)` of event time that a question is about. Not told, it ends a minute from `now`, because the
/// very newest values belong to "until now" and clocks differ a little, and is `usual` long.
pub fn range(
    from: Option<&str>,
    to: Option<&str>,
    now: Timestamp,
    usual: Duration,
) -> Result<(Timestamp, Timestamp), Refusal> {
    let to = to.map_or(Ok(now + Duration::from_secs(60)), |text| instant("to", text))?;
    let from = from.map_or(Ok(to - usual), |text| instant("from", text))?;
    if from >= to {
        return Err(Refusal::BadRequest("from must be before to".to_owned()));
    }
    Ok((from, to))
}

/// Where days begin in UTC by a local clock, which starts its day earlier when it is ahead; by UTC when none is told.
pub fn day_start(field: &str, text: Option<&str>) -> Result<Duration, Refusal> {
    const DAY_MINUTES: i64 = 24 * 60;
    let ahead = text.map_or(Ok(0), |text| offset_minutes(field, text))?;
    Ok(Duration::from_secs((-ahead).rem_euclid(DAY_MINUTES).unsigned_abs() * 60))
}

/// A length of time: a number and one of `ms s m h d`.
pub fn span(field: &str, text: &str) -> Result<Duration, Refusal> {
    let refusal = || Refusal::BadRequest(format!("{field}: a positive number and one of ms s m h d, as 15m"));
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(refusal)?;
    let count: u64 = text[..digits].parse().map_err(|_| refusal())?;
    let unit_ms = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(refusal()),
    };
    let millis =
        count.checked_mul(unit_ms).filter(|millis| *millis > 0 && *millis < 1 << 52).ok_or_else(refusal)?;
    Ok(Duration::from_millis(millis))
}

/// How far a local clock is ahead of UTC: `+08:00`, `-03:30`, or `Z`.
fn offset_minutes(field: &str, text: &str) -> Result<i64, Refusal> {
    let refusal = || Refusal::BadRequest(format!("{field}: as +08:00"));
    if text == "Z" {
        return Ok(0);
    }
    let text = text.replace(' ', "+");
    let (sign, rest) = match text.split_at_checked(1) {
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        _ => return Err(refusal()),
    };
    let (hours, minutes) = rest.split_once(':').ok_or_else(refusal)?;
    let part = |digits: &str, below: i64| {
        let is_two_digits = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<i64>().ok().filter(|value| is_two_digits && *value < below).ok_or_else(refusal)
    };
    Ok(sign * (part(hours, 15)? * 60 + part(minutes, 60)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants() {
        let check = |text: &str, expected: Option<i64>| {
            assert_eq!(instant("from", text).ok().map(Timestamp::millis), expected, "{text}");
        };
        check("1700000000000", Some(1_700_000_000_000));
        check("-5", Some(-5));
        check("1970-01-01T00:00:01Z", Some(1_000));
        check("1970-01-01T08:00:00+08:00", Some(0));
        check("1970-01-01T08:00:00 08:00", Some(0));
        check("yesterday", None);
        check("", None);
        check("99999999999999999999", None);
    }

    #[test]
    fn spans() {
        let check = |text: &str, expected: Option<u64>| {
            let millis = span("window", text).ok().map(|span| span.as_millis() as u64);
            assert_eq!(millis, expected, "{text}");
        };
        check("250ms", Some(250));
        check("1h", Some(3_600_000));
        check("1d", Some(86_400_000));
        for wrong in
            ["", "h", "0h", "1", "1 h", "1y", "-1h", "1.5h", "99999999999999999999d", "9999999999999999d"]
        {
            check(wrong, None);
        }
    }

    #[test]
    fn offsets() {
        let check = |text: &str, expected: Option<i64>| {
            assert_eq!(offset_minutes("tz_offset", text).ok(), expected, "{text}");
        };
        check("Z", Some(0));
        check("+08:00", Some(480));
        check(" 08:00", Some(480));
        check("-03:30", Some(-210));
        for wrong in ["", "+8", "08:00", "+08:60", "+15:00", "+-1:00", "é1:00"] {
            check(wrong, None);
        }
    }
}
