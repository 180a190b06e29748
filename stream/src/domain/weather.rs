//! Rain over the past three hours, minute by minute.
//!
//! Guangdong's rainstorm levels look at the rain of the past 3 h *and* at whether it continues, so both are here.

use crate::rule::RainRule;
use minicbor::{Decode, Encode};
use records::{Aggregate, Quantity, Timestamp, Window};
use std::collections::VecDeque;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const SPAN: Duration = Duration::from_secs(3 * 3600);

/// The trailing sum of one rain gauge.
///
/// State is bounded by the minutes of three hours: one row each, and only for minutes that spoke.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub struct RainSum {
    /// In order of time.
    #[n(0)]
    minutes: VecDeque<Minute>,
    /// Revision of the newest sum that was given out.
    #[n(1)]
    revision: u32,
    /// That sum was more than 0.
    #[n(2)]
    is_raining: bool,
}

/// What a minute brought.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
struct Minute {
    #[cbor(n(0), with = "crate::cbor")]
    end: Timestamp,
    /// Millionths of a millimetre: whole numbers, whose sum is exact and the same in every order.
    #[n(1)]
    micro: u64,
    #[n(2)]
    is_good: bool,
}

/// The rain of the three hours up to the end of a minute.
#[derive(Clone, Debug, PartialEq)]
pub struct Rain {
    /// As a derived aggregate `rainfall_3h` in the window of the minute that ends the three hours. Its count is the
    /// number of those 180 minutes that are known, good the number of those with a usable reading.
    pub sum: Aggregate,
    /// It rained within the rule's last minutes.
    pub is_continuing: bool,
    /// Whether the sum says something: there is rain in it, or there was in the one before. A rule wants to know of
    /// every minute all the same, for its hold.
    pub is_news: bool,
}

impl RainSum {
    /// Takes a closed minute of `rainfall` and gives the sum as it is now.
    ///
    /// Minutes may be missing (they count as dry). A minute that comes again or late replaces what was known of it
    /// and gives a revision of the newest sum, the one that decides; older sums keep what was known when they were
    /// given out. A minute of more than three hours ago changes nothing. Other windows and quantities are ignored.
    pub fn observe(&mut self, minute: &Aggregate, rule: &RainRule) -> Option<Rain> {
        let is_rain = minute.quantity == Quantity::from_name("rainfall");
        if !is_rain || minute.window.end.since(minute.window.start) != MINUTE {
            return None;
        }
        let newest = self.minutes.back().map(|newest| newest.end);
        if newest.is_some_and(|newest| minute.window.end <= newest - SPAN) {
            return None;
        }
        let is_newer = newest.is_none_or(|newest| newest < minute.window.end);
        self.put(minute);
        self.revision = if is_newer { 0 } else { self.revision.saturating_add(1) };
        let rain = self.now(minute, rule)?;
        let was_raining = std::mem::replace(&mut self.is_raining, rain.sum.mean > 0.0);
        Some(Rain { is_news: self.is_raining || was_raining, ..rain })
    }

    fn put(&mut self, minute: &Aggregate) {
        let is_good = minute.good > 0;
        let row =
            Minute { end: minute.window.end, micro: if is_good { micro(minute.sum) } else { 0 }, is_good };
        match self.minutes.binary_search_by_key(&row.end, |minute| minute.end) {
            Ok(index) => self.minutes[index] = row,
            Err(index) => self.minutes.insert(index, row),
        }
        let newest = self.minutes.back().map_or(minute.window.end, |newest| newest.end);
        while self.minutes.front().is_some_and(|oldest| oldest.end <= newest - SPAN) {
            self.minutes.pop_front();
        }
    }

    fn now(&self, minute: &Aggregate, rule: &RainRule) -> Option<Rain> {
        let newest = self.minutes.back()?.end;
        let total = self.minutes.iter().fold(0u64, |total, minute| total.saturating_add(minute.micro));
        let is_continuing = |minute: &Minute| minute.micro > 0 && minute.end > newest - rule.continuing;
        let value = total as f64 / 1e6;
        let good = self.minutes.iter().filter(|minute| minute.is_good).count();
        let sum = Aggregate {
            quantity: Quantity::from_name("rainfall_3h"),
            window: Window { start: newest - MINUTE, end: newest },
            revision: self.revision,
            count: u32::try_from(self.minutes.len()).unwrap_or(u32::MAX),
            good: u32::try_from(good).unwrap_or(u32::MAX),
            sum: value * good as f64,
            mean: value,
            min: value,
            max: value,
            ..minute.clone()
        };
        Some(Rain { sum, is_continuing: self.minutes.iter().any(is_continuing), is_news: true })
    }
}

