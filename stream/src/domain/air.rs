//! The air quality sub-index (IAQI) of one pollutant, in whole numbers, by HJ 633-2026 and HJ 633-2012.
//!
//! Both standards interpolate between the breakpoints of a table and round the index up. They differ in two
//! breakpoints, in what an hour of particles or a value beyond a table means, and in when they apply.

use super::rounding::half_even;
use crate::rule::AirRule;
use records::{Aggregate, Quantity, Timestamp};
use std::time::Duration;

/// The sub-index of `concentration` (µg/m³; CO mg/m³) by that edition, 0 to 500.
///
/// `None` when the concentration is negative or not finite (a value that is missing is never 0), and, in 2012, where
/// that edition sends the reader to another average of the same pollutant.
///
/// The concentration is first rounded by GB/T 8170 to what the table is written in: HJ 633-2026, 4.2.2. The edition
/// of 2012 does not say how to round; it is done alike.
pub fn iaqi(item: Item, concentration: f64, edition: Edition) -> Option<u16> {
    let limits = item.limits(edition);
    let concentration = half_even(concentration, item.decimals())?;
    let Some(above) = limits.iter().position(|limit| concentration <= *limit) else {
        return beyond(limits, edition);
    };
    // Only a concentration of 0 is not above the first limit, which is 0.
    let Some(below) = above.checked_sub(1) else { return Some(0) };
    let (low, high) = (limits[below], limits[above]);
    let (index_low, index_high) = (i64::from(INDICES[below]), i64::from(INDICES[above]));
    let rise = (index_high - index_low) * (concentration - low);
    let rounded_up = (rise + (high - low) - 1) / (high - low);
    u16::try_from(index_low + rounded_up).ok()
}

/// An hour's sub-index of PM2.5 as a derived aggregate, from the closed hour of the concentration.
///
/// Only HJ 633-2026 knows it (4.2: an hour of particles uses the daily breakpoints). By HJ 633-2012 an hour of
/// particles has no index, so hours before 2026-03-01 have none here.
///
/// Neither standard says what makes an hour of particles valid (45 minutes of sampling, GB 3095-2026, Table 4, are
/// for gases), so `rule` does. Sum and mean are such that `sum / good` is the index again.
pub fn iaqi_of_hour(hour: &Aggregate, rule: &AirRule) -> Option<Aggregate> {
    let is_hour = hour.window.end.since(hour.window.start) == Duration::from_secs(3600);
    let is_pm = hour.quantity == Quantity::from_name("pm2_5");
    let is_enough = hour.good >= rule.min_good.max(1);
    if !(is_hour && is_pm && is_enough && Edition::at(hour.window.start) == Edition::Hj2026) {
        return None;
    }
    let index = f64::from(iaqi(Item::Pm25, hour.mean, Edition::Hj2026)?);
    let (mean, min, max, sum) = (index, index, index, index * f64::from(hour.good));
    Some(Aggregate { quantity: Quantity::from_name("iaqi_pm2_5"), mean, min, max, sum, ..hour.clone() })
}

/// Which edition of HJ 633.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edition {
    /// For days before 2026-03-01.
    Hj2012,
    /// From 2026-03-01 00:00 +08:00.
    Hj2026,
}

impl Edition {
    /// 2026-03-01T00:00:00+08:00.
    const CHANGE: Timestamp = Timestamp(1_772_294_400_000);

    /// The edition for what was measured at that time, whenever it is computed.
    pub fn at(measured: Timestamp) -> Edition {
        if measured < Edition::CHANGE { Edition::Hj2012 } else { Edition::Hj2026 }
    }
}

/// A pollutant with its averaging time. In 2026 the daily columns of PM serve the hour too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// SO2, daily mean.
    So2Day,
    /// SO2, 1 h.
    So2Hour,
    /// NO2, daily mean.
    No2Day,
    /// NO2, 1 h.
    No2Hour,
    /// CO, daily mean, mg/m³.
    CoDay,
    /// CO, 1 h, mg/m³.
    CoHour,
    /// O3, mean of 8 h.
    O3EightHours,
    /// O3, 1 h.
    O3Hour,
    /// PM10.
    Pm10,
    /// PM2.5.
    Pm25,
}

/// The indices at the limits of a column.
const INDICES: [u16; 8] = [0, 50, 100, 150, 200, 300, 400, 500];

