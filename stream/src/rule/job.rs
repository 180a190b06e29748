//! A job that a user defines: statistics of devices over windows of their own.

use super::calendar::{Calendar, CalendarUnit};
use super::chain::{self, Source};
use super::fields::Fields;
use super::neighbours::NeighbourTest;
use super::rank::Rank;
use super::select::{AboutDevice, Statistics, of_device, of_family, read_condition, read_number};
use super::threshold::read_quantity;
use super::windowing::Windowing;
use crate::aggregate::{Function, Wants};
use crate::expression::{Condition, Number};
use jiff::civil::Time;
use jiff::tz::TimeZone;
use records::{Family, Name, Quantity};
use std::time::Duration;

/// A `[[job]]` of the rules file.
#[derive(Clone, Debug, PartialEq)]
pub struct JobRule {
    /// Its name in problems.
    pub id: Name,
    /// Tells it from other definitions under that name; never 0.
    pub definition: u64,
    /// Whose windows it reads instead of readings.
    pub source: Option<Source>,
    /// Jobs that read its windows: places among the jobs, all behind its own.
    pub readers: Vec<usize>,
    /// Which readings it is about, by family; none when it reads windows.
    concerns: [Concern; Family::ALL.len()],
    /// How event time of a device is divided; into panes of the area's windows when there is an area.
    pub windowing: Windowing,
    /// When it is a roll-up: what becomes of its devices' panes.
    pub area: Option<AreaRule>,
    /// An open window is told as it stands each time its device has come this much further.
    pub early: Option<Duration>,
    /// How long a value stands when no other follows, for means over time.
    pub hold: Option<Duration>,
    /// The quantities that its expressions name.
    pub quantities: Vec<Quantity>,
    /// What it keeps statistics of; no two are alike.
    pub inputs: Vec<Input>,
    /// What it tells.
    pub outputs: Vec<Output>,
}

/// A roll-up: a job over all devices of an area together.
#[derive(Clone, Debug, PartialEq)]
pub struct AreaRule {
    /// How event time of the area is divided: tumbling, hopping or calendar.
    pub windowing: Windowing,
    /// How long a window waits for devices after its end, ingest time.
    pub wait: Duration,
    /// How long after its end a window takes what devices bring, ingest time.
    pub allowed_lateness: Duration,
    /// Tells devices that stand out, instead of the area.
    pub rank: Option<Rank>,
    /// Leaves out devices that differ from the others.
    pub neighbours: Option<NeighbourTest>,
}

/// What a job makes of devices of a family.
#[derive(Clone, Debug, PartialEq)]
pub enum Concern {
    /// It is not about them.
    None,
    /// It takes every reading.
    All,
    /// It takes readings of which this holds.
    Some(Condition),
}

/// A number of each message that a job keeps statistics of.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// How it is computed.
    pub value: Number,
    /// What it is made of: places among the job's quantities.
    pub quantities: Vec<usize>,
    /// What must be kept of it.
    pub wants: Wants,
}

/// A statistic that a job tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// The quantity under which its rows stand.
    pub name: Quantity,
    /// What is asked, and of which input.
    pub statistics: Vec<(Function, usize)>,
    /// What is computed from these.
    pub value: Number,
}

/// Most panes of a hopping window: what is kept of a device is that many times what a tumbling window keeps.
const MAX_PANES: u128 = 360;
const UNITS: &[(&str, CalendarUnit)] =
    &[("hour", CalendarUnit::Hour), ("day", CalendarUnit::Day), ("month", CalendarUnit::Month)];

impl JobRule {
    /// Reads a job; `before`: those that stand before it.
    pub(super) fn read(mut fields: Fields<'_>, before: &mut [JobRule]) -> JobRule {
        let definition = fields.fingerprint().max(1);
        let from = [("observations", false), ("aggregates", true)];
        let is_chained = fields.has("from") && fields.choice("from", &from);
        if fields.has("into") {
            fields.choice("into", &[("aggregates", ())]);
        }
        let source = if is_chained { chain::find(&mut fields, before) } else { None };
        let windowing = read_windowing(fields.table("window"));
        let area = read_key(&mut fields).then(|| {
            let rank = Rank::read(&mut fields);
            AreaRule { rank, ..AreaRule::read(&mut fields, &windowing) }
        });
        let windowing = area.as_ref().map_or(windowing, AreaRule::pane);
        let early = read_early(&mut fields, &windowing, area.is_some());
        // In the order of the job that is read, so that what is alike has the same form.
        let mut quantities = source.map_or_else(Vec::new, |source| before[source].quantities.clone());
        let concerns = match is_chained {
            true => [const { Concern::None }; Family::ALL.len()],
            false => read_where(&mut fields, &mut quantities),
        };
        let (mut inputs, outputs) = read_select(fields.table("select"), &mut quantities);
        let neighbours = read_neighbours(&mut fields, &mut quantities, &mut inputs);
        if neighbours.is_some() && area.is_none() {
            fields.problem("neighbours", "are for a job about areas");
        }
        let area = area.map(|area| AreaRule { neighbours, ..area });
        let hold = if is_chained { None } else { read_hold(&mut fields, &inputs, &windowing) };
        let (id, readers) = (fields.text("id").into(), Vec::new());
        let mut job = JobRule {
            id,
            definition,
            source: None,
            readers,
            concerns,
            windowing,
            area,
            early,
            hold,
            quantities,
            inputs,
            outputs,
        };
        job.source = source.map(|source| chain::join(&fields, source, &job, before));
        fields.finish();
        job
    }

