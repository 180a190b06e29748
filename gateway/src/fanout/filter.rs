//! Topic filters as clients write them (MQTT 5, 4.7 and 4.8.2).

use crate::normalize::mapping::Filter;

/// The filter, if it is one: with `$share` in front also the name of a group, in which no wildcard stands (4.8.2).
pub(crate) fn check_filter(text: &str) -> Option<Filter> {
    let filter = Filter::parse(text).ok()?;
    match text.strip_prefix("$share/") {
        None => (text != "$share").then_some(filter),
        Some(rest) => {
            let (group, shared) = rest.split_once('/')?;
            let is_sound = !group.is_empty() && !group.contains(['+', '#']) && !shared.is_empty();
            is_sound.then_some(filter)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_checked() {
        let check = |filter, expected| assert_eq!(check_filter(filter).is_some(), expected, "{filter}");
        for filter in ["a", "#", "+", "a/+/b/#", "/", "$share/g/a/#", "$SYS/#", "$shared"] {
            check(filter, true);
        }
        for filter in [
            "",
            "a#",
            "#/a",
            "a+/b",
            "$share",
            "$share/g",
            "$share//a",
            "$share/g/",
            "$share/+/a",
            "$share/g#/a",
        ] {
            check(filter, false);
        }
    }
}
