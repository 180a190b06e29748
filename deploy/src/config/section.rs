//! Reads one table of the file, keeps every problem with its line and path, and never stops at the first.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::units;

/// Something in the file that can't be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line in the file, from 1; 0 when the problem is in no line.
    pub line: usize,
    /// Path of the value, as `gateway.listen`; empty when it concerns the whole file.
    pub path: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.line, self.path.as_str()) {
            (0, "") => write!(f, "{}", self.message),
            (0, path) => write!(f, "{path}: {}", self.message),
            (line, "") => write!(f, "line {line}: {}", self.message),
            (line, path) => write!(f, "line {line}: {path}: {}", self.message),
        }
    }
}

/// The problems found so far, and the text that their lines are counted in.
pub struct Problems<'a> {
    text: &'a str,
    found: Vec<Problem>,
}

impl<'a> Problems<'a> {
    /// None yet.
    pub fn new(text: &'a str) -> Problems<'a> {
        Problems { text, found: Vec::new() }
    }

    /// Notes one.
    pub fn add(&mut self, span: Option<Range<usize>>, path: impl Into<String>, message: impl Into<String>) {
        let line =
            span.map_or(0, |span| 1 + self.text[..span.start.min(self.text.len())].matches('\n').count());
        self.found.push(Problem { line, path: path.into(), message: message.into() });
    }

    /// All of them, in the order of the file.
    pub fn into_sorted(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|problem| problem.line);
        self.found
    }
}

/// A table that is being read: each look-up takes its key out, and what is left at the end is unknown.
pub struct Section<'i> {
    path: String,
    table: DeTable<'i>,
}

