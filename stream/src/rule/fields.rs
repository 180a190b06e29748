//! Reading a table of a rules file, key by key, and noting everything that is wrong with it.

use super::places::Places;
use crate::expression::Fault;
use crate::fnv::fnv1a;
use std::cell::RefCell;
use std::fmt;
use std::time::Duration;
use toml::{Table, Value};

/// One thing that is wrong with a rules file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: `threshold[3].levels[1].open`; empty for the file as a whole.
    pub path: String,
    /// What, as a lowercase fragment.
    pub message: String,
    /// Line and column in the file, from 1, where they are known.
    pub at: Option<(usize, usize)>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.at {
            write!(f, "line {line}, column {column}: ")?;
        }
        match self.path.as_str() {
            "" => f.write_str(&self.message),
            path => write!(f, "{path}: {}", self.message),
        }
    }
}

/// What has been found so far.
#[derive(Default)]
pub(super) struct Problems(RefCell<Vec<Found>>);

struct Found {
    path: String,
    message: String,
    /// Of an expression: characters before the place.
    within: Option<usize>,
}

impl Problems {
    pub(super) fn note(&self, path: String, message: impl Into<String>) {
        self.0.borrow_mut().push(Found { path, message: message.into(), within: None });
    }

    /// All of them, with their places in `text`.
    pub(super) fn into_result<T>(self, value: T, text: &str) -> Result<T, Vec<Problem>> {
        let found = self.0.into_inner();
        if found.is_empty() {
            return Ok(value);
        }
        let places = Places::new(text);
        let problem = |Found { path, message, within }: Found| {
            let at = places.as_ref().and_then(|places| places.of(&path, within));
            Problem { path, message, at }
        };
        Err(found.into_iter().map(problem).collect())
    }
}

/// A table being read: what is taken is removed, so that what remains at the end is unknown.
///
/// A key that is missing or wrong is noted and read as a harmless value, so that reading goes on to the next.
pub(super) struct Fields<'p> {
    table: Table,
    path: String,
    problems: &'p Problems,
}

impl<'p> Fields<'p> {
    pub(super) fn new(table: Table, problems: &'p Problems) -> Self {
        Fields { table, path: String::new(), problems }
    }

    /// Notes a problem with `key`.
    pub(super) fn problem(&self, key: &str, message: impl Into<String>) {
        self.problems.note(join(&self.path, key), message);
    }

    /// Notes what is wrong with the expression under `key`.
    pub(super) fn fault(&self, key: &str, fault: &Fault) {
        let (path, message) = (join(&self.path, key), fault.message.clone());
        self.problems.0.borrow_mut().push(Found { path, message, within: Some(fault.at) });
    }

    /// Whether there is such a key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// A number of what has not been taken yet: the same for tables that say the same, whatever the order of their keys.
    pub(super) fn fingerprint(&self) -> u64 {
        fnv1a(self.table.to_string().bytes())
    }

    /// Every key, with its string.
    pub(super) fn texts(&mut self) -> Vec<(String, String)> {
        let keys: Vec<String> = self.table.keys().cloned().collect();
        keys.into_iter().map(|key| (key.clone(), self.text(&key))).collect()
    }

    /// A string that is not empty.
    pub(super) fn text(&mut self, key: &str) -> String {
        match self.table.remove(key) {
            Some(Value::String(text)) if !text.trim().is_empty() => text,
            found => self.expected(key, found.as_ref(), "text"),
        }
    }

    /// A finite number, written with or without decimals.
    pub(super) fn number(&mut self, key: &str) -> f64 {
        match self.table.remove(key) {
            Some(Value::Integer(number)) => number as f64,
            Some(Value::Float(number)) if number.is_finite() => number,
            found => self.expected(key, found.as_ref(), "a number"),
        }
    }

    /// A whole number of at least `least`.
    pub(super) fn whole(&mut self, key: &str, least: u32) -> u32 {
        let found = self.table.remove(key);
        let number = found.as_ref().and_then(Value::as_integer).and_then(|number| u32::try_from(number).ok());
        match number {
            Some(number) if number >= least => number,
            _ => self.expected(key, found.as_ref(), &format!("a whole number of at least {least}")),
        }
    }

