//! A rule on how many devices of an area are beyond a limit: "30 % of stations above".

use super::fields::Fields;
use super::job::JobRule;
use super::template::Word;
use super::threshold::{Direction, Kind, ThresholdRule, read_family, read_use_case};
use crate::aggregate::{Accumulator, Function};
use records::{Name, UseCase};

/// An `[[area_share]]` of the rules file.
#[derive(Clone, Debug, PartialEq)]
pub struct AreaShareRule {
    /// The alert, on the share of devices in per cent.
    pub alert: ThresholdRule,
    /// Which side of the limit counts.
    pub beyond: Direction,
    /// A device whose mean of the window is at this or beyond counts.
    pub limit: f64,
    /// Fewer devices with a usable value say nothing about the area.
    pub min_devices: u32,
    /// The roll-up whose windows it looks at, under the rule's own id. It tells nothing.
    pub job: JobRule,
}

impl AreaShareRule {
    pub(super) fn read(mut fields: Fields<'_>) -> AreaShareRule {
        let kind = Kind {
            use_case: UseCase::Environment,
            family: records::Family::Other,
            quantity: "area_share",
            words: &[Word::Devices],
            has_holds: true,
        };
        let alert = ThresholdRule::read_of_kind(&mut fields, &kind);
        let alert =
            ThresholdRule { use_case: read_use_case(&mut fields), family: read_family(&mut fields), ..alert };
        let rule = AreaShareRule {
            beyond: fields.choice("beyond", &[("above", Direction::Above), ("below", Direction::Below)]),
            limit: fields.number("limit"),
            min_devices: fields.whole("min_devices", 1),
            job: JobRule::of_area(&mut fields, alert.id.clone(), alert.family),
            alert,
        };
        rule.alert.validate(&fields);
        if rule.alert.levels.iter().any(|level| !(0.0..=100.0).contains(&level.open) || level.open == 0.0) {
            fields
                .problem("levels", "are per cent of devices, so `open` must be more than 0 and at most 100");
        }
        fields.finish();
        rule
    }

    /// How many devices have a usable value, and how many of them are beyond the limit; `None` when they are too few.
    pub fn count(&self, parts: &[(Name, Vec<Accumulator>)]) -> Option<(u32, u32)> {
        let means = parts.iter().filter_map(|(_, values)| Function::Mean.of(values.first()?));
        let (mut known, mut beyond) = (0, 0);
        for mean in means {
            known += 1;
            beyond += u32::from(self.beyond.reaches(mean, self.limit));
        }
        (known >= self.min_devices).then_some((known, beyond))
    }
}