impl Item {
    /// A column of Table 3 (2012: Table 1), in units of the last decimal. A short one ends where the standard refers
    /// to a note.
    fn limits(self, edition: Edition) -> &'static [i64] {
        let is_2012 = edition == Edition::Hj2012;
        match self {
            Item::So2Day => &[0, 50, 150, 475, 800, 1600, 2100, 2620],
            Item::So2Hour => &[0, 150, 500, 650, 800],
            Item::No2Day => &[0, 40, 80, 180, 280, 565, 750, 940],
            Item::No2Hour => &[0, 100, 200, 700, 1200, 2340, 3090, 3840],
            Item::CoDay => &[0, 20, 40, 140, 240, 360, 480, 600],
            Item::CoHour => &[0, 50, 100, 350, 600, 900, 1200, 1500],
            Item::O3EightHours => &[0, 100, 160, 215, 265, 800],
            Item::O3Hour => &[0, 160, 200, 300, 400, 800, 1000, 1200],
            Item::Pm10 if is_2012 => &[0, 50, 150, 250, 350, 420, 500, 600],
            Item::Pm10 => &[0, 50, 120, 250, 350, 420, 500, 600],
            Item::Pm25 if is_2012 => &[0, 35, 75, 115, 150, 250, 350, 500],
            Item::Pm25 => &[0, 35, 60, 115, 150, 250, 350, 500],
        }
    }

    /// CO to one decimal, the rest to whole numbers.
    fn decimals(self) -> usize {
        match self {
            Item::CoDay | Item::CoHour => 1,
            _ => 0,
        }
    }
}

/// Beyond the last limit: 500; for a short column (SO2 1 h, O3 8 h) the index it ends with in 2026, none in 2012.
fn beyond(limits: &[i64], edition: Edition) -> Option<u16> {
    let is_short = limits.len() < INDICES.len();
    match edition {
        Edition::Hj2012 if is_short => None,
        _ => Some(INDICES[limits.len() - 1]),
    }
}

/// A class of the index, with the words and the colour of both editions.
#[derive(Debug, PartialEq, Eq)]
pub struct Category {
    /// Greatest index of the class.
    pub to: u16,
    /// 一级 to 六级, as 1 to 6.
    pub grade: u8,
    /// The standard's word.
    pub name: &'static str,
    /// In English.
    pub english: &'static str,
    /// RGB. The purple is China's, not that of the US palette.
    pub colour: &'static str,
}

/// The classes, from the best to the worst.
pub const CATEGORIES: [Category; 6] = [
    category(50, 1, "优", "excellent", "#00E400"),
    category(100, 2, "良", "good", "#FFFF00"),
    category(150, 3, "轻度污染", "lightly polluted", "#FF7E00"),
    category(200, 4, "中度污染", "moderately polluted", "#FF0000"),
    category(300, 5, "重度污染", "heavily polluted", "#99004C"),
    category(500, 6, "严重污染", "severely polluted", "#7E0023"),
];

const fn category(
    to: u16,
    grade: u8,
    name: &'static str,
    english: &'static str,
    colour: &'static str,
) -> Category {
    Category { to, grade, name, english, colour }
}

impl Category {
    /// The class of an index; what is beyond the scale is in the worst.
    pub fn of(index: u16) -> &'static Category {
        CATEGORIES.iter().find(|category| index <= category.to).unwrap_or(&CATEGORIES[5])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::{Name, Subject, Window};

    fn item(name: &str) -> Item {
        match name {
            "SO2_24H" => Item::So2Day,
            "SO2_1H" => Item::So2Hour,
            "NO2_24H" => Item::No2Day,
            "NO2_1H" => Item::No2Hour,
            "CO_24H" => Item::CoDay,
            "CO_1H" => Item::CoHour,
            "O3_8H" => Item::O3EightHours,
            "O3_1H" => Item::O3Hour,
            "PM10" => Item::Pm10,
            "PM25" => Item::Pm25,
            _ => panic!("{name}"),
        }
    }

    #[test]
    fn every_row_of_the_vectors() {
        let check = |rows: &str, edition| {
            for row in rows.lines().skip(1) {
                let [name, value, index] = row.split(',').collect::<Vec<_>>()[..] else { panic!("{row}") };
                let expected = index.parse().ok();
                assert_eq!(iaqi(item(name), value.parse().unwrap(), edition), expected, "{row} {edition:?}");
            }
            assert_eq!(rows.lines().count(), 4571);
        };
        check(include_str!("../../tests/vectors/iaqi_2012.csv"), Edition::Hj2012);
        check(include_str!("../../tests/vectors/iaqi_2026.csv"), Edition::Hj2026);
    }

