//! `/happenings`: where a tag was, what a reader saw, what passed a detector.

use super::body::streamed;
use super::instant::range;
use super::limits::Budget;
use super::reply::{Params, Refusal};
use super::table::Format;
use super::{ConsoleState, Context};
use crate::blocking::blocking;
use crate::csv::{cell, time};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use records::{Name, Timestamp, VehicleClass};
use serde::Deserialize;
use serde_json::json;
use std::fmt::Write;
use std::time::Duration;
use store::{Happening, HappeningRow, StoreError, Trace};

const USUAL_RANGE: Duration = Duration::from_secs(7 * 24 * 3600);
const USUAL_ROWS: usize = 1_000;
const MOST_ROWS: usize = 100_000;

#[derive(Deserialize)]
pub struct Asked {
    kind: Option<String>,
    tag: Option<String>,
    device: Option<String>,
    area: Option<Name>,
    from: Option<String>,
    to: Option<String>,
    limit: Option<usize>,
    format: Option<String>,
}

pub async fn happenings(
    State(shared): Context,
    headers: HeaderMap,
    Params(asked): Params<Asked>,
) -> Result<Response, Refusal> {
    let console = &shared.console;
    let now = (console.clock)();
    let format = Format::of(asked.format.as_deref(), &[Format::Json, Format::Csv])?;
    let kinds = kinds(asked.kind.as_deref())?;
    let (from, to) = range(asked.from.as_deref(), asked.to.as_deref(), now, USUAL_RANGE)?;
    let limit = asked.limit.unwrap_or(USUAL_ROWS);
    if !(1..=MOST_ROWS).contains(&limit) {
        return Err(Refusal::BadRequest(format!("limit: 1 to {MOST_ROWS}")));
    }
    let named: Option<Vec<Name>> =
        asked.device.as_deref().map(|text| text.split(',').map(|id| Name::from(id.trim())).collect());
    let (there, area) = (asked.area.as_ref().map(|area| members(console, area, now)), asked.area);
    let budget = Budget::new(console.limits);
    let (store, tag) = (budget.limited(&console.store), asked.tag.map(|tag| tag.to_ascii_uppercase()));
    let rows = blocking(move || {
        let all = Trace {
            kinds: &kinds,
            tag: tag.as_deref(),
            devices: named.as_deref(),
            area: None,
            from,
            to,
            limit,
        };
        let Some(there) = there else { return store.trace(all) };
        // A sighting knows its area; where the rest happened is known by who stands there now.
        let (seen, rest): (Vec<_>, Vec<_>) = kinds.iter().partition(|kind| **kind == Happening::Sighting);
        let there: Vec<Name> =
            there.into_iter().filter(|id| named.as_ref().is_none_or(|named| named.contains(id))).collect();
        let mut rows = store.trace(Trace { kinds: &seen, area: area.as_deref(), ..all })?;
        rows.extend(store.trace(Trace { kinds: &rest, devices: Some(&there), ..all })?);
        rows.sort_by_key(|row| row.at);
        if rows.len() > limit { Err(StoreError::TooManyRows { limit }) } else { Ok(rows) }
    })
    .await
    .map_err(|error| budget.stopped(error))?;
    streamed(format, &headers, move |feeder| {
        let frame = match format {
            Format::Csv => {
                ("kind,device,tag,area,at,until,ingest_time,count,place,rssi,speed,class\r\n", "", "")
            }
            _ => ("{\"happenings\":[", ",", "]}"),
        };
        feeder.list(frame, &rows, |row, text| match format {
            Format::Csv => csv(row, text),
            _ => text.push_str(&as_json(row)),
        });
        Ok(())
    })
    .await
}

fn members(console: &ConsoleState, area: &Name, now: Timestamp) -> Vec<Name> {
    let views = console.devices.views(&console.alerts.worst_by_device(), now);
    views.into_iter().filter(|device| device.area == *area).map(|device| device.id).collect()
}

fn kinds(text: Option<&str>) -> Result<Vec<Happening>, Refusal> {
    let Some(text) = text else { return Ok(vec![Happening::Sighting]) };
    let kind = |name: &str| {
        Happening::from_name(name.trim())
            .ok_or_else(|| Refusal::BadRequest("kind: sighting, tag_read, passage".to_owned()))
    };
    text.split(',').map(kind).collect()
}

fn as_json(row: &HappeningRow) -> String {
    json!({
        "kind": row.kind.name(), "device": row.device, "tag": row.tag, "area": row.area,
        "at": time(row.at), "until": time(row.until), "ingest_time": time(row.ingest_time),
        "count": row.count, "place": (row.place > 0).then_some(row.place), "rssi": row.rssi,
        "speed": row.speed, "class": class(row),
    })
    .to_string()
}

fn csv(row: &HappeningRow, text: &mut String) {
    let [tag, area] = [&row.tag, &row.area].map(|name| name.as_deref().map(cell).unwrap_or_default());
    let [rssi, speed] =
        [row.rssi, row.speed].map(|value| value.map(|value| value.to_string()).unwrap_or_default());
    let place = if row.place > 0 { row.place.to_string() } else { String::new() };
    let [at, until, ingest_time] = [row.at, row.until, row.ingest_time].map(time);
    let _ = write!(
        text,
        "{},{},{tag},{area},{at},{until},{ingest_time},{},{place},{rssi},{speed},{}\r\n",
        row.kind.name(),
        cell(&row.device),
        row.count,
        class(row).unwrap_or_default(),
    );
}

fn class(row: &HappeningRow) -> Option<&'static str> {
    let class = VehicleClass::ALL.into_iter().find(|class| *class as u8 == row.class);
    match class.filter(|_| row.kind == Happening::Passage)? {
        VehicleClass::Unknown => None,
        VehicleClass::Car => Some("car"),
        VehicleClass::Truck => Some("truck"),
        VehicleClass::Bus => Some("bus"),
        VehicleClass::TwoWheeler => Some("two_wheeler"),
    }
}