    /// A roll-up of the mean of one quantity of one family that tells nothing: a rule looks at it.
    pub(super) fn of_area(fields: &mut Fields<'_>, id: Name, family: Family) -> JobRule {
        let definition = fields.fingerprint().max(1);
        let windowing = read_windowing(fields.table("window"));
        let area = AreaRule::read(fields, &windowing);
        let concerns = Family::ALL.map(|known| if known == family { Concern::All } else { Concern::None });
        let quantity = read_quantity(fields);
        let (mut quantities, mut inputs) = (Vec::new(), Vec::new());
        let mut names = Statistics { quantities: &mut quantities, inputs: &mut inputs, called: Vec::new() };
        if quantity.info().is_some() {
            read_number(&format!("mean({})", quantity.name()), &mut names).expect("a quantity has a mean");
        }
        let windowing = area.pane();
        JobRule {
            id,
            source: None,
            readers: Vec::new(),
            definition,
            concerns,
            windowing,
            area: Some(area),
            early: None,
            hold: None,
            quantities,
            inputs,
            outputs: Vec::new(),
        }
    }

    /// What it makes of devices of a family.
    pub fn concern(&self, family: Family) -> &Concern {
        &self.concerns[family as usize]
    }

    /// Whether it tells of a window what it keeps of it, and no more.
    pub fn is_told_as_kept(&self) -> bool {
        self.hold.is_none() && self.source.is_none()
    }

    /// Whether it may be about readings of a device.
    pub fn may_concern(&self, device: &impl AboutDevice) -> bool {
        match self.concern(device.family()) {
            Concern::None => false,
            Concern::All => true,
            Concern::Some(condition) => of_device(condition, device) != Some(false),
        }
    }
}

impl Input {
    /// The quantity that it is, when it is one as it stands: a place among the job's quantities.
    pub fn plain(&self) -> Option<usize> {
        match (&self.value, self.quantities.as_slice()) {
            (Number::Variable(_), [one]) => Some(*one),
            _ => None,
        }
    }
}

fn read_early(fields: &mut Fields<'_>, windowing: &Windowing, is_about_areas: bool) -> Option<Duration> {
    let early = fields.has("early").then(|| fields.positive_duration("early"))?;
    if matches!(windowing, Windowing::Session(_) | Windowing::Count(_)) {
        fields.problem("early", "needs windows whose end is known: tumbling, hopping or calendar");
    }
    if is_about_areas {
        fields.problem("early", "is for windows of one device: an area is told when its devices have been");
    }
    Some(early)
}

/// Whether it is about areas.
fn read_key(fields: &mut Fields<'_>) -> bool {
    fields.has("key") && fields.only_choice("key", &[("device", false), ("area", true)])
}

impl AreaRule {
    /// What a window waits, and takes, when the file says nothing.
    const WAIT: Duration = Duration::from_secs(60);
    const ALLOWED_LATENESS: Duration = Duration::from_secs(3600);

    /// How event time of its devices is divided.
    fn pane(&self) -> Windowing {
        match &self.windowing {
            Windowing::Hopping { every, .. } => Windowing::Tumbling(*every),
            windowing => windowing.clone(),
        }
    }

    fn read(fields: &mut Fields<'_>, windowing: &Windowing) -> AreaRule {
        if matches!(windowing, Windowing::Session(_) | Windowing::Count(_)) {
            fields.problem("window", "of an area must have a known end: tumbling, hopping or calendar");
        }
        let mut or = |key: &str, default| match fields.has(key) {
            true => fields.positive_duration(key),
            false => default,
        };
        let (wait, allowed_lateness) =
            (or("wait", AreaRule::WAIT), or("allowed_lateness", AreaRule::ALLOWED_LATENESS));
        AreaRule { windowing: windowing.clone(), wait, allowed_lateness, rank: None, neighbours: None }
    }
}

