//! Sentences with gaps: `{subject}: {value} {unit}`.

use std::fmt::Write;

/// What can stand in a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// The value that decided, with the decimals of its quantity.
    Value,
    /// Its unit as people write it; nothing for counts and indices.
    Unit,
    /// The threshold that was crossed.
    Threshold,
    /// The device's label or name, or the area's name.
    Subject,
    /// The area.
    Area,
    /// The name of the level that is reached (at the end: that was reached last).
    Level,
    /// `is`, or `was` when the alert tells of the past.
    Is,
    /// Vibration zone.
    Zone,
    /// Detector at the front of a queue.
    Head,
    /// Detector at the back of a queue.
    Tail,
    /// Reader that misses tags.
    Reader,
    /// The tags it missed.
    Tags,
    /// How many devices, of how many.
    Devices,
    /// How often a pattern has occurred.
    Times,
}

impl Word {
    const ALL: [(Word, &'static str); 14] = [
        (Word::Value, "value"),
        (Word::Unit, "unit"),
        (Word::Threshold, "threshold"),
        (Word::Subject, "subject"),
        (Word::Area, "area"),
        (Word::Level, "level"),
        (Word::Is, "is"),
        (Word::Zone, "zone"),
        (Word::Head, "head"),
        (Word::Tail, "tail"),
        (Word::Reader, "reader"),
        (Word::Tags, "tags"),
        (Word::Devices, "devices"),
        (Word::Times, "times"),
    ];

    /// What every rule can say.
    pub(super) const COMMON: &'static [Word] =
        &[Word::Value, Word::Unit, Word::Threshold, Word::Subject, Word::Area, Word::Level, Word::Is];

    fn name(self) -> &'static str {
        Word::ALL.iter().find(|(word, _)| *word == self).map_or("", |(_, name)| name)
    }
}

/// A sentence whose gaps are known to be fillable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Gap(Word),
}

impl Template {
    /// Reads a sentence whose gaps are among the common words and `extra`; says what is wrong with it otherwise.
    pub fn parse(text: &str, extra: &[Word]) -> Result<Template, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            let gap = brace.strip_prefix('{').and_then(|gap| gap.split_once('}'));
            let Some((name, after)) = gap else {
                return Err(format!("the brace at `{brace}` has no partner"));
            };
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(Piece::Gap(word(name, extra)?));
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        Ok(Template(pieces))
    }

    /// The sentence, with what `fill` writes for each word.
    pub fn fill(&self, fill: impl Fn(Word, &mut String)) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Gap(word) => fill(*word, &mut text),
            }
        }
        text.split_whitespace().collect::<Vec<_>>().join(" ").replace(" ,", ",").replace(" .", ".")
    }
}

fn word(name: &str, extra: &[Word]) -> Result<Word, String> {
    let mut allowed = Word::COMMON.iter().chain(extra);
    if let Some(word) = allowed.clone().find(|word| word.name() == name) {
        return Ok(*word);
    }
    let mut message = format!("`{{{name}}}` is none of");
    allowed.try_for_each(|word| write!(message, " {{{}}}", word.name())).expect("a String takes everything");
    Err(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_gaps() {
        let check = |template: &str, expected: &str| {
            let template = Template::parse(template, &[Word::Zone]).unwrap();
            let text = template.fill(|word, to| match word {
                Word::Value => to.push_str("4.7"),
                Word::Zone => to.push('D'),
                _ => {}
            });
            assert_eq!(text, expected);
        };
        check("", "");
        check("plain", "plain");
        check("{value}", "4.7");
        check("at {value} mm/s, zone {zone}", "at 4.7 mm/s, zone D");
        // What is empty leaves no hole.
        check("{value} {unit}, zone {zone}{unit}.", "4.7, zone D.");
    }

    #[test]
    fn refuses_what_cannot_be_filled() {
        let check = |template: &str, expected: &str| {
            let message = Template::parse(template, &[Word::Zone]).unwrap_err();
            assert!(message.contains(expected), "{message}");
        };
        check("{head}", "`{head}` is none of {value} {unit}");
        check("{head}", "{is} {zone}");
        check("{Value}", "`{Value}` is none of");
        check("{}", "`{}` is none of");
        check("{value", "`{value` has no partner");
        check("value}", "`}` has no partner");
        check("{value}}", "`}` has no partner");
    }
}
