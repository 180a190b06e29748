//! What a job's expressions may name: quantities and what is known of a device, and statistics of both.

use super::job::Input;
use crate::aggregate::{Function, Wants};
use crate::expression::{Call, Condition, Fault, Names, Number, Scope, Text, Typed, compile};
use records::{Family, Flag, Quantity};

/// A quantity among those that a job looks at begins here; before that are the other numbers.
const QUANTITIES: u32 = 1;
const RANK: u32 = 0;
const TEXTS: [&str; 6] = ["family", "area", "device", "label", "quality", "place"];
const FAMILY: u32 = 0;
const QUALITY: usize = 4;

/// What is known of one reading of one message of a device.
pub trait About: AboutDevice {
    /// The value of a quantity in the message.
    fn quantity(&self, quantity: &Quantity) -> Option<f64>;
    /// How good the reading is.
    fn flag(&self) -> Flag;
    /// The place of the rules file in which it is.
    fn place(&self) -> &str;
}

/// `about`, for expressions that name these quantities.
pub struct Seen<'a, A> {
    /// What they are about.
    pub about: &'a A,
    /// By number.
    pub quantities: &'a [Quantity],
}

impl<A: About> Scope for Seen<'_, A> {
    fn number(&self, variable: u32) -> Option<f64> {
        match variable.checked_sub(QUANTITIES) {
            Some(index) => self.about.quantity(self.quantities.get(index as usize)?),
            None => Some(f64::from(self.about.rank())),
        }
    }

    fn text(&self, variable: u32) -> Option<&str> {
        Some(match *TEXTS.get(variable as usize)? {
            "family" => self.about.family().name(),
            "area" => self.about.area(),
            "device" => self.about.device(),
            "label" => self.about.label(),
            "place" => self.about.place(),
            _ => quality_name(self.about.flag()),
        })
    }
}

/// The words of QARTOD.
fn quality_name(flag: Flag) -> &'static str {
    match flag {
        Flag::Good => "good",
        Flag::NotEvaluated => "not_evaluated",
        Flag::Suspect => "suspect",
        Flag::Bad => "bad",
        Flag::Missing => "missing",
    }
}

/// What is known of a device, whatever it says.
pub trait AboutDevice {
    /// Its place along its road or line.
    fn rank(&self) -> u32;
    /// What it is.
    fn family(&self) -> Family;
    /// Where it belongs.
    fn area(&self) -> &str;
    /// Its name.
    fn device(&self) -> &str;
    /// What people call it.
    fn label(&self) -> &str;
}

/// Knows a device and no reading of it.
struct OfDevice<'a, A>(&'a A);

impl<A: AboutDevice> Scope for OfDevice<'_, A> {
    fn number(&self, variable: u32) -> Option<f64> {
        (variable == RANK).then(|| f64::from(self.0.rank()))
    }
    fn text(&self, variable: u32) -> Option<&str> {
        match *TEXTS.get(variable as usize)? {
            "family" => Some(self.0.family().name()),
            "area" => Some(self.0.area()),
            "device" => Some(self.0.device()),
            "label" => Some(self.0.label()),
            _ => None,
        }
    }
}

/// What a condition says of all readings of a device, if that is known beforehand.
pub fn of_device(condition: &Condition, device: &impl AboutDevice) -> Option<bool> {
    condition.of(&OfDevice(device))
}

/// Knows the family of a device and nothing else.
struct OfFamily(Family);

impl Scope for OfFamily {
    fn number(&self, _: u32) -> Option<f64> {
        None
    }
    fn text(&self, variable: u32) -> Option<&str> {
        (variable == FAMILY).then(|| self.0.name())
    }
}

/// What a condition says of all devices of a family, if that is known beforehand.
pub fn of_family(condition: &Condition, family: Family) -> Option<bool> {
    condition.of(&OfFamily(family))
}

/// Names of a `where` and of what statistics are taken of. Gathers the quantities.
pub struct Readings<'q>(pub &'q mut Vec<Quantity>);

impl Names for Readings<'_> {
    fn variable(&mut self, name: &str) -> Option<Typed> {
        if let Some(index) = TEXTS.iter().position(|known| *known == name) {
            return Some(Typed::Text(Text::Variable(number(index))));
        }
        if name == "rank" {
            return Some(Typed::Number(Number::Variable(RANK)));
        }
        let quantity = Quantity::from_name(name);
        quantity.info()?;
        Some(Typed::Number(Number::Variable(QUANTITIES + place_of(self.0, quantity))))
    }

    fn call(&mut self, _: &str, _: &Call<'_>) -> Option<Result<Typed, Fault>> {
        None
    }
}

