//! Topic aliases that a client has given (MQTT 5, 3.3.2.3.4).

use crate::packet::{Publish, Violation};

/// Topic names by alias, for as long as the connection lasts. Takes no room until there is one.
#[derive(Debug, Default)]
pub(super) struct Aliases(Vec<Box<str>>);

impl Aliases {
    /// The topic name of a PUBLISH that has an alias, which it may give or use. No alias is above `max`.
    pub(super) fn resolve<'a>(&'a mut self, publish: &Publish<'a>, max: u16) -> Result<&'a str, Violation> {
        let alias = publish.alias.filter(|alias| (1..=max).contains(alias)).ok_or(Violation::TopicAlias)?;
        let place = usize::from(alias) - 1;
        if !publish.topic.is_empty() {
            if self.0.len() <= place {
                self.0.resize_with(place + 1, Box::default);
            }
            self.0[place] = publish.topic.into();
        }
        self.0.get(place).map(|topic| &**topic).filter(|topic| !topic.is_empty()).ok_or(Violation::TopicAlias)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_is_given_used_and_given_anew() {
        let mut aliases = Aliases::default();
        let mut check = |topic, alias, expected: Result<&str, Violation>| {
            let publish = Publish {
                topic,
                qos: crate::packet::QoS::AtMostOnce,
                packet_id: None,
                is_retained: false,
                alias: Some(alias),
                is_text: false,
                properties: &[],
                payload: &[],
            };
            assert_eq!(aliases.resolve(&publish, 3), expected, "{topic:?} {alias}");
        };
        check("", 2, Err(Violation::TopicAlias));
        check("a", 2, Ok("a"));
        check("", 2, Ok("a"));
        check("", 1, Err(Violation::TopicAlias));
        check("b", 3, Ok("b"));
        check("c", 2, Ok("c"));
        check("", 3, Ok("b"));
        check("", 2, Ok("c"));
        check("a", 0, Err(Violation::TopicAlias));
        check("a", 4, Err(Violation::TopicAlias));
    }
}