/// Millionths of a millimetre. Rain is not negative, and no minute brings a metre.
fn micro(millimetres: f64) -> u64 {
    (millimetres.clamp(0.0, 1000.0) * 1e6).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::{Name, Subject};

    fn minute(at: i64, rain: f64) -> Aggregate {
        Aggregate {
            subject: Subject::Device("w1".into()),
            area: Name::new("north"),
            quantity: Quantity::from_name("rainfall"),
            window: Window { start: Timestamp((at - 1) * 60_000), end: Timestamp(at * 60_000) },
            revision: 0,
            count: 6,
            good: 6,
            sum: rain,
            mean: rain / 6.0,
            min: 0.0,
            max: rain,
            as_of: Timestamp(at * 60_000),
            is_backfill: false,
        }
    }

    fn rule() -> RainRule {
        RainRule { continuing: Duration::from_secs(600), source: Name::default() }
    }

    /// `rows`: `minute:rain`; what comes out: `minute:sum`, then `.revision` when there is one, then `!` while it
    /// continues.
    fn run(rows: &str) -> String {
        let mut sum = RainSum::default();
        let mut out = Vec::new();
        for row in rows.split_whitespace() {
            let (at, rain) = row.split_once(':').unwrap();
            sum = minicbor::decode(&minicbor::to_vec(&sum).unwrap()).unwrap();
            let Some(rain) = sum.observe(&minute(at.parse().unwrap(), rain.parse().unwrap()), &rule()) else {
                continue;
            };
            if !rain.is_news {
                assert_eq!((rain.sum.mean, rain.is_continuing), (0.0, false));
                continue;
            }
            let at = rain.sum.window.end.0 / 60_000;
            let revision =
                if rain.sum.revision > 0 { format!(".{}", rain.sum.revision) } else { String::new() };
            out.push(format!(
                "{at}:{}{revision}{}",
                rain.sum.mean,
                if rain.is_continuing { "!" } else { "" }
            ));
        }
        out.join(" ")
    }

    #[test]
    fn sums_by_hand() {
        let check = |rows: &str, expected: &str| assert_eq!(run(rows), expected, "{rows}");
        check("1:0 2:0", "");
        check("1:0 2:0.1 3:0.2 4:0", "2:0.1! 3:0.3! 4:0.3!");
        // Ten minutes without rain: it does not continue. The minute that ends ten minutes ago is out.
        check("1:5 10:0 11:0", "1:5! 10:5! 11:5");
        // A minute falls out of three hours 180 minutes later, and the 0 is said once.
        check("1:5 180:0 181:0 182:0", "1:5! 180:5 181:0");
        check("1:5 900:0 901:0", "1:5! 900:0");
        check("1:5 2:3 181:1 182:0", "1:5! 2:8! 181:4! 182:1!");
        // Again: replaces. Late: changes the newest. Too late: nothing.
        check("1:5 1:6 2:1", "1:5! 1:6.1! 2:7!");
        check("1:5 5:1 3:2 3:4 6:0", "1:5! 5:6! 5:8.1! 5:10.2! 6:10!");
        check("200:1 20:50 21:50", "200:1! 200:51.1!");
        // A correction can take the rain away, too.
        check("1:5 1:0 1:0", "1:5! 1:0.1");
        check("1:-5 2:NaN", "");
    }

    /// In binary, five hundred tenths do not make fifty.
    #[test]
    fn five_hundred_tenths_are_fifty() {
        let rows: Vec<_> =
            (1..=180).map(|at| format!("{at}:{}", if at <= 160 { 0.3 } else { 0.1 })).collect();
        assert_eq!(run(&rows.join(" ")).split(' ').next_back(), Some("180:50!"));
        assert_ne!((1..=180).fold(0.0, |sum, at| sum + if at <= 160 { 0.3 } else { 0.1 }), 50.0);
    }

    #[test]
    fn counts_what_is_known() {
        let mut sum = RainSum::default();
        for at in 1..=400 {
            let blind = Aggregate { good: 0, sum: 0.0, ..minute(at, 1.0) };
            sum.observe(&if at % 2 == 0 { blind } else { minute(at, 1.0) }, &rule());
        }
        assert_eq!(sum.minutes.len(), 180);
        let rain = sum.observe(&minute(402, 1.0), &rule()).unwrap().sum;
        assert_eq!((rain.count, rain.good, rain.mean, rain.sum), (179, 90, 90.0, 8100.0));
    }

    #[test]
    fn other_rows_are_ignored() {
        let mut sum = RainSum::default();
        let hour = Window::tumbling(Timestamp(0), SPAN);
        assert_eq!(sum.observe(&Aggregate { window: hour, ..minute(1, 9.0) }, &rule()), None);
        let other = Aggregate { quantity: Quantity::from_name("gust"), ..minute(1, 9.0) };
        assert_eq!(sum.observe(&other, &rule()), None);
        assert_eq!(sum, RainSum::default());
    }
}