    /// True or false; false when it is not there.
    pub(super) fn claim(&mut self, key: &str) -> bool {
        match self.table.remove(key) {
            None => false,
            Some(Value::Boolean(claim)) => claim,
            found => self.expected(key, found.as_ref(), "true or false"),
        }
    }

    /// `[n, m]`, with 1 ≤ n ≤ m ≤ 100.
    pub(super) fn n_of_m(&mut self, key: &str) -> (u32, u32) {
        let found = self.table.remove(key);
        let numbers = found.as_ref().and_then(Value::as_array).map(Vec::as_slice);
        let whole = |value: &Value| value.as_integer().and_then(|number| u32::try_from(number).ok());
        match numbers {
            Some([n, m]) => match (whole(n), whole(m)) {
                (Some(n), Some(m)) if 1 <= n && n <= m && m <= 100 => return (n, m),
                _ => self.problem(
                    key,
                    "must be two whole numbers, the first from 1 to the second, that up to 100",
                ),
            },
            _ => self.problem(key, "must be two whole numbers such as [3, 5]"),
        }
        (1, 1)
    }

    /// `[from, to]`, finite numbers.
    pub(super) fn pair(&mut self, key: &str) -> (f64, f64) {
        let found = self.table.remove(key);
        let number = |value: &Value| value.as_float().or(value.as_integer().map(|number| number as f64));
        match found.as_ref().and_then(Value::as_array).map(Vec::as_slice) {
            Some([from, to]) => match (number(from), number(to)) {
                (Some(from), Some(to)) if from.is_finite() && to.is_finite() => (from, to),
                _ => self.expected(key, found.as_ref(), "two numbers such as [0, 50]"),
            },
            _ => self.expected(key, found.as_ref(), "two numbers such as [0, 50]"),
        }
    }

    /// `[[113.9, 22.5], …]`: pairs of finite numbers.
    pub(super) fn pairs(&mut self, key: &str) -> Vec<(f64, f64)> {
        let found = self.table.remove(key);
        let number = |value: &Value| value.as_float().or(value.as_integer().map(|number| number as f64));
        let pair = |value: &Value| match value.as_array().map(Vec::as_slice) {
            Some([one, other]) => {
                number(one).zip(number(other)).filter(|(a, b)| a.is_finite() && b.is_finite())
            }
            _ => None,
        };
        let pairs = found.as_ref().and_then(Value::as_array).and_then(|all| all.iter().map(pair).collect());
        pairs.unwrap_or_else(|| {
            self.expected(key, found.as_ref(), "pairs of numbers such as [[113.9, 22.5], …]")
        })
    }

    /// `[12, 1, 2]`: months as bits 1 to 12.
    pub(super) fn months(&mut self, key: &str) -> u16 {
        let found = self.table.remove(key);
        let numbers = found.as_ref().and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let month = |value: &Value| value.as_integer().filter(|month| (1..=12).contains(month));
        let months: Option<Vec<i64>> = numbers.iter().map(month).collect();
        match months {
            Some(months) if !months.is_empty() => months.iter().fold(0, |bits, month| bits | 1 << month),
            _ => self.expected(key, found.as_ref(), "months such as [12, 1, 2]"),
        }
    }

    /// Seconds, 0 or more, at most ten years.
    pub(super) fn seconds(&mut self, key: &str) -> Duration {
        self.seconds_from(key, 0.0, "must be between 0 and ten years, in seconds")
    }

    /// Seconds, at least a millisecond.
    pub(super) fn positive_seconds(&mut self, key: &str) -> Duration {
        self.seconds_from(key, 0.001, "must be more than 0 and at most ten years, in seconds")
    }

    /// A length of time with its unit, such as "10m", at least a millisecond and at most ten years.
    pub(super) fn positive_duration(&mut self, key: &str) -> Duration {
        const MOST: u64 = 10 * 366 * 86_400_000;
        match self.table.remove(key) {
            Some(Value::String(text)) => match duration(&text) {
                Some(millis @ 1..=MOST) => return Duration::from_millis(millis),
                Some(_) => self.problem(key, "must be more than 0 and at most ten years"),
                None => {
                    self.problem(key, format!("`{text}` is no length of time such as \"30s\" or \"10m\""))
                }
            },
            found => {
                return self.expected(key, found.as_ref(), "a length of time such as \"30s\" or \"10m\"");
            }
        }
        Duration::ZERO
    }

