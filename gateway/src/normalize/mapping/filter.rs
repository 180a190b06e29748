//! A topic filter that remembers what its wildcards stood for.

use std::fmt;

/// A topic filter of MQTT (5.0, section 4.7): levels, of which `+` is any one and a last `#` any number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(String);

impl Filter {
    /// # Errors
    /// What keeps it from being one.
    pub fn parse(text: &str) -> Result<Filter, String> {
        if text.is_empty() || text.len() > usize::from(u16::MAX) || text.contains('\0') {
            return Err("a topic filter has 1 to 65535 bytes and no U+0000".to_owned());
        }
        let last = text.split('/').count() - 1;
        for (index, level) in text.split('/').enumerate() {
            match level {
                "+" => {}
                "#" if index == last => {}
                _ if level.contains(['+', '#']) => {
                    return Err(format!(
                        "in {text:?} a wildcard is not a level of its own, or # is not the last"
                    ));
                }
                _ => {}
            }
        }
        Ok(Filter(text.to_owned()))
    }

    /// The filter as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How many of its levels are a `+`.
    pub fn wildcard_count(&self) -> usize {
        self.0.split('/').filter(|level| *level == "+").count()
    }

    /// What each `+` stands for in a topic name; `None` when it doesn't match. Names that begin with `$` are the
    /// broker's own and match no wildcard in front (4.7.2).
    pub fn wildcards<'a>(&self, topic_name: &'a str) -> Option<Vec<&'a str>> {
        if topic_name.starts_with('$') && self.0.starts_with(['+', '#']) {
            return None;
        }
        let (mut levels, mut found) = (topic_name.split('/'), Vec::new());
        for wanted in self.0.split('/') {
            match (wanted, levels.next()) {
                ("#", _) => return Some(found),
                ("+", Some(level)) => found.push(level),
                (wanted, Some(level)) if wanted == level => {}
                _ => return None,
            }
        }
        levels.next().is_none().then_some(found)
    }

    /// A topic name that it matches: each wildcard is its number.
    pub(super) fn example(&self) -> String {
        let mut number = 0;
        let levels: Vec<String> = self
            .0
            .split('/')
            .map(|level| match level {
                "+" | "#" => {
                    number += 1;
                    number.to_string()
                }
                level => level.to_owned(),
            })
            .collect();
        levels.join("/")
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_the_standard_says() {
        let check = |filter: &str, topic_name: &str, expected: Option<&[&str]>| {
            let filter = Filter::parse(filter).unwrap();
            assert_eq!(filter.wildcards(topic_name).as_deref(), expected, "{filter} {topic_name}");
        };
        check("plant/+/line/+/temp", "plant/7/line/b/temp", Some(&["7", "b"]));
        check("plant/+/line/+/temp", "plant/7/line/b", None);
        check("plant/+", "plant/", Some(&[""]));
        check("plant/+", "plant", None);
        check("plant/#", "plant", Some(&[]));
        check("plant/+/#", "plant/a/b/c", Some(&["a"]));
        check("#", "a/b", Some(&[]));
        check("#", "$SYS/uptime", None);
        check("+/uptime", "$SYS/uptime", None);
        check("$SYS/+", "$SYS/uptime", Some(&["uptime"]));
        check("/+", "/a", Some(&["a"]));
        check("+", "/a", None);
        check("a", "a", Some(&[]));
    }

    #[test]
    fn refuses_what_is_none() {
        for wrong in ["", "a+", "a/b#", "#/a", "a/#/b", "a\0"] {
            assert!(Filter::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_example_matches() {
        for text in ["plant/+/line/+/temp", "a/#", "#", "+/+", "a"] {
            let filter = Filter::parse(text).unwrap();
            assert!(filter.wildcards(&filter.example()).is_some(), "{text}");
        }
    }
}
