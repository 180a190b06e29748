//! Questions to the alert book.

use super::book::{AlertBook, BookError, Transition, acknowledged_by, history};
use super::schema;
use records::{Alert, AlertState, Name, Severity, Timestamp, UseCase};
use rusqlite::types::Value;
use rusqlite::{Row, params_from_iter};
use serde::Serialize;

/// Which alerts; every field narrows, an empty list doesn't.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertQuery {
    /// How they stand.
    pub states: Vec<AlertState>,
    /// How bad they are, or were last.
    pub severities: Vec<Severity>,
    /// Who acts on them.
    pub use_cases: Vec<UseCase>,
    /// The name of the device or area they are about.
    pub subject: Option<Name>,
    /// Not cleared before this.
    pub from: Option<Timestamp>,
    /// Opened before this.
    pub to: Option<Timestamp>,
    /// At most so many.
    pub limit: usize,
}

/// How an alert stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlertView {
    /// Its last transition.
    #[serde(flatten)]
    pub alert: Alert,
    /// When it ended, event time.
    pub cleared_at: Option<i64>,
    /// Who said last that they know.
    pub acknowledged_by: Option<String>,
}

/// Active alerts by use case and severity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts(Vec<(UseCase, Severity, usize)>);

impl AlertBook {
    /// The alerts that `query` asks for: active ones first, the worst first among them; then the newest first.
    ///
    /// # Errors
    /// When the book can't be read.
    pub fn find(&self, query: &AlertQuery) -> Result<Vec<AlertView>, BookError> {
        let (condition, values) = condition(query);
        let order = order(query);
        let limit = query.limit;
        let sql = format!(
            "SELECT json, cleared_at, acknowledged_by FROM alert WHERE {condition} ORDER BY {order} LIMIT {limit}"
        );
        let reader = self.reader();
        let mut select = reader.prepare(&sql)?;
        let rows = select.query_map(params_from_iter(values), columns)?;
        rows.map(|row| view(row?)).collect()
    }

    /// How one alert stands and all its transitions, oldest first; `None` when it is unknown.
    ///
    /// # Errors
    /// When the book can't be read.
    pub fn history(&self, id: &str) -> Result<Option<(AlertView, Vec<Transition>)>, BookError> {
        let reader = self.reader();
        let transitions = history(&reader, id)?;
        let Some(last) = transitions.last() else { return Ok(None) };
        let alert = last.alert.clone();
        let cleared_at = (alert.state == AlertState::Cleared).then_some(alert.at.millis());
        let acknowledged_by = acknowledged_by(&reader, id)?;
        Ok(Some((AlertView { alert, cleared_at, acknowledged_by }, transitions)))
    }
}

/// Those that are over need no sorting: an index has them by time.
fn order(query: &AlertQuery) -> &'static str {
    if query.states == [AlertState::Cleared] {
        "opened_at DESC"
    } else {
        "cleared_at IS NOT NULL, CASE WHEN cleared_at IS NULL THEN severity END DESC, opened_at DESC, id"
    }
}

type Columns = (String, Option<i64>, Option<String>);

fn columns(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn view((json, cleared_at, acknowledged_by): Columns) -> Result<AlertView, BookError> {
    Ok(AlertView { alert: serde_json::from_str(&json)?, cleared_at, acknowledged_by })
}

fn condition(query: &AlertQuery) -> (String, Vec<Value>) {
    let mut terms = vec!["1".to_owned()];
    let mut values = Vec::new();
    let mut one_of = |column: &str, codes: Vec<u8>| {
        if !codes.is_empty() {
            let list: Vec<String> = codes.iter().map(u8::to_string).collect();
            terms.push(format!("{column} IN ({})", list.join(",")));
        }
    };
    one_of("state", query.states.iter().copied().map(schema::state).collect());
    one_of("severity", query.severities.iter().copied().map(schema::severity).collect());
    one_of("use_case", query.use_cases.iter().copied().map(schema::use_case).collect());
    let mut compare = |term: &str, value: Value| {
        terms.push(term.to_owned());
        values.push(value);
    };
    if let Some(subject) = &query.subject {
        compare("subject = ?", Value::Text(subject.to_string()));
    }
    if let Some(from) = query.from {
        compare("(cleared_at IS NULL OR cleared_at >= ?)", Value::Integer(from.millis()));
    }
    if let Some(to) = query.to {
        compare("opened_at < ?", Value::Integer(to.millis()));
    }
    (terms.join(" AND "), values)
}

impl Counts {
    /// Use cases and severities in their order, those with no active alert too.
    pub fn iter(&self) -> impl Iterator<Item = &(UseCase, Severity, usize)> {
        self.0.iter()
    }

    pub(super) fn of<'a>(active: impl Iterator<Item = &'a Alert>) -> Counts {
        let mut counts = Counts(Vec::with_capacity(USE_CASES.len() * SEVERITIES.len()));
        for use_case in USE_CASES {
            counts.0.extend(SEVERITIES.map(|severity| (use_case, severity, 0)));
        }
        for alert in active {
            let matching = counts
                .0
                .iter_mut()
                .find(|(use_case, severity, _)| *use_case == alert.use_case && *severity == alert.severity);
            if let Some((.., count)) = matching {
                *count += 1;
            }
        }
        counts
    }
}

const USE_CASES: [UseCase; 3] = [UseCase::Transport, UseCase::Environment, UseCase::Manufacturing];
const SEVERITIES: [Severity; 4] = [Severity::Extreme, Severity::Severe, Severity::Moderate, Severity::Minor];
