//! The topic names of results. Whatever is in a name is one level there.

use records::{Alert, AlertState, Record};
use std::borrow::Cow;

/// The name of an aggregate or an observation; `None` for anything else.
pub(super) fn of(record: &Record) -> Option<String> {
    match record {
        Record::Aggregate(aggregate) => Some(format!(
            "out/aggregates/{}/{}/{}",
            level(&aggregate.area),
            level(aggregate.subject.name()),
            level(aggregate.quantity.name())
        )),
        Record::Observation(observation) => of_observation(observation.device.as_bytes()),
        _ => None,
    }
}

/// The name of an observation of the device that is its key.
pub(super) fn of_observation(device: &[u8]) -> Option<String> {
    std::str::from_utf8(device).ok().map(|device| format!("out/observations/{}", level(device)))
}

/// The name of an alert as it stands; a cleared one is told under its last severity.
pub(super) fn of_alert(alert: &Alert) -> String {
    format!("out/alerts/{}/{}/{}", level(&alert.area), alert.severity.name(), level(&alert.id))
}

/// Whether it is over.
pub(super) fn is_cleared(alert: &Alert) -> bool {
    alert.state == AlertState::Cleared
}

/// A name as one level of a topic name: what means something there is written as `%` and two hex digits (RFC 3986,
/// 2.1), and so is `%` itself.
fn level(name: &str) -> Cow<'_, str> {
    let is_special = |char: char| matches!(char, '/' | '+' | '#' | '%' | '\0');
    if !name.contains(is_special) {
        return name.into();
    }
    let mut level = String::with_capacity(name.len() + 8);
    for char in name.chars() {
        if is_special(char) {
            level.push_str(&format!("%{:02X}", u32::from(char)));
        } else {
            level.push(char);
        }
    }
    level.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_level() {
        let check = |name, expected| assert_eq!(level(name), expected);
        check("north", "north");
        check("", "");
        check("rule/d-1/1700000000000", "rule%2Fd-1%2F1700000000000");
        check("a+b#c%2F", "a%2Bb%23c%252F");
        check("温度", "温度");
    }
}
