//! Windows of a calendar: hours, days and months as a time zone has them.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use records::{Timestamp, Window};
use std::time::Duration;

/// Hours, days or months of a time zone; a day may begin when others end, as the meteorological day at 20:00.
#[derive(Clone, Debug, PartialEq)]
pub struct Calendar {
    /// How long a window is.
    pub unit: CalendarUnit,
    /// Whose clock counts. The rules of all zones are part of the program.
    pub zone: TimeZone,
    /// When a day, and the first day of a month, begins.
    pub day_start: Time,
}

/// How long a window of a [`Calendar`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalendarUnit {
    /// Whole hours of local time; in zones that are off by half an hour they begin there.
    Hour,
    /// From one day start to the next: 23 or 25 hours when clocks change.
    Day,
    /// From the day start of a first to that of the next first.
    Month,
}

const HOUR: Duration = Duration::from_secs(3600);

impl Calendar {
    /// How long after midnight a day begins.
    pub fn day_start_offset(&self) -> Duration {
        let (hour, minute) = (self.day_start.hour().unsigned_abs(), self.day_start.minute().unsigned_abs());
        Duration::from_secs(u64::from(hour) * 3600 + u64::from(minute) * 60)
    }

    /// The window that holds an instant. Beyond the years −9999 to 9999 calendars end: hours of UTC are all there is.
    pub fn window(&self, at: Timestamp) -> Window {
        let found = match self.unit {
            CalendarUnit::Hour => self.hour(at),
            CalendarUnit::Day | CalendarUnit::Month => self.days(at),
        };
        found.filter(|window| window.holds(at)).unwrap_or_else(|| Window::tumbling(at, HOUR))
    }

    fn hour(&self, at: Timestamp) -> Option<Window> {
        let instant = jiff::Timestamp::from_millisecond(at.0).ok()?;
        let offset = i64::from(self.zone.to_offset(instant).seconds()) * 1000;
        let local = Window::tumbling(Timestamp(at.0.checked_add(offset)?), HOUR);
        Some(Window { start: Timestamp(local.start.0 - offset), end: Timestamp(local.end.0 - offset) })
    }

    fn days(&self, at: Timestamp) -> Option<Window> {
        let instant = jiff::Timestamp::from_millisecond(at.0).ok()?;
        let local = self.zone.to_datetime(instant);
        let mut first = self.first(local.date())?;
        if self.start_of(first)? > at {
            first = self.first(first.yesterday().ok()?)?;
        }
        let window = Window { start: self.start_of(first)?, end: self.start_of(self.next(first)?)? };
        // Where clocks change at the very start of a day.
        if window.end <= at {
            let next = self.next(first)?;
            return Some(Window { start: window.end, end: self.start_of(self.next(next)?)? });
        }
        Some(window)
    }

    fn first(&self, date: Date) -> Option<Date> {
        match self.unit {
            CalendarUnit::Month => Some(date.first_of_month()),
            CalendarUnit::Hour | CalendarUnit::Day => Some(date),
        }
    }

    fn next(&self, first: Date) -> Option<Date> {
        match self.unit {
            CalendarUnit::Month => first.last_of_month().tomorrow().ok(),
            CalendarUnit::Hour | CalendarUnit::Day => first.tomorrow().ok(),
        }
    }

    /// When that day begins. A start that clocks skip comes as much later, one that comes twice counts the first time.
    fn start_of(&self, date: Date) -> Option<Timestamp> {
        let zoned =
            self.zone.to_ambiguous_zoned_datetime(date.to_datetime(self.day_start)).compatible().ok()?;
        Some(Timestamp(zoned.timestamp().as_millisecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn calendar(unit: CalendarUnit, zone: &str, day_start: &str) -> Calendar {
        Calendar { unit, zone: TimeZone::get(zone).unwrap(), day_start: day_start.parse().unwrap() }
    }

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn windows_by_hand() {
        let check = |unit, zone, day_start, instant, start, end| {
            let found = calendar(unit, zone, day_start).window(at(instant));
            assert_eq!(found, Window { start: at(start), end: at(end) }, "{zone} {instant}");
        };
        use CalendarUnit::*;
        let noon = "2026-05-04T04:30:00Z";
        check(Hour, "Asia/Shanghai", "00:00", noon, "2026-05-04T04:00:00Z", "2026-05-04T05:00:00Z");
        check(Hour, "Asia/Kolkata", "00:00", noon, "2026-05-04T04:30:00Z", "2026-05-04T05:30:00Z");
        check(Day, "Asia/Shanghai", "00:00", noon, "2026-05-03T16:00:00Z", "2026-05-04T16:00:00Z");
        check(Day, "Asia/Shanghai", "20:00", noon, "2026-05-03T12:00:00Z", "2026-05-04T12:00:00Z");
        check(
            Day,
            "Asia/Shanghai",
            "20:00",
            "2026-05-04T12:00:00Z",
            "2026-05-04T12:00:00Z",
            "2026-05-05T12:00:00Z",
        );
        check(Month, "Asia/Shanghai", "00:00", noon, "2026-04-30T16:00:00Z", "2026-05-31T16:00:00Z");
        check(
            Month,
            "Asia/Shanghai",
            "20:00",
            "2026-05-01T11:59:59Z",
            "2026-04-01T12:00:00Z",
            "2026-05-01T12:00:00Z",
        );
        check(Month, "UTC", "00:00", "2025-12-31T23:59:59Z", "2025-12-01T00:00:00Z", "2026-01-01T00:00:00Z");
        // Days of 23 and 25 hours, and the hour that comes twice.
        check(
            Day,
            "Europe/Berlin",
            "00:00",
            "2026-03-29T12:00:00Z",
            "2026-03-28T23:00:00Z",
            "2026-03-29T22:00:00Z",
        );
        check(
            Day,
            "Europe/Berlin",
            "00:00",
            "2026-10-25T12:00:00Z",
            "2026-10-24T22:00:00Z",
            "2026-10-25T23:00:00Z",
        );
        check(
            Hour,
            "Europe/Berlin",
            "00:00",
            "2026-10-25T01:30:00Z",
            "2026-10-25T01:00:00Z",
            "2026-10-25T02:00:00Z",
        );
        // A day that begins in the hour that is skipped.
        check(
            Day,
            "Europe/Berlin",
            "02:30",
            "2026-03-29T12:00:00Z",
            "2026-03-29T01:30:00Z",
            "2026-03-30T00:30:00Z",
        );
    }

    proptest! {
        /// Every instant is in its window, and the window is that of all its instants: so windows tile.
        #[test]
        fn windows_tile(
            millis in 946_684_800_000..4_102_444_800_000i64,
            zone in prop::sample::select(vec!["Asia/Shanghai", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu"]),
            day_start in prop::sample::select(vec!["00:00", "20:00", "02:30"]),
            unit in prop::sample::select(vec![CalendarUnit::Hour, CalendarUnit::Day, CalendarUnit::Month]),
        ) {
            let calendar = calendar(unit, zone, day_start);
            let window = calendar.window(Timestamp(millis));
            prop_assert!(window.holds(Timestamp(millis)));
            for other in [window.start, Timestamp(window.end.0 - 1), Timestamp((window.start.0 + window.end.0) / 2)] {
                prop_assert_eq!(calendar.window(other), window);
            }
            prop_assert_eq!(calendar.window(window.end).start, window.end);
        }

        #[test]
        fn any_instant_has_a_window(millis: i64) {
            let window = calendar(CalendarUnit::Day, "Asia/Shanghai", "20:00").window(Timestamp(millis));
            prop_assert!(window.start <= Timestamp(millis));
        }
    }
}