fn read_where(fields: &mut Fields<'_>, quantities: &mut Vec<Quantity>) -> [Concern; Family::ALL.len()] {
    let all = [const { Concern::All }; Family::ALL.len()];
    if !fields.has("where") {
        return all;
    }
    let text = fields.text("where");
    if text.is_empty() {
        return all;
    }
    match read_condition(&text, quantities) {
        Ok(condition) => Family::ALL.map(|family| match of_family(&condition, family) {
            Some(false) => Concern::None,
            Some(true) => Concern::All,
            None => Concern::Some(condition.clone()),
        }),
        Err(fault) => {
            fields.fault("where", &fault);
            all
        }
    }
}

/// How long a value stands, which must be said where means over time are asked for.
fn read_hold(fields: &mut Fields<'_>, inputs: &[Input], windowing: &Windowing) -> Option<Duration> {
    let name = Function::TimeWeightedMean.name();
    let is_weighed = inputs.iter().any(|input| input.wants.steps);
    if is_weighed && matches!(windowing, Windowing::Session(_) | Windowing::Count(_)) {
        fields.problem("window", format!("for {name} must have a known end: tumbling, hopping or calendar"));
    }
    match (is_weighed, fields.has("hold")) {
        (true, false) => {
            fields.problem("hold", format!("is missing: {name} must know how long a value stands"));
        }
        (false, true) => fields.problem("hold", format!("is for {name}, which is not selected")),
        _ => {}
    }
    fields.has("hold").then(|| fields.positive_duration("hold"))
}

fn read_windowing(mut fields: Fields<'_>) -> Windowing {
    let kinds = ["tumbling", "hopping", "session", "count", "calendar"];
    let found: Vec<&str> = kinds.into_iter().filter(|kind| fields.has(kind)).collect();
    let windowing = match found.as_slice() {
        ["tumbling"] => Windowing::Tumbling(fields.positive_duration("tumbling")),
        ["hopping"] => read_hopping(&mut fields),
        ["session"] => Windowing::Session(fields.positive_duration("session")),
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
    let (size, every) = (fields.positive_duration("hopping"), fields.positive_duration("every"));
    let (long, short) = (size.as_millis(), every.as_millis().max(1));
    if !every.is_zero() && (long % short != 0 || long / short > MAX_PANES) {
        fields.problem("hopping", format!("must be a whole number of every, at most {MAX_PANES}"));
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

/// What devices are compared by; it may ask for what nothing is told of.
fn read_neighbours(
    fields: &mut Fields<'_>,
    quantities: &mut Vec<Quantity>,
    inputs: &mut Vec<Input>,
) -> Option<NeighbourTest> {
    let table = fields.has("neighbours").then(|| fields.table("neighbours"))?;
    NeighbourTest::read(table, |table| {
        let (name, text) = (table.text("tells"), table.text("of"));
        if name.is_empty() || text.is_empty() {
            return None;
        }
        check_name(&name, "tells", table);
        read_output(&name, "of", &text, table, (quantities, inputs))
    })
}

fn read_select(mut fields: Fields<'_>, quantities: &mut Vec<Quantity>) -> (Vec<Input>, Vec<Output>) {
    let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
    let texts = fields.texts();
    if texts.is_empty() {
        fields.problem("", "must select something, such as { pm2_5_mean = \"mean(pm2_5)\" }");
    }
    for (name, text) in texts {
        check_name(&name, &name, &fields);
        if text.is_empty() {
            continue;
        }
        outputs.extend(read_output(&name, &name, &text, &fields, (quantities, &mut inputs)));
    }
    fields.finish();
    (inputs, outputs)
}

/// A name under which rows may stand.
fn check_name(name: &str, key: &str, fields: &Fields<'_>) {
    let is_name = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    if Quantity::from_name(name).info().is_some() || !name.bytes().all(is_name) {
        fields
            .problem(key, "may hold lower-case letters, digits and `_`, and be no quantity of the registry");
    }
}

fn read_output(
    name: &str,
    key: &str,
    text: &str,
    fields: &Fields<'_>,
    (quantities, inputs): (&mut Vec<Quantity>, &mut Vec<Input>),
) -> Option<Output> {
    let mut names = Statistics { quantities, inputs, called: Vec::new() };
    match read_number(text, &mut names) {
        Ok(value) => Some(Output { name: Quantity::from_name(name), statistics: names.called, value }),
        Err(fault) => {
            fields.fault(key, &fault);
            None
        }
    }
}
