//! Hours, days and months of a place's calendar.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use records::Timestamp;

/// How long the time of one file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// From one whole hour of the local clock to the next.
    Hour,
    /// From one midnight to the next: 23 or 25 hours where the clock is changed.
    Day,
    /// From one first of a month to the next.
    Month,
}

impl Period {
    /// Where the period that holds `at` begins, and where it ends; `None` beyond the calendar.
    pub fn around(self, at: Timestamp, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
        let instant = jiff::Timestamp::from_millisecond(at.millis()).ok()?;
        let date = zone.to_datetime(instant).date();
        let (first, next) = match self {
            Period::Hour => {
                let ahead = i64::from(zone.to_offset(instant).seconds()) * 1000;
                let into = (at.millis() + ahead).rem_euclid(HOUR_MS);
                return Some((Timestamp(at.millis() - into), Timestamp(at.millis() - into + HOUR_MS)));
            }
            Period::Day => (date, date.tomorrow().ok()?),
            Period::Month => (date.first_of_month(), date.last_of_month().tomorrow().ok()?),
        };
        Some((midnight(first, zone)?, midnight(next, zone)?))
    }

    /// How a file names the period that begins at `start`. The offset tells two hours of one name apart.
    pub fn label(self, start: Timestamp, zone: &TimeZone) -> String {
        let Ok(instant) = jiff::Timestamp::from_millisecond(start.millis()) else {
            return start.millis().to_string();
        };
        let local = zone.to_datetime(instant);
        match self {
            Period::Hour => {
                let minutes = zone.to_offset(instant).seconds() / 60;
                let (sign, hours, minutes) =
                    (if minutes < 0 { '-' } else { '+' }, minutes.abs() / 60, minutes.abs() % 60);
                format!("{}T{:02}{sign}{hours:02}{minutes:02}", local.date(), local.hour())
            }
            Period::Day => local.date().to_string(),
            Period::Month => format!("{:04}-{:02}", local.year(), local.month()),
        }
    }
}

const HOUR_MS: i64 = 3_600_000;

/// The first instant of a day.
fn midnight(date: Date, zone: &TimeZone) -> Option<Timestamp> {
    let start = zone.to_timestamp(date.to_datetime(Time::midnight())).ok()?;
    Some(Timestamp(start.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(period: Period, zone: &str, at: &str, expected: &str) {
        let zone = TimeZone::get(zone).expect("a zone of the database");
        let at = Timestamp(at.parse::<jiff::Timestamp>().expect("RFC 3339").as_millisecond());
        let (start, end) = period.around(at, &zone).expect("within the calendar");
        let text =
            |at: Timestamp| jiff::Timestamp::from_millisecond(at.millis()).expect("in range").to_string();
        let found = format!("{} {} {}", text(start), text(end), period.label(start, &zone));
        assert_eq!(found, expected);
    }

    #[test]
    fn periods_are_those_of_the_local_calendar() {
        let shanghai = "Asia/Shanghai";
        let at = "2026-11-22T17:30:00Z";
        check(Period::Hour, shanghai, at, "2026-11-22T17:00:00Z 2026-11-22T18:00:00Z 2026-11-23T01+0800");
        check(Period::Day, shanghai, at, "2026-11-22T16:00:00Z 2026-11-23T16:00:00Z 2026-11-23");
        check(Period::Month, shanghai, at, "2026-10-31T16:00:00Z 2026-11-30T16:00:00Z 2026-11");
        let half = "2026-11-22T17:40:00Z";
        check(
            Period::Hour,
            "Asia/Kolkata",
            half,
            "2026-11-22T17:30:00Z 2026-11-22T18:30:00Z 2026-11-22T23+0530",
        );
    }

    #[test]
    fn days_have_the_hours_that_the_clock_gives_them() {
        let at = "2026-10-25T12:00:00Z";
        check(Period::Day, "Europe/Berlin", at, "2026-10-24T22:00:00Z 2026-10-25T23:00:00Z 2026-10-25");
        let (first, second) = ("2026-10-25T00:10:00Z", "2026-10-25T01:10:00Z");
        check(
            Period::Hour,
            "Europe/Berlin",
            first,
            "2026-10-25T00:00:00Z 2026-10-25T01:00:00Z 2026-10-25T02+0200",
        );
        check(
            Period::Hour,
            "Europe/Berlin",
            second,
            "2026-10-25T01:00:00Z 2026-10-25T02:00:00Z 2026-10-25T02+0100",
        );
    }
}
