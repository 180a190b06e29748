//! A place in a JSON value.

use serde_json::Value;
use std::fmt;

/// A JSON pointer (RFC 6901): empty for the whole value, else `/` and a member or an index, level by level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(String);

impl Pointer {
    /// # Errors
    /// What keeps it from being one.
    pub fn parse(text: &str) -> Result<Pointer, String> {
        if !text.is_empty() && !text.starts_with('/') {
            return Err(format!("{text:?} is not a JSON pointer: it begins with /"));
        }
        let is_escape_broken = |part: &str| !part.starts_with(['0', '1']);
        if text.split('~').skip(1).any(is_escape_broken) {
            return Err(format!("{text:?} is not a JSON pointer: ~ is followed by 0 or 1"));
        }
        Ok(Pointer(text.to_owned()))
    }

    /// What stands there; `None` also for null.
    pub(super) fn find<'a>(&self, json: &'a Value) -> Option<&'a Value> {
        json.pointer(&self.0).filter(|found| !found.is_null())
    }

    /// The number that stands there. One in a text counts, and true and false are 1 and 0, because many devices
    /// write them so.
    pub(super) fn number(&self, json: &Value) -> Result<Option<f64>, String> {
        let Some(found) = self.find(json) else { return Ok(None) };
        let number = match found {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            Value::Bool(is_true) => Some(f64::from(u8::from(*is_true))),
            _ => None,
        };
        match number.filter(|number: &f64| number.is_finite()) {
            Some(number) => Ok(Some(number)),
            None => Err(format!("{self} is no number")),
        }
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
