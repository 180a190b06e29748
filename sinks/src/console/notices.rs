//! `GET /notices`: what operators should know about the sinks and the store themselves.

use super::Context;
use crate::{Kind, Notice};
use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

/// Sinks that wait, and days of which files are damaged; an empty list when all is well.
pub async fn list(State(shared): Context) -> Json<Value> {
    let console = &shared.console;
    let mut notices = console.notices.all();
    notices.extend(console.store.damaged().into_iter().map(|file| Notice {
        source: "store",
        kind: Kind::Damaged,
        since: None,
        text: format!("{} rows of {} are missing: {}", file.rows, file.day, file.detail),
    }));
    Json(json!({ "notices": notices }))
}