impl<'i> Section<'i> {
    /// The whole file.
    pub fn root(table: DeTable<'i>) -> Section<'i> {
        Section { path: String::new(), table }
    }

    /// The sub-table of that name; an empty one when it is absent.
    pub fn section(&mut self, name: &str, problems: &mut Problems<'_>) -> Section<'i> {
        let path = self.path_of(name);
        let table = match self.take(name) {
            None => DeTable::new(),
            Some(value) => {
                let span = value.span();
                match value.into_inner() {
                    DeValue::Table(table) => table,
                    other => {
                        problems.add(Some(span), &path, format!("must be a table, not {}", other.type_str()));
                        DeTable::new()
                    }
                }
            }
        };
        Section { path, table }
    }

    /// The tables of an array of that name, as `[[name]]` writes them; none when it is absent.
    pub fn tables(&mut self, name: &str, problems: &mut Problems<'_>) -> Vec<Section<'i>> {
        let path = self.path_of(name);
        let Some(value) = self.take(name) else { return Vec::new() };
        let span = value.span();
        let DeValue::Array(items) = value.into_inner() else {
            problems.add(Some(span), &path, format!("must be tables, each begun by [[{path}]]"));
            return Vec::new();
        };
        let tables = items.into_iter().enumerate().filter_map(|(index, item)| {
            let (span, path) = (item.span(), format!("{path}[{index}]"));
            match item.into_inner() {
                DeValue::Table(table) => Some(Section { path, table }),
                other => {
                    problems.add(Some(span), path, format!("must be a table, not {}", other.type_str()));
                    None
                }
            }
        });
        tables.collect()
    }

    /// A list of texts, each with its place; none when it is absent.
    pub fn texts(&mut self, name: &str, problems: &mut Problems<'_>) -> Vec<(Range<usize>, String)> {
        let path = self.path_of(name);
        let Some(value) = self.take(name) else { return Vec::new() };
        let is_text = |item: &Spanned<DeValue<'_>>| item.get_ref().as_str().is_some();
        match value.get_ref() {
            DeValue::Array(items) if items.iter().all(is_text) => {
                let text =
                    |item: &Spanned<DeValue<'_>>| Some((item.span(), item.get_ref().as_str()?.to_owned()));
                items.iter().filter_map(text).collect()
            }
            _ => {
                problems.add(Some(value.span()), path, "must be a list of texts");
                Vec::new()
            }
        }
    }

    /// The keys that nobody has asked for yet.
    pub fn keys(&self) -> Vec<String> {
        self.table.keys().map(|key| key.get_ref().to_string()).collect()
    }

    /// Whether a table stands under that name.
    pub fn has_table(&self, name: &str) -> bool {
        self.table.iter().any(|(key, value)| key.get_ref() == name && value.get_ref().as_table().is_some())
    }

    /// A text that `read` understands.
    pub fn read<T>(
        &mut self,
        name: &str,
        problems: &mut Problems<'_>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.parsed(name, problems, "a text", read)
    }

    /// The same, and it must be there.
    pub fn required<T>(
        &mut self,
        name: &str,
        problems: &mut Problems<'_>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        if self.span(name).is_none() {
            problems.add(None, self.path_of(name), "is missing");
        }
        self.read(name, problems, read)
    }

    /// A text.
    pub fn text(&mut self, name: &str, problems: &mut Problems<'_>) -> Option<String> {
        self.parsed(name, problems, "a text", |text| Ok(text.to_owned()))
    }

    /// A text that must be there, and be right.
    pub fn wanted(
        &mut self,
        name: &str,
        is_right: fn(&str) -> bool,
        expected: &str,
        problems: &mut Problems<'_>,
    ) -> Option<String> {
        let (at, path) = (self.span(name), self.path_of(name));
        match self.text(name, problems) {
            Some(text) if is_right(&text) => Some(text),
            None if at.is_some() => None,
            _ => {
                problems.add(at, path, format!("must be {expected}"));
                None
            }
        }
    }

    /// A path.
    pub fn path(&mut self, name: &str, problems: &mut Problems<'_>) -> Option<PathBuf> {
        self.text(name, problems).map(PathBuf::from)
    }

    /// An address with a port.
    pub fn address(&mut self, name: &str, default: SocketAddr, problems: &mut Problems<'_>) -> SocketAddr {
        self.parsed(name, problems, "an address with a port such as \"127.0.0.1:1883\"", |text| {
            text.parse()
                .map_err(|_| format!("\"{text}\" is not an address with a port such as \"127.0.0.1:1883\""))
        })
        .unwrap_or(default)
    }

    /// A length of time inside `range`.
    pub fn duration(
        &mut self,
        name: &str,
        default: Duration,
        range: Range<Duration>,
        problems: &mut Problems<'_>,
    ) -> Duration {
        self.parsed(name, problems, "a length of time such as \"30s\"", |text| {
            let value = units::duration(text)?;
            if range.contains(&value) {
                return Ok(value);
            }
            Err(format!("{text} is outside {:?} to {:?}", range.start, range.end))
        })
        .unwrap_or(default)
    }

    /// A size in bytes.
    pub fn size(&mut self, name: &str, default: u64, range: Range<u64>, problems: &mut Problems<'_>) -> u64 {
        self.parsed(name, problems, "a size such as \"256 MiB\"", |text| {
            let value = units::size(text)?;
            if range.contains(&value) {
                return Ok(value);
            }
            Err(format!("{text} is outside {} to {} bytes", range.start, range.end))
        })
        .unwrap_or(default)
    }

    /// A whole number inside `range`.
    pub fn number(
        &mut self,
        name: &str,
        default: u64,
        range: Range<u64>,
        problems: &mut Problems<'_>,
    ) -> u64 {
        let path = self.path_of(name);
        let Some(value) = self.take(name) else { return default };
        let number = match value.get_ref() {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        match number {
            Some(number) if range.contains(&number) => number,
            _ => {
                let message = format!("must be a whole number from {} to {}", range.start, range.end - 1);
                problems.add(Some(value.span()), path, message);
                default
            }
        }
    }

    /// Yes or no.
    pub fn flag(&mut self, name: &str, default: bool, problems: &mut Problems<'_>) -> bool {
        let path = self.path_of(name);
        let Some(value) = self.take(name) else { return default };
        match value.get_ref() {
            DeValue::Boolean(flag) => *flag,
            other => {
                let message = format!("must be true or false, not {}", other.type_str());
                problems.add(Some(value.span()), path, message);
                default
            }
        }
    }

    /// Whether it has no key.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// All that is left, each a text.
    pub fn into_texts(mut self, problems: &mut Problems<'_>) -> BTreeMap<String, String> {
        let names: Vec<String> = self.table.keys().map(|key| key.get_ref().to_string()).collect();
        let text = |name: String| self.text(&name, problems).map(|text| (name, text));
        names.into_iter().filter_map(text).collect()
    }

    /// Notes every key that nobody asked for.
    pub fn end(self, problems: &mut Problems<'_>) {
        for (key, _) in &self.table {
            problems.add(Some(key.span()), self.path_of(key.get_ref()), "unknown key");
        }
    }

    /// Where a key stands in the text.
    pub fn span(&self, name: &str) -> Option<Range<usize>> {
        self.table.iter().find(|(key, _)| key.get_ref() == name).map(|(key, _)| key.span())
    }

    /// The path of a key of this table.
    pub fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn take(&mut self, name: &str) -> Option<Spanned<DeValue<'i>>> {
        self.table.remove(name)
    }

    fn parsed<T>(
        &mut self,
        name: &str,
        problems: &mut Problems<'_>,
        expected: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let path = self.path_of(name);
        let value = self.take(name)?;
        let parsed = match value.get_ref().as_str() {
            Some(text) => parse(text),
            None => Err(format!("must be {expected}, not {}", value.get_ref().type_str())),
        };
        parsed.map_err(|message| problems.add(Some(value.span()), path, message)).ok()
    }
}
