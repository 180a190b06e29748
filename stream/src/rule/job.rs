//! A job that a user defines: statistics of a family's devices over windows of their own.

use super::calendar::{Calendar, CalendarUnit};
use super::fields::Fields;
use super::windowing::Windowing;
use crate::aggregate::{Function, Wants};
use jiff::civil::Time;
use jiff::tz::TimeZone;
use records::{Family, Name, Quantity};
use std::time::Duration;

/// A `[[job]]` of the rules file.
#[derive(Clone, Debug, PartialEq)]
pub struct JobRule {
    /// Its name in problems.
    pub id: Name,
    /// Devices it is about.
    pub family: Family,
    /// How event time is divided.
    pub windowing: Windowing,
    /// An open window is told as it stands each time its device has come this much further.
    pub early: Option<Duration>,
    /// What it looks at; no quantity twice.
    pub inputs: Vec<Input>,
    /// What it tells.
    pub outputs: Vec<Output>,
}

/// A quantity that a job looks at.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// Which.
    pub quantity: Quantity,
    /// What must be kept of it.
    pub wants: Wants,
}

/// A statistic that a job tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// The quantity under which its rows stand.
    pub name: Quantity,
    /// What is asked.
    pub function: Function,
    /// Of which input.
    pub input: usize,
}

/// Most panes of a hopping window: what is kept of a device is that many times what a tumbling window keeps.
const MAX_PANES: u128 = 360;
const UNITS: &[(&str, CalendarUnit)] =
    &[("hour", CalendarUnit::Hour), ("day", CalendarUnit::Day), ("month", CalendarUnit::Month)];

impl JobRule {
    pub(super) fn read(mut fields: Fields<'_>) -> JobRule {
        let families = Family::ALL.map(|family| (family.name(), family));
        let windowing = read_windowing(fields.table("window"));
        let early = fields.has("early_s").then(|| fields.positive_seconds("early_s"));
        if early.is_some() && matches!(windowing, Windowing::Session(_) | Windowing::Count(_)) {
            fields.problem("early_s", "needs windows whose end is known: tumbling, hopping or calendar");
        }
        let (inputs, outputs) = read_select(fields.table("select"));
        let rule = JobRule {
            id: fields.text("id").into(),
            family: fields.choice("family", &families),
            windowing,
            early,
            inputs,
            outputs,
        };
        fields.finish();
        rule
    }
}

fn read_windowing(mut fields: Fields<'_>) -> Windowing {
    let kinds = ["tumbling_s", "hopping_s", "session_s", "count", "calendar"];
    let found: Vec<&str> = kinds.into_iter().filter(|kind| fields.has(kind)).collect();
    let windowing = match found.as_slice() {
        ["tumbling_s"] => Windowing::Tumbling(fields.positive_seconds("tumbling_s")),
        ["hopping_s"] => read_hopping(&mut fields),
        ["session_s"] => Windowing::Session(fields.positive_seconds("session_s")),
        ["count"] => Windowing::Count(fields.whole("count", 1)),
        ["calendar"] => Windowing::Calendar(read_calendar(&mut fields)),
        _ => {
            fields.problem("", format!("must have one of {}", kinds.join(", ")));
            return Windowing::Count(1);
        }
    };
    fields.finish();
    windowing
}

fn read_hopping(fields: &mut Fields<'_>) -> Windowing {
    let (size, every) = (fields.positive_seconds("hopping_s"), fields.positive_seconds("every_s"));
    let (long, short) = (size.as_millis(), every.as_millis().max(1));
    if !every.is_zero() && (long % short != 0 || long / short > MAX_PANES) {
        fields.problem("hopping_s", format!("must be a whole number of every_s, at most {MAX_PANES}"));
    }
    Windowing::Hopping { size, every }
}

fn read_calendar(fields: &mut Fields<'_>) -> Calendar {
    let unit = fields.choice("calendar", UNITS);
    let name = fields.text("zone");
    let zone = TimeZone::get(&name).unwrap_or_else(|_| {
        if !name.is_empty() {
            fields.problem("zone", format!("`{name}` is no time zone; they look like Asia/Shanghai"));
        }
        TimeZone::UTC
    });
    let mut day_start = Time::midnight();
    if fields.has("day_start") {
        let text = fields.text("day_start");
        match text.parse() {
            Ok(time) if text.len() == 5 && unit != CalendarUnit::Hour => day_start = time,
            Ok(_) if unit == CalendarUnit::Hour => fields.problem("day_start", "is for days and months"),
            _ => fields.problem("day_start", format!("`{text}` is no time of day such as 20:00")),
        }
    }
    Calendar { unit, zone, day_start }
}

fn read_select(mut fields: Fields<'_>) -> (Vec<Input>, Vec<Output>) {
    let (mut inputs, mut outputs) = (Vec::<Input>::new(), Vec::new());
    for (name, text) in fields.texts() {
        let is_name = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        let output = Quantity::from_name(&name);
        if output.info().is_some() || !name.bytes().all(is_name) {
            fields.problem(
                &name,
                "may hold lower-case letters, digits and `_`, and be no quantity of the registry",
            );
        }
        let Some((function, quantity)) = read_call(&name, &text, &fields) else { continue };
        let input = inputs.iter().position(|input| input.quantity == quantity).unwrap_or_else(|| {
            inputs.push(Input { quantity, wants: Wants::default() });
            inputs.len() - 1
        });
        inputs[input].wants = inputs[input].wants.or(function.wants());
        outputs.push(Output { name: output, function, input });
    }
    if outputs.is_empty() {
        fields.problem("", "must select something, such as { pm2_5_mean = \"mean(pm2_5)\" }");
    }
    fields.finish();
    (inputs, outputs)
}

/// `function(quantity)`.
fn read_call(key: &str, text: &str, fields: &Fields<'_>) -> Option<(Function, Quantity)> {
    let call = text.trim().strip_suffix(')').and_then(|call| call.split_once('('));
    let Some((function, quantity)) = call.map(|(function, quantity)| (function.trim(), quantity.trim()))
    else {
        fields.problem(key, format!("`{text}` is not of the form function(quantity)"));
        return None;
    };
    let found = (Function::from_name(function), Quantity::from_name(quantity));
    if found.0.is_none() {
        fields.problem(key, format!("`{function}` is none of {}", Function::names()));
    }
    if found.1.info().is_none() {
        fields.problem(key, format!("`{quantity}` is not in the registry"));
    }
    Some((found.0?, found.1))
}
