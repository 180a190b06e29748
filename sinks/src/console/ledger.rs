//! `/ledger`: what became of every message.

use super::Context;
use super::instant::instant;
use super::reply::{Params, Refusal};
use crate::blocking::blocking;
use crate::ledger::LedgerQuery;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use records::Name;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const USUAL_LIMIT: u32 = 100;
const MOST: u32 = 10_000;
const DAY: Duration = Duration::from_secs(24 * 3600);
const HOUR: Duration = Duration::from_secs(3600);

#[derive(Deserialize)]
pub struct Asked {
    device: Option<Name>,
    from: Option<String>,
    to: Option<String>,
    limit: Option<u32>,
}

pub async fn list(State(shared): Context, Params(asked): Params<Asked>) -> Result<Response, Refusal> {
    let limit = asked.limit.unwrap_or(USUAL_LIMIT);
    if limit == 0 || limit > MOST {
        return Err(Refusal::BadRequest(format!("limit: 1 to {MOST}")));
    }
    let given = |name, text: &Option<String>| text.as_deref().map(|text| instant(name, text)).transpose();
    let to = given("to", &asked.to)?.unwrap_or_else(|| (shared.console.clock)() + HOUR);
    let from = given("from", &asked.from)?.unwrap_or(to - DAY);
    let query = LedgerQuery { device: asked.device, from, to, limit };
    let book = Arc::clone(&shared.console.ledger);
    let (hours, total) = blocking(move || book.find(&query)).await?;
    Ok(Json(json!({ "hours": hours, "total": total })).into_response())
}
