//! `/alerts`: how they stand, the history of one, and saying "I know".

use super::instant::instant;
use super::login::Operator;
use super::reply::{Params, Place, Refusal};
use super::{Context, Shared};
use crate::alerts::{AlertQuery, AlertView, Transition};
use crate::blocking::blocking;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, extract::rejection::JsonRejection};
use records::{Action, Alert, AlertState, Name, Verb};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

const USUAL_LIMIT: usize = 200;
const MOST: usize = 2000;
const LONGEST_NOTE: usize = 1000;

#[derive(Deserialize)]
pub struct Asked {
    state: Option<String>,
    severity: Option<String>,
    use_case: Option<String>,
    subject: Option<Name>,
    from: Option<String>,
    to: Option<String>,
    limit: Option<usize>,
}

/// The alerts asked for, the counts of active ones, and the number of the newest transition: where a feed that
/// misses nothing begins.
#[derive(Serialize)]
struct Listed {
    seq: u64,
    now: i64,
    active: Value,
    alerts: Vec<AlertView>,
}

pub async fn list(State(shared): Context, Params(asked): Params<Asked>) -> Result<Response, Refusal> {
    let query = asked.into_query()?;
    let listed = blocking(move || listed(&shared, &query)).await?;
    Ok(Json(listed).into_response())
}

fn listed(shared: &Shared, query: &AlertQuery) -> Result<Listed, Refusal> {
    let book = &shared.console.alerts;
    // First the number, then the alerts: what comes between is seen twice rather than never.
    let seq = book.newest()?;
    let active: Vec<Value> = book
        .counts()
        .iter()
        .map(|(use_case, severity, count)| json!({ "use_case": use_case, "severity": severity, "count": count }))
        .collect();
    Ok(Listed {
        seq,
        now: (shared.console.clock)().millis(),
        active: active.into(),
        alerts: book.find(query)?,
    })
}

impl Asked {
    fn into_query(self) -> Result<AlertQuery, Refusal> {
        let limit = self.limit.unwrap_or(USUAL_LIMIT);
        if limit == 0 || limit > MOST {
            return Err(Refusal::BadRequest(format!("limit: 1 to {MOST}")));
        }
        Ok(AlertQuery {
            states: self.state.as_deref().map_or(Ok(Vec::new()), states)?,
            severities: words("severity", self.severity.as_deref())?,
            use_cases: words("use_case", self.use_case.as_deref())?,
            subject: self.subject,
            from: self.from.as_deref().map(|text| instant("from", text)).transpose()?,
            to: self.to.as_deref().map(|text| instant("to", text)).transpose()?,
            limit,
        })
    }
}

/// A list of states; `active` stands for the two that are not over.
fn states(text: &str) -> Result<Vec<AlertState>, Refusal> {
    if text == "active" {
        return Ok(vec![AlertState::Open, AlertState::Acknowledged]);
    }
    words("state", Some(text))
}

/// A list of words, separated by commas, each one that `T` knows.
fn words<T: DeserializeOwned>(field: &str, text: Option<&str>) -> Result<Vec<T>, Refusal> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(Vec::new()) };
    let word = |word: &str| {
        serde_json::from_value(Value::from(word.trim()))
            .map_err(|_| Refusal::BadRequest(format!("{field}: don't know \"{word}\"")))
    };
    text.split(',').map(word).collect()
}

#[derive(Serialize)]
struct History {
    #[serde(flatten)]
    alert: AlertView,
    transitions: Vec<Numbered>,
}

#[derive(Serialize)]
struct Numbered {
    seq: u64,
    #[serde(flatten)]
    alert: Alert,
}

pub async fn one(State(shared): Context, Place(id): Place<String>) -> Result<Response, Refusal> {
    let name = id.clone();
    let found = blocking(move || shared.console.alerts.history(&id)).await?;
    let (alert, transitions) = found.ok_or_else(|| Refusal::NotFound(format!("no alert {name}")))?;
    let transitions =
        transitions.into_iter().map(|Transition { seq, alert }| Numbered { seq, alert }).collect();
    Ok(Json(History { alert, transitions }).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acknowledgement {
    id: String,
    #[serde(default)]
    note: String,
}

/// Answers 202 when the action is durable: the alert changes when the stage that raised it has read it.
pub async fn acknowledge(
    State(shared): Context,
    Extension(operator): Extension<Operator>,
    body: Result<Json<Acknowledgement>, JsonRejection>,
) -> Result<Response, Refusal> {
    let Json(Acknowledgement { id, note }) = body.map_err(|error| Refusal::BadRequest(error.body_text()))?;
    if note.chars().count() > LONGEST_NOTE {
        return Err(Refusal::BadRequest(format!("note: at most {LONGEST_NOTE} characters")));
    }
    let alert = to_acknowledge(&shared, &id).await?;
    let at = (shared.console.clock)();
    let subject = alert.subject.clone();
    let action = Action {
        alert: alert.id.clone(),
        subject,
        verb: Verb::Acknowledge,
        actor: operator.0.clone(),
        at,
        note,
    };
    tracing::info!(alert = %action.alert, actor = %action.actor, "acknowledged");
    shared.console.actions.append(action).await?;
    let accepted = json!({ "id": id, "actor": operator.0, "at": at.millis() });
    Ok((StatusCode::ACCEPTED, Json(accepted)).into_response())
}

async fn to_acknowledge(shared: &Arc<Shared>, id: &str) -> Result<Arc<Alert>, Refusal> {
    if let Some(alert) = shared.console.alerts.active(id) {
        return match alert.state {
            AlertState::Acknowledged => Err(Refusal::Conflict("somebody knows already".to_owned())),
            _ => Ok(alert),
        };
    }
    let (book, name) = (Arc::clone(&shared.console.alerts), id.to_owned());
    match blocking(move || book.history(&name)).await? {
        Some(_) => Err(Refusal::Conflict("the alert is over".to_owned())),
        None => Err(Refusal::NotFound(format!("no alert {id}"))),
    }
}
