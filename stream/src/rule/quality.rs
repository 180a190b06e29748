//! What the tests of quality expect of a quantity: the limits of a `[[quality]]` table, and those of a site.
//!
//! The tests are those of IOOS QARTOD (manual for temperature and salinity, tests 1 and 4 to 8); the limits never are:
//! the manuals leave them to whoever knows the place.

use super::fields::Fields;
use super::threshold::read_source;
use jiff::tz::Offset;
use records::{Family, Limit, LimitKind, Name, Quantity, Timestamp};
use std::time::Duration;

/// Limits of one quantity of a family. What is absent is not tested.
#[derive(Clone, Debug, PartialEq)]
pub struct QualityRule {
    /// Devices it is about.
    pub family: Family,
    /// Of the registry.
    pub quantity: Quantity,
    /// Outside suspect. What no instrument can say is bad, by the registry of quantities.
    pub range: Range,
    /// Outside suspect, in some months.
    pub seasons: Vec<Season>,
    /// How far local time, by which months are counted, is ahead of UTC, ms.
    pub utc_offset: i64,
    /// A jump that is taken back at once.
    pub spike: Option<Spike>,
    /// A change by more than this per minute is suspect.
    pub rate_per_minute: Option<f64>,
    /// A value that stays where it is.
    pub flat: Option<Flat>,
    /// A silence of the quantity longer than this is noted.
    pub gap: Option<Duration>,
    /// Where the limits come from.
    pub source: Name,
}

/// From and to, both inside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range(pub f64, pub f64);

/// Limits in some months.
#[derive(Clone, Debug, PartialEq)]
pub struct Season {
    /// Months, bit 1 to 12.
    pub months: u16,
    /// Outside suspect.
    pub range: Range,
}

/// How high a value may stand out from those before and behind it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spike {
    /// More is suspect.
    pub suspect: f64,
    /// More is bad.
    pub bad: f64,
    /// How long a jump waits for the next value, ingest time.
    pub wait: Duration,
}

/// How long a value may stay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flat {
    /// Values this close together are one.
    pub within: f64,
    /// Longer is suspect.
    pub suspect: Duration,
    /// Longer is bad.
    pub bad: Duration,
}

impl Range {
    const ANY: Range = Range(f64::NEG_INFINITY, f64::INFINITY);

    /// Whether a value is inside.
    pub fn holds(self, value: f64) -> bool {
        self.0 <= value && value <= self.1
    }
}

/// A jump waits this long where nobody has said.
pub(super) const WAIT: Duration = Duration::from_secs(120);

impl QualityRule {
    /// A rule that tests nothing.
    fn none(family: Family, quantity: Quantity) -> QualityRule {
        QualityRule {
            family,
            quantity,
            range: Range::ANY,
            seasons: Vec::new(),
            utc_offset: 0,
            spike: None,
            rate_per_minute: None,
            flat: None,
            gap: None,
            source: Name::default(),
        }
    }

    /// Whether a value is one that may be expected at that time.
    pub fn expects(&self, value: f64, at: Timestamp) -> bool {
        let is_in_season = |season: &Season| {
            season.range.holds(value) || season.months & 1 << month(at.0.saturating_add(self.utc_offset)) == 0
        };
        self.range.holds(value) && self.seasons.iter().all(is_in_season)
    }

    /// Whether it looks at more than one value.
    pub fn depends_on_order(&self) -> bool {
        self.spike.is_some() || self.rate_per_minute.is_some() || self.flat.is_some() || self.gap.is_some()
    }

    pub(super) fn read(mut fields: Fields<'_>) -> QualityRule {
        let families = Family::ALL.map(|family| (family.name(), family));
        let family = fields.choice("family", &families);
        let name = fields.text("quantity");
        let quantity = Quantity::from_name(&name);
        if quantity.info().is_none() && !name.is_empty() {
            fields.problem("quantity", format!("`{name}` is not in the registry"));
        }
        let mut rule = QualityRule::none(family, quantity);
        if fields.has("range") {
            rule.range = read_range(&mut fields, "range");
        }
        if fields.has("utc_offset_h") {
            rule.utc_offset = (fields.number("utc_offset_h").clamp(-14.0, 14.0) * 3_600_000.0) as i64;
        }
        rule.seasons = fields.tables("season").into_iter().map(read_season).collect();
        rule.spike = fields.has("spike").then(|| read_spike(fields.table("spike")));
        rule.rate_per_minute =
            fields.has("rate_per_minute").then(|| read_positive(&mut fields, "rate_per_minute"));
        rule.flat = fields.has("flat").then(|| read_flat(fields.table("flat")));
        rule.gap = fields.has("gap_s").then(|| fields.positive_seconds("gap_s"));
        rule.source = read_source(&mut fields);
        fields.finish();
        rule
    }