    /// Values that the standards' notes and roundings turn on.
    #[test]
    fn worked_values() {
        let check = |item, value: f64, in_2026, in_2012| {
            let found = (iaqi(item, value, Edition::Hj2026), iaqi(item, value, Edition::Hj2012));
            assert_eq!(found, (in_2026, in_2012), "{item:?} {value}");
        };
        check(Item::Pm25, 36.0, Some(52), Some(52));
        check(Item::Pm25, 60.0, Some(100), Some(82));
        check(Item::Pm25, 61.0, Some(101), Some(83));
        check(Item::Pm25, 75.0, Some(114), Some(100));
        check(Item::Pm10, 150.0, Some(112), Some(100));
        check(Item::O3EightHours, 800.0, Some(300), Some(300));
        check(Item::O3EightHours, 801.0, Some(300), None);
        check(Item::So2Hour, 801.0, Some(200), None);
        check(Item::No2Hour, 350.0, Some(115), Some(115));
        check(Item::Pm25, 35.5, Some(52), Some(52));
        check(Item::Pm25, 60.5, Some(100), Some(82));
        check(Item::CoDay, 2.09, Some(53), Some(53));
        check(Item::CoDay, 2.05, Some(50), Some(50));
        check(Item::CoHour, 65.4, Some(218), Some(218));
        check(Item::Pm25, 0.0, Some(0), Some(0));
        check(Item::Pm25, 1e9, Some(500), Some(500));
        check(Item::Pm25, 1e300, Some(500), Some(500));
        check(Item::Pm25, -1.0, None, None);
        check(Item::Pm25, f64::NAN, None, None);
        check(Item::Pm25, f64::INFINITY, None, None);
    }

    #[test]
    fn the_day_of_the_reading_picks_the_edition() {
        let check = |millis, expected| assert_eq!(Edition::at(Timestamp(millis)), expected, "{millis}");
        check(1_772_294_399_999, Edition::Hj2012);
        check(1_772_294_400_000, Edition::Hj2026);
        check(0, Edition::Hj2012);
    }

    #[test]
    fn categories() {
        let check = |index, grade, english| {
            let category = Category::of(index);
            assert_eq!((category.grade, category.english), (grade, english), "{index}");
        };
        check(0, 1, "excellent");
        check(50, 1, "excellent");
        check(51, 2, "good");
        check(101, 3, "lightly polluted");
        check(200, 4, "moderately polluted");
        check(201, 5, "heavily polluted");
        check(301, 6, "severely polluted");
        check(9999, 6, "severely polluted");
    }

    fn hour(start: i64, good: u32, mean: f64) -> Aggregate {
        Aggregate {
            subject: Subject::Device("a1".into()),
            area: Name::new("north"),
            quantity: Quantity::from_name("pm2_5"),
            window: Window::tumbling(Timestamp(start), Duration::from_secs(3600)),
            revision: 2,
            count: 60,
            good,
            sum: mean * f64::from(good),
            mean,
            min: 1.0,
            max: 200.0,
            as_of: Timestamp(start),
            is_backfill: true,
        }
    }

    #[test]
    fn an_hour_has_an_index() {
        const AFTER: i64 = 1_780_000_000_000;
        let rule = AirRule { min_good: 45, source: Name::default() };
        let index = |hour: &Aggregate| iaqi_of_hour(hour, &rule).map(|index| index.mean);
        assert_eq!(index(&hour(AFTER, 45, 60.5)), Some(100.0));
        assert_eq!(index(&hour(AFTER, 44, 60.5)), None);
        assert_eq!(index(&hour(1_760_000_000_000, 60, 60.5)), None);
        assert_eq!(
            index(&Aggregate { quantity: Quantity::from_name("pm10"), ..hour(AFTER, 60, 60.5) }),
            None
        );
        let minute = Window::tumbling(Timestamp(AFTER), Duration::from_secs(60));
        assert_eq!(index(&Aggregate { window: minute, ..hour(AFTER, 60, 60.5) }), None);

        let of = hour(AFTER, 50, 61.0);
        let derived = iaqi_of_hour(&of, &rule).unwrap();
        let expected = (101.0, 101.0, 101.0, 5050.0);
        assert_eq!((derived.mean, derived.min, derived.max, derived.sum), expected);
        let kept = (derived.window, derived.revision, derived.count, derived.good, derived.is_backfill);
        assert_eq!(kept, (of.window, 2, 60, 50, true));
        assert_eq!(derived.quantity.name(), "iaqi_pm2_5");
    }

    /// However small the minimum, an hour without a usable reading has no index.
    #[test]
    fn nothing_is_not_zero() {
        let rule = AirRule { min_good: 0, source: Name::default() };
        assert_eq!(iaqi_of_hour(&hour(1_780_000_000_000, 0, 0.0), &rule), None);
    }
}
