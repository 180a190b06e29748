//! RFC 3339 date-times, as people write them into JSON.

/// Milliseconds since 1970-01-01T00:00:00Z of an RFC 3339 date-time (`2026-11-24T08:00:00.5+08:00`).
///
/// `T` and `Z` of either case, or a space for `T`; digits beyond the millisecond are cut off; a leap second
/// counts as the second after it. The offset is required: a time without one means another instant in each zone.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let mut rest = text.as_bytes();
    let date =
        (number(&mut rest, 4)?, literal(&mut rest, b"-")?, number(&mut rest, 2)?, literal(&mut rest, b"-")?);
    let (year, month, day) = (date.0, date.2, number(&mut rest, 2)?);
    literal(&mut rest, b"Tt ")?;
    let (hour, _, minute, _) =
        (number(&mut rest, 2)?, literal(&mut rest, b":")?, number(&mut rest, 2)?, literal(&mut rest, b":")?);
    let second = number(&mut rest, 2)?;
    let millis = fraction(&mut rest)?;
    let offset = offset(&mut rest)?;
    let is_date = (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
    if !rest.is_empty() || !is_date || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let minutes = (days_before(year, month, day) * 24 + hour) * 60 + minute - offset;
    Some((minutes * 60 + second) * 1_000 + millis)
}

fn number(rest: &mut &[u8], digits: usize) -> Option<i64> {
    let (head, tail) = rest.split_at_checked(digits)?;
    *rest = tail;
    head.iter().try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
}

fn literal(rest: &mut &[u8], allowed: &[u8]) -> Option<u8> {
    let (first, tail) = rest.split_first()?;
    *rest = tail;
    allowed.contains(first).then_some(*first)
}

/// Milliseconds of `.digits`; 0 when there is no point.
fn fraction(rest: &mut &[u8]) -> Option<i64> {
    let [b'.', tail @ ..] = *rest else { return Some(0) };
    let digits = tail.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, tail) = tail.split_at_checked(digits)?;
    *rest = tail;
    let millis = |at: usize| digits.get(at).map_or(0, |byte| i64::from(byte - b'0'));
    (!digits.is_empty()).then(|| millis(0) * 100 + millis(1) * 10 + millis(2))
}

/// Minutes east of Greenwich.
fn offset(rest: &mut &[u8]) -> Option<i64> {
    let sign = match literal(rest, b"Zz+-")? {
        b'+' => 1,
        b'-' => -1,
        _ => return Some(0),
    };
    let (hours, _, minutes) = (number(rest, 2)?, literal(rest, b":")?, number(rest, 2)?);
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
///
/// Years are counted from March, so that the leap day is a year's last; 30.6 days a month, rounded, then gives
/// the months' starts.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leaps + (month * 153 + 2) / 5 + day - 1 - 719_468
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MAX_TIME, MIN_TIME};
    use proptest::prelude::*;
    use std::format;
    use std::string::String;

    /// Walks the calendar day by day: slow, and right by inspection.
    #[test]
    fn every_day_of_ten_thousand_years() {
        let mut days = -719_528;
        for year in 0..10_000 {
            for month in 1..=12 {
                for day in 1..=days_of(year, month) {
                    assert_eq!(days_before(year, month, day), days, "{year}-{month}-{day}");
                    days += 1;
                }
            }
        }
    }

    #[test]
    fn instants() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2025-11-24T16:00:00Z", 1_764_000_000_000),
            ("2025-11-25T00:00:00+08:00", 1_764_000_000_000),
            ("2025-11-24 11:30:00.5-04:30", 1_764_000_000_500),
            ("2025-11-24t16:00:00.123999z", 1_764_000_000_123),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000),
            ("2000-02-29T00:00:00Z", 951_782_400_000),
            ("0000-01-01T00:00:00Z", MIN_TIME),
            ("9999-12-31T23:59:59.999Z", MAX_TIME),
        ] {
            assert_eq!(parse_rfc3339(text), Some(millis), "{text}");
        }
    }

    #[test]
    fn what_is_no_instant() {
        for text in [
            "",
            "2025",
            "2025-11-24",
            "2025-11-24T16:00:00",
            "2025-11-24T16:00Z",
            "2025-13-01T00:00:00Z",
            "2025-00-01T00:00:00Z",
            "2025-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2025-11-31T00:00:00Z",
            "2025-11-24T24:00:00Z",
            "2025-11-24T16:60:00Z",
            "2025-11-24T16:00:61Z",
            "2025-11-24T16:00:00.Z",
            "2025-11-24T16:00:00+8",
            "2025-11-24T16:00:00+08",
            "2025-11-24T16:00:00+24:00",
            "2025-11-24T16:00:00Z ",
            " 2025-11-24T16:00:00Z",
            "+025-11-24T16:00:00Z",
            "２025-11-24T16:00:00Z",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn fields_come_back(days in -719_528_i64..2_932_897, millis in 0_i64..86_400_000, offset in -1_439_i64..1_440) {
            let text = written(days, millis, offset);
            prop_assert_eq!(parse_rfc3339(&text), Some(days * 86_400_000 + millis - offset * 60_000), "{}", text);
        }

        #[test]
        fn any_text_is_survived(text in "\\PC*") {
            parse_rfc3339(&text);
        }
    }

    fn written(days: i64, millis: i64, offset: i64) -> String {
        let (mut year, mut month, mut day) = (0, 1, 1 + days + 719_528);
        let of_year = |year| (1..=12).map(|month| days_of(year, month)).sum::<i64>();
        while day > of_year(year) {
            day -= of_year(year);
            year += 1;
        }
        while day > days_of(year, month) {
            day -= days_of(year, month);
            month += 1;
        }
        let (hour, minute, second) = (millis / 3_600_000, millis / 60_000 % 60, millis / 1_000 % 60);
        let (sign, east) = (if offset < 0 { '-' } else { '+' }, offset.abs());
        format!(
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}{sign}{:02}:{:02}",
            millis % 1_000,
            east / 60,
            east % 60
        )
    }
}
