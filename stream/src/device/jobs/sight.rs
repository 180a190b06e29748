//! A message as the expressions of jobs see it.

use crate::device::pipeline::Whom;
use crate::rule::{AboutDevice, AboutReading, Concern, Input, JobRule, Places, SeenReading};

use records::{Body, ExactSum, Family, Flag, Observation, Quality, Quantity, Reading};

/// A message, and whose it is.
#[derive(Clone, Copy)]
pub struct Sight<'a> {
    /// Its quality has been judged.
    pub message: &'a Observation,
    /// Whose.
    pub whom: Whom<'a>,
    /// Where devices may be.
    pub places: &'a Places,
}

/// One reading of it, or what is made of several.
struct One<'a> {
    sight: &'a Sight<'a>,
    flag: Flag,
}

impl<'a> Sight<'a> {
    /// What it measured.
    pub fn readings(&self) -> Option<&'a [Reading]> {
        match &self.message.body {
            Body::Readings(readings) => Some(readings),
            _ => None,
        }
    }

    fn reading(&self, quantity: &Quantity) -> Option<&'a Reading> {
        let mut readings = self.readings()?.iter();
        readings.find(|reading| reading.quantity == *quantity && reading.quality.flag != Flag::Missing)
    }

    /// Whether a job takes a reading of that quality.
    pub fn is_taken(&self, flag: Flag, rule: &JobRule) -> bool {
        flag != Flag::Missing
            && match rule.concern(self.whom.family()) {
                Concern::None => false,
                Concern::All => true,
                Concern::Some(condition) => {
                    let about = &One { sight: self, flag };
                    condition.of(&SeenReading { about, quantities: &rule.quantities }) == Some(true)
                }
            }
    }

    /// How good a number is that is made of several readings: as the worst of them, with the tests of all. `None`
    /// when one of them is missing.
    pub fn quality(&self, input: &Input, rule: &JobRule) -> Option<Quality> {
        let qualities = input
            .quantities
            .iter()
            .map(|index| self.reading(&rule.quantities[*index]).map(|reading| reading.quality));
        qualities.reduce(|a, b| Some(a?.joined(b?)))?
    }

    /// What an input is; `None` when that can't be told, or can't be summed.
    pub fn value(&self, input: &Input, rule: &JobRule) -> Option<f64> {
        let about = &One { sight: self, flag: Flag::NotEvaluated };
        let value = input.value.of(&SeenReading { about, quantities: &rule.quantities })?;
        (value.abs() <= ExactSum::MOST).then_some(value)
    }
}

impl AboutReading for One<'_> {
    fn quantity(&self, quantity: &Quantity) -> Option<f64> {
        self.sight.reading(quantity).map(|reading| reading.value)
    }
    fn flag(&self) -> Flag {
        self.flag
    }
    fn place(&self) -> &str {
        self.sight.places.of(self.sight.whom.position(self.sight.message))
    }
}

impl AboutDevice for One<'_> {
    fn rank(&self) -> u32 {
        self.sight.whom.rank()
    }
    fn family(&self) -> Family {
        self.sight.whom.family()
    }
    fn area(&self) -> &str {
        AboutDevice::area(&self.sight.whom)
    }
    fn device(&self) -> &str {
        self.sight.whom.device()
    }
    fn label(&self) -> &str {
        self.sight.whom.label()
    }
}

impl AboutDevice for Whom<'_> {
    fn rank(&self) -> u32 {
        self.entry.map_or(0, |entry| entry.rank)
    }
    fn family(&self) -> Family {
        Whom::family(self)
    }
    fn area(&self) -> &str {
        self.entry.map_or("", |entry| &entry.area)
    }
    fn device(&self) -> &str {
        self.id
    }
    fn label(&self) -> &str {
        self.entry.map_or("", |entry| &entry.label)
    }
}
