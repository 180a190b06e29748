//! Records with their base values added: RFC 8428, section 4.6.

use super::record::{Record, Value};

/// A record that needs no other one to be understood.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Resolved {
    pub name: String,
    pub unit: Option<String>,
    /// A number has its base value added.
    pub value: Option<Value>,
    /// The integral of the value over time.
    pub sum: Option<f64>,
    /// Seconds: since 1970 from [`FIRST_ABSOLUTE`] on, else relative to now.
    pub time: f64,
}

/// Times below are relative to the moment in which the pack is read (section 4.5.3).
pub(super) const FIRST_ABSOLUTE: f64 = (1u64 << 28) as f64;

/// The version that is read.
const VERSION: f64 = 10.0;

/// The same with the feature bit of secondary units (RFC 9100), which are read in any case.
const WITH_SECONDARY_UNITS: f64 = 26.0;

/// Base values, which hold until another one takes their place.
#[derive(Default)]
struct Bases {
    name: String,
    unit: Option<String>,
    time: f64,
    value: f64,
    sum: Option<f64>,
}

/// Resolves a pack.
///
/// # Errors
/// What is wrong, and in which record, counted from 1.
pub(super) fn resolve(records: Vec<Record>) -> Result<Vec<Resolved>, String> {
    check_versions(&records)?;
    let mut bases = Bases::default();
    let resolve = |(index, record): (usize, Record)| {
        bases.take(&record);
        bases.add(record).map_err(|wrong| format!("record {}: {wrong}", index + 1))
    };
    records.into_iter().enumerate().map(resolve).collect()
}

/// A version holds for the whole pack (section 4.4), and is the default where the first record has none.
fn check_versions(records: &[Record]) -> Result<(), String> {
    let mut versions =
        records.iter().enumerate().filter_map(|(index, record)| Some((index, record.version?)));
    let Some((index, first)) = versions.next() else { return Ok(()) };
    if index > 0 && first != VERSION || versions.any(|(_, version)| version != first) {
        return Err("the records of a pack differ in bver".to_owned());
    }
    let is_read = (1.0..=VERSION).contains(&first) || first == WITH_SECONDARY_UNITS;
    if is_read { Ok(()) } else { Err(format!("bver {first} is not read here")) }
}

impl Bases {
    fn take(&mut self, record: &Record) {
        if let Some(name) = &record.base_name {
            self.name.clone_from(name);
        }
        if record.base_unit.is_some() {
            self.unit.clone_from(&record.base_unit);
        }
        self.time = record.base_time.unwrap_or(self.time);
        self.value = record.base_value.unwrap_or(self.value);
        self.sum = record.base_sum.or(self.sum);
    }

    fn add(&self, record: Record) -> Result<Resolved, String> {
        let sum = match (self.sum, record.sum) {
            (None, None) => None,
            (base, sum) => Some(base.unwrap_or(0.0) + sum.unwrap_or(0.0)),
        };
        let value = match record.value {
            Some(Value::Number(number)) => Some(Value::Number(self.value + number)),
            other => other,
        };
        if value.is_none() && sum.is_none() {
            return Err("has neither a value nor a sum".to_owned());
        }
        let resolved = Resolved {
            name: checked_name(format!("{}{}", self.name, record.name.as_deref().unwrap_or_default()))?,
            unit: record.unit.or_else(|| self.unit.clone()),
            value,
            sum,
            time: self.time + record.time.unwrap_or(0.0),
        };
        if resolved.is_finite() { Ok(resolved) } else { Err("adds up to no number".to_owned()) }
    }
}

impl Resolved {
    fn is_finite(&self) -> bool {
        let value = match self.value {
            Some(Value::Number(number)) => number,
            _ => 0.0,
        };
        [value, self.sum.unwrap_or(0.0), self.time].iter().all(|number| number.is_finite())
    }
}

/// Section 4.5.1: letters, digits and `- : . / _`, and a letter or digit in front.
fn checked_name(name: String) -> Result<String, String> {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-:./_".contains(&byte);
    let starts_well = name.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
    if starts_well && name.bytes().all(is_inner) {
        Ok(name)
    } else {
        Err(format!("{name:?} is not a SenML name"))
    }
}