    /// Seconds that cannot be chosen; the file says them all the same, so that it can be read alone.
    pub(super) fn fixed_seconds(&mut self, key: &str, fixed: Duration, why: &str) -> Duration {
        let known =
            self.table.get(key).and_then(|value| value.as_float().or(value.as_integer().map(|n| n as f64)));
        if known == Some(fixed.as_secs_f64()) {
            self.table.remove(key);
            return fixed;
        }
        let message = format!("must be {}: {why}", fixed.as_secs());
        self.seconds_from(key, f64::INFINITY, &message);
        fixed
    }

    fn seconds_from(&mut self, key: &str, least: f64, message: &str) -> Duration {
        const MOST: f64 = 10.0 * 366.0 * 86_400.0;
        let number = match self.table.remove(key) {
            Some(Value::Integer(number)) => number as f64,
            Some(Value::Float(number)) => number,
            found => return self.expected(key, found.as_ref(), "a number of seconds"),
        };
        if !(least..=MOST).contains(&number) {
            self.problem(key, message);
        }
        Duration::from_millis((number.clamp(0.0, MOST) * 1000.0).round() as u64)
    }

    /// One of a set of words.
    pub(super) fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> T {
        let text = self.text(key);
        let found = choices.iter().find(|(name, _)| *name == text);
        if found.is_none() && !text.is_empty() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.problem(key, format!("`{text}` is none of {}", names.join(", ")));
        }
        found.unwrap_or(&choices[0]).1
    }

    /// One of a set of words, alone in an array.
    pub(super) fn only_choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> T {
        let found = self.table.remove(key);
        let words = found.as_ref().and_then(Value::as_array).map(Vec::as_slice);
        let word = words.and_then(|words| words.first().filter(|_| words.len() == 1)?.as_str());
        let choice = choices.iter().find(|(name, _)| Some(*name) == word);
        if choice.is_none() {
            let names: Vec<String> = choices.iter().map(|(name, _)| format!("[\"{name}\"]")).collect();
            self.problem(key, format!("must be {}", names.join(" or ")));
        }
        choice.unwrap_or(&choices[0]).1
    }

    /// A table; an empty one when it is missing, so that every key in it is noted.
    pub(super) fn table(&mut self, key: &str) -> Fields<'p> {
        let path = join(&self.path, key);
        let table = match self.table.remove(key) {
            Some(Value::Table(table)) => table,
            found => self.expected(key, found.as_ref(), "a table"),
        };
        Fields { table, path, problems: self.problems }
    }

    /// An array of tables; none when it is missing.
    pub(super) fn tables(&mut self, key: &str) -> Vec<Fields<'p>> {
        let items = match self.table.remove(key) {
            Some(Value::Array(items)) => items,
            None => Vec::new(),
            found => self.expected(key, found.as_ref(), "an array of tables"),
        };
        let table_of = |(index, item)| {
            let path = format!("{}[{index}]", join(&self.path, key));
            let table = match item {
                Value::Table(table) => table,
                _ => {
                    self.problems.note(path.clone(), "must be a table");
                    Table::new()
                }
            };
            Fields { table, path, problems: self.problems }
        };
        items.into_iter().enumerate().map(table_of).collect()
    }

    /// Notes every key that nobody took.
    pub(super) fn finish(self) {
        for key in self.table.keys() {
            self.problems.note(join(&self.path, key), "is not a key known here");
        }
    }

    fn expected<T: Default>(&self, key: &str, found: Option<&Value>, what: &str) -> T {
        match found {
            None => self.problem(key, "is missing"),
            Some(_) => self.problem(key, format!("must be {what}")),
        }
        T::default()
    }
}

/// A whole number and `ms`, `s`, `m`, `h` or `d`, in milliseconds.
fn duration(text: &str) -> Option<u64> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    let (_, millis) = units.into_iter().find(|(known, _)| *known == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(millis)
}

fn join(path: &str, key: &str) -> String {
    match (path, key) {
        ("", key) => key.to_owned(),
        (path, "") => path.to_owned(),
        (path, key) => format!("{path}.{key}"),
    }
}