/// Names of a statistic of a window. Gathers what they are of.
pub struct Statistics<'q> {
    /// Quantities that are looked at.
    pub quantities: &'q mut Vec<Quantity>,
    /// What is kept.
    pub inputs: &'q mut Vec<Input>,
    /// The statistics of this output.
    pub called: Vec<(Function, usize)>,
}

impl Names for Statistics<'_> {
    fn variable(&mut self, _: &str) -> Option<Typed> {
        None
    }

    fn call(&mut self, name: &str, argument: &Call<'_>) -> Option<Result<Typed, Fault>> {
        let function = Function::from_name(name)?;
        Some(self.statistic(function, argument).map(Typed::Number))
    }
}

impl Statistics<'_> {
    fn statistic(&mut self, function: Function, argument: &Call<'_>) -> Result<Number, Fault> {
        let value = match argument.compile(&mut Readings(self.quantities))? {
            Typed::Number(value) => value,
            other => return Err(argument.fault(format!("must be a number, not {}", other.kind()))),
        };
        let mut input = Input { quantities: quantities_of(&value), value, wants: Wants::default() };
        if input.quantities.is_empty() {
            return Err(argument.fault("names no quantity"));
        }
        let known = self.inputs.iter().position(|known| known.value == input.value);
        let index = known.unwrap_or(self.inputs.len());
        match self.inputs.get_mut(index) {
            Some(known) => known.wants = known.wants.or(function.wants()),
            None => {
                input.wants = function.wants();
                self.inputs.push(input);
            }
        }
        let call = (function, index);
        Ok(Number::Variable(place_of(&mut self.called, call)))
    }
}

fn place_of<T: PartialEq>(known: &mut Vec<T>, new: T) -> u32 {
    let index = known.iter().position(|known| *known == new).unwrap_or_else(|| {
        known.push(new);
        known.len() - 1
    });
    number(index)
}

fn number(index: usize) -> u32 {
    u32::try_from(index).expect("an expression has few names")
}

/// The quantities that a number is made of: places among those that the job looks at.
fn quantities_of(value: &Number) -> Vec<usize> {
    let mut found = Vec::new();
    value.variables(&mut |variable| {
        if let Some(index) = variable.checked_sub(QUANTITIES) {
            found.push(index as usize);
        }
    });
    found.sort_unstable();
    found.dedup();
    found
}

/// Compiles a `where`.
pub fn read_condition(text: &str, quantities: &mut Vec<Quantity>) -> Result<Condition, Fault> {
    match compile(text, &mut Readings(quantities))? {
        Typed::Condition(condition) => Ok(condition),
        other => Err(Fault { at: 0, message: format!("must be true or false, not {}", other.kind()) }),
    }
}

/// Names of what may hold in a message as a whole: of its usable readings, so that there is no `quality` to ask for.
struct Happenings<'q>(Readings<'q>);

impl Names for Happenings<'_> {
    fn variable(&mut self, name: &str) -> Option<Typed> {
        (name != TEXTS[QUALITY]).then(|| self.0.variable(name))?
    }

    fn call(&mut self, name: &str, argument: &Call<'_>) -> Option<Result<Typed, Fault>> {
        self.0.call(name, argument)
    }
}

/// Compiles what may hold in a message.
pub fn read_happening(text: &str, quantities: &mut Vec<Quantity>) -> Result<Condition, Fault> {
    let fault = |message: String| Fault { at: 0, message };
    match compile(text, &mut Happenings(Readings(quantities)))? {
        Typed::Condition(_) if quantities.is_empty() => Err(fault("names no quantity".to_owned())),
        Typed::Condition(condition) => Ok(condition),
        other => Err(fault(format!("must be true or false, not {}", other.kind()))),
    }
}

/// Compiles what a job tells.
pub fn read_number(text: &str, names: &mut Statistics<'_>) -> Result<Number, Fault> {
    match compile(text, names)? {
        Typed::Number(_) if names.called.is_empty() => {
            Err(Fault { at: 0, message: "asks for no statistic, such as mean(pm2_5)".to_owned() })
        }
        Typed::Number(number) => Ok(number),
        other => Err(Fault { at: 0, message: format!("must be a number, not {}", other.kind()) }),
    }
}
