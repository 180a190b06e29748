//! Where files lie: a folder per kind of row, in it one per UTC day, named as Hive partitions are.

use std::fmt;
use std::path::{Path, PathBuf};

/// The two kinds of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Observations,
    Aggregates,
}

impl Kind {
    pub const ALL: [Kind; 2] = [Kind::Observations, Kind::Aggregates];

    /// The folder; also the name in the manifest.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Observations => "observations",
            Kind::Aggregates => "aggregates",
        }
    }

    pub fn from_name(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
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

    /// Its folder.
    pub fn dir(self, root: &Path, kind: Kind) -> PathBuf {
        root.join(kind.name()).join(format!("day={self}"))
    }
}

impl fmt::Display for Day {
    /// `2026-11-22`; what no calendar knows, as a number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let epoch = jiff::civil::Date::constant(1970, 1, 1);
        let days = jiff::Span::new().try_days(self.0);
        match days.and_then(|days| epoch.checked_add(days)) {
            Ok(date) => write!(f, "{date}"),
            Err(_) => write!(f, "{}", self.0),
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
