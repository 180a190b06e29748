//! Where files lie: a folder per kind of row, in it one per UTC day or month, named as Hive partitions are.

use jiff::civil::Date;
use std::fmt;
use std::path::{Path, PathBuf};

/// The kinds of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Observations,
    Aggregates,
    Happenings,
    /// Raw values by the minute, …
    Minutes,
    /// … the hour …
    Hours,
    /// … and the UTC day.
    Days,
}

impl Kind {
    pub const ALL: [Kind; 6] =
        [Kind::Observations, Kind::Aggregates, Kind::Happenings, Kind::Minutes, Kind::Hours, Kind::Days];

    /// The roll-ups, from the finest.
    pub const ROLL_UPS: [Kind; 3] = [Kind::Minutes, Kind::Hours, Kind::Days];

    /// The folder; also the name in the manifest.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Observations => "observations",
            Kind::Aggregates => "aggregates",
            Kind::Happenings => "happenings",
            Kind::Minutes => "rollup_1m",
            Kind::Hours => "rollup_1h",
            Kind::Days => "rollup_1d",
        }
    }

    pub fn from_name(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Width of a roll-up's spans, milliseconds; 0 for what is not rolled up.
    pub const fn width(self) -> i64 {
        match self {
            Kind::Observations | Kind::Aggregates | Kind::Happenings => 0,
            Kind::Minutes => 60_000,
            Kind::Hours => 3_600_000,
            Kind::Days => DAY_MS,
        }
    }

    /// The first day of the folder that rows of `at` lie in.
    pub fn folder_of(self, at: i64) -> Day {
        let day = Day::of(at);
        if self.is_monthly() { day.date().map_or(day, |date| Day::at(date.first_of_month())) } else { day }
    }

    /// The day behind the last of a folder.
    pub fn end_of(self, folder: Day) -> Day {
        let month = folder.date().filter(|_| self.is_monthly());
        month.map_or(Day(folder.0.saturating_add(1)), |date| Day(Day::at(date.last_of_month()).0 + 1))
    }

    /// A folder, by its first day.
    pub fn dir(self, root: &Path, folder: Day) -> PathBuf {
        root.join(self.name()).join(self.partition(folder))
    }

    /// The name of a folder, as `day=2026-11-22` or `month=2026-11`.
    pub fn partition(self, folder: Day) -> String {
        let day = folder.to_string();
        match day.rsplit_once('-') {
            Some((month, _)) if self.is_monthly() => format!("month={month}"),
            _ => format!("day={day}"),
        }
    }

    /// Coarse rows are few, so a month of them makes a file worth opening.
    const fn is_monthly(self) -> bool {
        matches!(self, Kind::Hours | Kind::Days)
    }
}

/// A UTC day, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Day(pub i32);

/// Milliseconds of a UTC day, which has no leap second here.
const DAY_MS: i64 = 86_400_000;

impl Day {
    /// The day that holds `at`, milliseconds since the epoch.
    pub fn of(at: i64) -> Day {
        let last = i64::from(i32::MAX);
        let day = at.div_euclid(DAY_MS).clamp(-last, last);
        Day(i32::try_from(day).expect("it was clamped to fit"))
    }

    /// Its first millisecond.
    pub fn start(self) -> i64 {
        i64::from(self.0) * DAY_MS
    }

    /// The day of a name such as `2026-11-22`.
    pub fn parse(name: &str) -> Option<Day> {
        name.parse().map(Day::at).ok()
    }

    fn date(self) -> Option<Date> {
        EPOCH.checked_add(jiff::Span::new().try_days(self.0).ok()?).ok()
    }

    fn at(date: Date) -> Day {
        Day(date.duration_since(EPOCH).as_hours().div_euclid(24).try_into().expect("a date of the calendar"))
    }
}

const EPOCH: Date = Date::constant(1970, 1, 1);

impl fmt::Display for Day {
    /// `2026-11-22`; what no calendar knows, as a number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.date() {
            Some(date) => write!(f, "{date}"),
            None => write!(f, "{}", self.0),
        }
    }
}

/// The name of a finished file.
pub(crate) fn file_name(id: u64) -> String {
    format!("{id:010}.parquet")
}

/// Its name while it is written. Other programs pass over names that begin with `_`.
pub(crate) fn unfinished_name(id: u64) -> String {
    format!("_{}.tmp", file_name(id))
}

/// Its name after it was set aside.
pub(crate) fn set_aside_name(id: u64) -> String {
    format!("_{}.damaged", file_name(id))
}

/// What a name in a day's folder says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Finished(u64),
    Unfinished(u64),
    SetAside(u64),
}

/// `None` for a file that is not ours.
pub(crate) fn find(name: &str) -> Option<Found> {
    let digits = name.trim_start_matches('_').split('.').next()?;
    let id = digits.parse().ok()?;
    if name == file_name(id) {
        Some(Found::Finished(id))
    } else if name == unfinished_name(id) {
        Some(Found::Unfinished(id))
    } else {
        (name == set_aside_name(id)).then_some(Found::SetAside(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_change_at_midnight_utc() {
        for (at, day) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (86_399_999, "1970-01-01"),
            (86_400_000, "1970-01-02"),
            (1_795_478_400_000 - 1, "2026-11-23"),
            (1_795_478_400_000, "2026-11-24"),
            (-62_135_596_800_000, "0001-01-01"),
            (253_402_300_799_999, "9999-12-31"),
        ] {
            assert_eq!(Day::of(at).to_string(), day, "{at}");
            assert!((0..DAY_MS).contains(&(at - Day::of(at).start())));
        }
    }

    #[test]
    fn coarse_rows_lie_by_month() {
        for (at, folder, end) in [
            ("2026-11-22", "month=2026-11", "2026-12-01"),
            ("2026-12-01", "month=2026-12", "2027-01-01"),
            ("1969-12-31", "month=1969-12", "1970-01-01"),
            ("9999-12-31", "month=9999-12", "10000"),
        ] {
            let day = Day::at(at.parse().expect("a date"));
            let month = Kind::Hours.folder_of(day.start() + 1);
            assert_eq!(Kind::Hours.partition(month), folder);
            let behind = Kind::Hours.end_of(month);
            assert!(behind.to_string() == end || end == "10000", "{behind}");
            assert_eq!(Kind::Minutes.folder_of(day.start() + 1), day);
            assert_eq!(Kind::Minutes.end_of(day), Day(day.0 + 1));
        }
        assert!(Kind::Days.folder_of(i64::MIN) < Kind::Days.folder_of(0));
        assert!(Kind::Days.folder_of(i64::MAX) > Kind::Days.folder_of(0));
    }

    #[test]
    fn only_our_own_names_are_found() {
        for (name, found) in [
            ("0000000012.parquet", Some(Found::Finished(12))),
            ("_0000000012.parquet.tmp", Some(Found::Unfinished(12))),
            ("_0000000012.parquet.damaged", Some(Found::SetAside(12))),
            ("12345678901.parquet", Some(Found::Finished(12_345_678_901))),
            ("0000000012.parquet.tmp", None),
            ("_0000000012.parquet", None),
            ("12.parquet", None),
            ("part-0.parquet", None),
            ("00000000x2.parquet", None),
            ("", None),
            ("99999999999999999999999.parquet", None),
        ] {
            assert_eq!(find(name), found, "{name}");
        }
    }
}
