//! `/devices`, `/areas`, `/quantities` and `/quarantine`.

use super::reply::{Params, Place, Refusal};
use super::{Context, Shared};
use crate::blocking::blocking;
use crate::devices::DeviceView;
use crate::series::area_series;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use records::{Name, Quantity};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use store::{SeriesInfo, SeriesKind};

const USUAL_LIMIT: u32 = 20;
const MOST: u32 = 1000;

pub async fn list(State(shared): Context) -> Response {
    let now = (shared.console.clock)();
    let devices = shared.console.devices.views(&shared.console.alerts.worst_by_device(), now);
    Json(json!({ "now": now.millis(), "devices": devices })).into_response()
}

#[derive(Serialize)]
struct Described {
    now: i64,
    #[serde(flatten)]
    device: DeviceView,
    series: Vec<Value>,
}

pub async fn one(State(shared): Context, Place(id): Place<Name>) -> Result<Response, Refusal> {
    let now = (shared.console.clock)();
    let device = view(&shared, &id).ok_or_else(|| Refusal::NotFound(format!("no device {id}")))?;
    let store = shared.console.store.clone();
    let series = blocking(move || store.series(&id)).await.iter().map(described).collect();
    Ok(Json(Described { now: now.millis(), device, series }).into_response())
}

/// An area: the devices in it, and the series that roll up into it.
pub async fn area(State(shared): Context, Place(id): Place<Name>) -> Result<Response, Refusal> {
    let members = shared.console.devices.in_area(&id);
    let (store, subject) = (shared.console.store.clone(), area_series(&id));
    let series: Vec<Value> = blocking(move || store.series(&subject)).await.iter().map(described).collect();
    if members.is_empty() && series.is_empty() {
        return Err(Refusal::NotFound(format!("no area {id}")));
    }
    let now = (shared.console.clock)().millis();
    Ok(Json(json!({ "now": now, "area": id, "devices": members, "series": series })).into_response())
}

pub(super) fn view(shared: &Arc<Shared>, id: &str) -> Option<DeviceView> {
    let worst = shared.console.alerts.worst_by_device().get(id).copied();
    shared.console.devices.view(id, worst, (shared.console.clock)())
}

fn described(info: &SeriesInfo) -> Value {
    let window_ms = match info.kind {
        SeriesKind::Raw => None,
        SeriesKind::Window(length) => Some(length.as_millis() as u64),
    };
    json!({
        "quantity": info.quantity,
        "unit": Quantity::from_name(&info.quantity).info().map_or("", |info| info.unit),
        "window_ms": window_ms,
        "first": info.first.millis(),
        "last": info.last.millis(),
        "rows": info.count,
    })
}

pub async fn quantities() -> Response {
    let quantities: Vec<Value> = Quantity::registry()
        .iter()
        .map(|info| {
            json!({
                "name": info.name,
                "unit": info.unit,
                "min": info.min,
                "max": info.max,
                "decimals": info.decimals,
                "families": info.families,
            })
        })
        .collect();
    Json(json!({ "quantities": quantities })).into_response()
}

#[derive(Deserialize)]
pub struct AskedRefused {
    device: Option<Name>,
    limit: Option<u32>,
}

pub async fn quarantine(
    State(shared): Context,
    Params(AskedRefused { device, limit }): Params<AskedRefused>,
) -> Result<Response, Refusal> {
    let limit = limit.unwrap_or(USUAL_LIMIT);
    if limit == 0 || limit > MOST {
        return Err(Refusal::BadRequest(format!("limit: 1 to {MOST}")));
    }
    let devices = Arc::clone(&shared.console.devices);
    let refused = blocking(move || devices.quarantined(device.as_deref(), limit)).await?;
    Ok(Json(json!({ "quarantine": refused })).into_response())
}
