//! Where in a rules file something stands.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The file, read again with the places of its values.
pub(super) struct Places<'t> {
    text: &'t str,
    table: Spanned<DeTable<'t>>,
}

impl<'t> Places<'t> {
    /// `None` for a file that is not TOML.
    pub(super) fn new(text: &'t str) -> Option<Places<'t>> {
        Some(Places { text, table: DeTable::parse(text).ok()? })
    }

    /// Line and column, from 1, of the value at `path`, or of what is around it when it is missing. `within`: of a
    /// text, that many characters into it.
    pub(super) fn of(&self, path: &str, within: Option<usize>) -> Option<(usize, usize)> {
        let mut found = None;
        let mut value: Option<&Spanned<DeValue<'_>>> = None;
        for step in steps(path) {
            let next = match (step, value.map(Spanned::get_ref)) {
                (Step::Key(key), None) => self.table.get_ref().get(key),
                (Step::Key(key), Some(DeValue::Table(table))) => table.get(key),
                (Step::Index(index), Some(DeValue::Array(items))) => items.get(index),
                _ => None,
            };
            let Some(next) = next else { break };
            (value, found) = (Some(next), Some(next.span()));
        }
        let span = found?;
        let start = span.start + within.map_or(0, |within| self.inside(span, within));
        let before = self.text.get(..start)?;
        let line = before.rsplit('\n').next().unwrap_or_default();
        Some((before.matches('\n').count() + 1, line.chars().count() + 1))
    }

    /// Bytes from the start of a quoted text to a character of it; 0 when it is written with escapes or over lines.
    fn inside(&self, span: std::ops::Range<usize>, within: usize) -> usize {
        let Some(quoted) = self.text.get(span) else { return 0 };
        let is_plain =
            !quoted.contains(['\\', '\n']) && !quoted.starts_with("\"\"\"") && !quoted.starts_with("'''");
        let letters = quoted.char_indices().nth(within + 1).map(|(at, _)| at);
        if is_plain { letters.unwrap_or(quoted.len()) } else { 0 }
    }
}

enum Step<'p> {
    Key(&'p str),
    Index(usize),
}

/// `job[0].select.a` → `job`, 0, `select`, `a`.
fn steps(path: &str) -> impl Iterator<Item = Step<'_>> {
    path.split('.').flat_map(|part| {
        let (key, index) = part.split_once('[').unwrap_or((part, ""));
        let index = index.strip_suffix(']').and_then(|index| index.parse().ok()).map(Step::Index);
        std::iter::once(Step::Key(key)).chain(index)
    })
}
