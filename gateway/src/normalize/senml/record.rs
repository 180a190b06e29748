//! One record as it stands in a pack: its labels and what they may hold (RFC 8428, sections 4.1, 4.2 and 6).

/// What a record says by itself, before the base values of the records in front of it are added.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub base_name: Option<String>,
    pub base_time: Option<f64>,
    pub base_unit: Option<String>,
    pub base_value: Option<f64>,
    pub base_sum: Option<f64>,
    pub version: Option<f64>,
    pub name: Option<String>,
    pub unit: Option<String>,
    pub value: Option<Value>,
    pub sum: Option<f64>,
    pub time: Option<f64>,
    pub update_time: Option<f64>,
}

/// A measured value. What a text or a string of bytes says is nothing that a reading could hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    Number(f64),
    Boolean(bool),
    Text,
    Data,
}

/// What stood behind a label, in either form.
#[derive(Debug)]
pub(super) enum Scalar {
    Number(f64),
    Boolean(bool),
    Text(String),
    Bytes,
    /// A list, a map, null, or a number that is no number.
    Other,
}

/// A label that this version of SenML has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    BaseVersion,
    BaseName,
    BaseTime,
    BaseUnit,
    BaseValue,
    BaseSum,
    Name,
    Unit,
    Value,
    StringValue,
    BooleanValue,
    DataValue,
    Sum,
    Time,
    UpdateTime,
}

/// RFC 8428, table 4.
const LABELS: [(Label, &str, i128); 15] = [
    (Label::BaseVersion, "bver", -1),
    (Label::BaseName, "bn", -2),
    (Label::BaseTime, "bt", -3),
    (Label::BaseUnit, "bu", -4),
    (Label::BaseValue, "bv", -5),
    (Label::BaseSum, "bs", -6),
    (Label::Name, "n", 0),
    (Label::Unit, "u", 1),
    (Label::Value, "v", 2),
    (Label::StringValue, "vs", 3),
    (Label::BooleanValue, "vb", 4),
    (Label::Sum, "s", 5),
    (Label::Time, "t", 6),
    (Label::UpdateTime, "ut", 7),
    (Label::DataValue, "vd", 8),
];

impl Label {
    /// `None` for a label that may be passed over.
    ///
    /// # Errors
    /// A label that must be understood (one that ends in `_`, RFC 8428 section 4.4) and is not.
    pub(super) fn from_name(name: &str) -> Result<Option<Label>, String> {
        match LABELS.iter().find(|(_, known, _)| *known == name) {
            Some((label, ..)) => Ok(Some(*label)),
            None if name.ends_with('_') => Err(format!("{name:?} must be understood, and is not")),
            None => Ok(None),
        }
    }

    pub(super) fn from_code(code: i128) -> Option<Label> {
        LABELS.iter().find(|(.., known)| *known == code).map(|(label, ..)| *label)
    }

    fn name(self) -> &'static str {
        LABELS.iter().find(|(label, ..)| *label == self).map_or("", |(_, name, _)| name)
    }
}

impl Record {
    /// Takes what stands behind a label. Each may occur once.
    pub(super) fn set(&mut self, label: Label, scalar: Scalar) -> Result<(), String> {
        match label {
            Label::BaseVersion => number(&mut self.version, label, scalar),
            Label::BaseName => text(&mut self.base_name, label, scalar),
            Label::BaseTime => number(&mut self.base_time, label, scalar),
            Label::BaseUnit => text(&mut self.base_unit, label, scalar),
            Label::BaseValue => number(&mut self.base_value, label, scalar),
            Label::BaseSum => number(&mut self.base_sum, label, scalar),
            Label::Name => text(&mut self.name, label, scalar),
            Label::Unit => text(&mut self.unit, label, scalar),
            Label::Sum => number(&mut self.sum, label, scalar),
            Label::Time => number(&mut self.time, label, scalar),
            Label::UpdateTime => number(&mut self.update_time, label, scalar),
            Label::Value | Label::StringValue | Label::BooleanValue | Label::DataValue => {
                let value = value(label, &scalar).ok_or_else(|| mistyped(label))?;
                match self.value.replace(value) {
                    None => Ok(()),
                    Some(_) => Err("a record has more than one of v, vs, vb and vd".to_owned()),
                }
            }
        }
    }
}

/// In JSON the data of `vd` are a text, in CBOR they are bytes.
fn value(label: Label, scalar: &Scalar) -> Option<Value> {
    match (label, scalar) {
        (Label::Value, Scalar::Number(number)) => Some(Value::Number(*number)),
        (Label::BooleanValue, Scalar::Boolean(is_true)) => Some(Value::Boolean(*is_true)),
        (Label::StringValue, Scalar::Text(_)) => Some(Value::Text),
        (Label::DataValue, Scalar::Text(_) | Scalar::Bytes) => Some(Value::Data),
        _ => None,
    }
}

fn number(field: &mut Option<f64>, label: Label, scalar: Scalar) -> Result<(), String> {
    let Scalar::Number(number) = scalar else { return Err(mistyped(label)) };
    once(field, label, number)
}

fn text(field: &mut Option<String>, label: Label, scalar: Scalar) -> Result<(), String> {
    let Scalar::Text(text) = scalar else { return Err(mistyped(label)) };
    once(field, label, text)
}

fn once<T>(field: &mut Option<T>, label: Label, value: T) -> Result<(), String> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("{} occurs twice in a record", label.name())),
    }
}

fn mistyped(label: Label) -> String {
    format!("{} holds what it may not", label.name())
}