    /// The rules of a site: those of its family, with the limits that the registry has for the device.
    pub fn of_site<'r>(
        family: Family,
        limits: &[Limit],
        of_family: impl Fn(&Quantity) -> Option<&'r QualityRule>,
    ) -> Vec<QualityRule> {
        let mut rules: Vec<QualityRule> = Vec::new();
        for limit in limits {
            let index = rules.iter().position(|rule| rule.quantity == limit.quantity).unwrap_or_else(|| {
                let rule = of_family(&limit.quantity).cloned();
                rules.push(rule.unwrap_or_else(|| QualityRule::none(family, limit.quantity.clone())));
                rules.len() - 1
            });
            rules[index].set(limit);
        }
        rules
    }

    fn set(&mut self, limit: &Limit) {
        let value = limit.value;
        let seconds = || Duration::from_millis((value.clamp(0.001, 3e8) * 1000.0) as u64);
        let spike = self.spike.unwrap_or(Spike { suspect: f64::INFINITY, bad: f64::INFINITY, wait: WAIT });
        let flat = Flat { within: 0.0, suspect: Duration::MAX, bad: Duration::MAX };
        let flat = self.flat.unwrap_or(flat);
        match limit.kind {
            LimitKind::Least => self.range.0 = value,
            LimitKind::Most => self.range.1 = value,
            LimitKind::SpikeSuspect => self.spike = Some(Spike { suspect: value, ..spike }),
            LimitKind::SpikeBad => self.spike = Some(Spike { bad: value, ..spike }),
            LimitKind::RatePerMinute => self.rate_per_minute = Some(value),
            LimitKind::FlatWithin => self.flat = Some(Flat { within: value, ..flat }),
            LimitKind::FlatSuspectSeconds => self.flat = Some(Flat { suspect: seconds(), ..flat }),
            LimitKind::FlatBadSeconds => self.flat = Some(Flat { bad: seconds(), ..flat }),
            LimitKind::GapSeconds => self.gap = Some(seconds()),
        }
        // A site that expects a value at all expects it in every month.
        if matches!(limit.kind, LimitKind::Least | LimitKind::Most) {
            self.seasons.clear();
        }
    }
}

fn read_range(fields: &mut Fields<'_>, key: &str) -> Range {
    let (least, most) = fields.pair(key);
    if least > most {
        fields.problem(key, "must not fall");
    }
    Range(least, most)
}

fn read_season(mut fields: Fields<'_>) -> Season {
    let months = fields.months("months");
    let season = Season { months, range: read_range(&mut fields, "range") };
    fields.finish();
    season
}

fn read_spike(mut fields: Fields<'_>) -> Spike {
    let (suspect, bad) = (read_positive(&mut fields, "suspect"), read_positive(&mut fields, "bad"));
    if bad < suspect {
        fields.problem("bad", "must not be less than `suspect`");
    }
    let wait = if fields.has("wait_s") { fields.positive_seconds("wait_s") } else { WAIT };
    fields.finish();
    Spike { suspect, bad, wait }
}

fn read_flat(mut fields: Fields<'_>) -> Flat {
    let within = fields.number("within");
    if within < 0.0 {
        fields.problem("within", "must be 0 or more");
    }
    let (suspect, bad) = (fields.positive_seconds("suspect_s"), fields.positive_seconds("bad_s"));
    if bad < suspect {
        fields.problem("bad_s", "must not be less than suspect_s");
    }
    fields.finish();
    Flat { within, suspect, bad }
}

fn read_positive(fields: &mut Fields<'_>, key: &str) -> f64 {
    let number = fields.number(key);
    if number <= 0.0 {
        fields.problem(key, "must be more than 0");
    }
    number
}

/// The month of an instant, 1 to 12; 0, which is in no season, of one that no calendar has.
fn month(millis: i64) -> u32 {
    let month = |at| Offset::UTC.to_datetime(at).month().unsigned_abs().into();
    jiff::Timestamp::from_millisecond(millis).map_or(0, month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_those_of_the_calendar() {
        for days in (-1_000_000..1_000_000).step_by(7) {
            let millis = days * 86_400_000;
            let Ok(at) = jiff::Timestamp::from_millisecond(millis) else { continue };
            let expected = jiff::tz::TimeZone::UTC.to_datetime(at).month();
            assert_eq!(month(millis), u32::from(expected.unsigned_abs()), "{days}");
        }
        month(i64::MIN);
        month(i64::MAX);
    }

    #[test]
    fn a_site_has_limits_of_its_own() {
        let limit = |kind, value| Limit { quantity: Quantity::from_name("ph"), kind, value };
        let mut family = QualityRule::none(Family::Water, Quantity::from_name("ph"));
        family.range = Range(6.0, 9.0);
        family.seasons = vec![Season { months: 1 << 7, range: Range(7.0, 8.0) }];
        family.rate_per_minute = Some(1.0);
        let limits = [limit(LimitKind::Most, 12.0), limit(LimitKind::GapSeconds, 60.0)];
        let rules = QualityRule::of_site(Family::Water, &limits, |_| Some(&family));
        let [rule] = &rules[..] else { panic!("{rules:?}") };
        assert_eq!((rule.range, rule.seasons.len()), (Range(6.0, 12.0), 0));
        assert_eq!((rule.rate_per_minute, rule.gap), (Some(1.0), Some(Duration::from_secs(60))));
        let rules = QualityRule::of_site(Family::Water, &limits, |_| None);
        assert_eq!(rules[0].range, Range(f64::NEG_INFINITY, 12.0));
    }
}
