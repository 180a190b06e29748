//! A name put together from a message.

use super::{Filter, Pointer};
use serde_json::Value;

/// A text with places to fill: `{1}` is what the first `+` of the filter stood for, `{/meta/id}` what stands at that
/// JSON pointer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// Counted from 0.
    Wildcard(usize),
    Pointer(Pointer),
}

impl Template {
    /// Reads a template whose wildcards are those of `filter`.
    ///
    /// # Errors
    /// A brace without its other half, a wildcard that the filter doesn't have, or a broken pointer.
    pub fn parse(text: &str, filter: &Filter) -> Result<Template, String> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, behind)) = rest.split_once('{') {
            let (place, after) =
                behind.split_once('}').ok_or_else(|| format!("{text:?} has a {{ without a }}"))?;
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::parse(place, filter)?);
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Template(parts))
    }

    /// Fills it.
    ///
    /// # Errors
    /// What is missing in the payload.
    pub(super) fn fill(&self, levels: &[&str], json: &Value) -> Result<String, String> {
        let mut filled = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => filled += text,
                Part::Wildcard(index) => filled += levels.get(*index).copied().unwrap_or_default(),
                Part::Pointer(pointer) => match pointer.find(json) {
                    Some(Value::String(text)) => filled += text,
                    Some(Value::Number(number)) => filled += &number.to_string(),
                    _ => return Err(format!("there is no name at {pointer}")),
                },
            }
        }
        Ok(filled)
    }
}

impl Part {
    fn parse(place: &str, filter: &Filter) -> Result<Part, String> {
        if place.starts_with('/') {
            return Pointer::parse(place).map(Part::Pointer);
        }
        let count = filter.wildcard_count();
        match place.parse::<usize>() {
            Ok(number) if (1..=count).contains(&number) => Ok(Part::Wildcard(number - 1)),
            _ => Err(format!("{{{place}}} is neither a JSON pointer nor the number of a + of the filter")),
        }
    }
}
