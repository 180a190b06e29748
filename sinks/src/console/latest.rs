//! `/latest`: the newest value of each quantity by event time, of the devices of an area or family.

use super::Context;
use super::body::streamed;
use super::curves::family;
use super::reply::{Params, Refusal};
use super::table::Format;
use crate::csv::{cell, time};
use crate::devices::{DeviceView, LatestView};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use records::Name;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fmt::Write;

#[derive(Deserialize)]
pub struct Asked {
    area: Option<Name>,
    family: Option<String>,
    quantity: Option<Name>,
    format: Option<String>,
}

pub async fn latest(
    State(shared): Context,
    headers: HeaderMap,
    Params(asked): Params<Asked>,
) -> Result<Response, Refusal> {
    let format = Format::of(asked.format.as_deref(), &[Format::Json, Format::Csv, Format::GeoJson])?;
    let family = family(asked.family.as_deref())?;
    let console = &shared.console;
    let mut devices = console.devices.views(&console.alerts.worst_by_device(), (console.clock)());
    devices.retain(|device| {
        asked.area.as_ref().is_none_or(|area| *area == device.area)
            && family.is_none_or(|family| family == device.family)
    });
    let wanted = asked.quantity;
    for device in &mut devices {
        device.latest.retain(|latest| wanted.as_ref().is_none_or(|quantity| *quantity == latest.quantity));
    }
    streamed(format, &headers, move |feeder| {
        let frame = match format {
            Format::Json | Format::Parquet => ("{\"latest\":[", ",", "]}"),
            Format::GeoJson => ("{\"type\":\"FeatureCollection\",\"features\":[", ",", "]}"),
            Format::Csv => ("device,area,family,quantity,value,unit,flag,event_time,ingest_time\r\n", "", ""),
        };
        let shown = devices.iter().filter(|device| format.shows(device));
        feeder.list(frame, shown, |device, text| format.write(device, text));
        Ok(())
    })
    .await
}

impl Format {
    /// A map has no place for what has no position.
    fn shows(self, device: &DeviceView) -> bool {
        self != Format::GeoJson || device.position.is_some()
    }

    fn write(self, device: &DeviceView, out: &mut String) {
        match self {
            Format::Json | Format::Parquet => out.push_str(&properties(device).to_string()),
            Format::GeoJson => out.push_str(&feature(device).to_string()),
            Format::Csv => device.latest.iter().for_each(|latest| row(device, latest, out)),
        }
    }
}

fn properties(device: &DeviceView) -> Value {
    json!({
        "device": device.id,
        "label": device.label,
        "area": device.area,
        "family": device.family,
        "state": device.state,
        "severity": device.severity,
        "latest": device.latest,
    })
}

fn feature(device: &DeviceView) -> Value {
    let coordinates = device.position.map(|position| [position.lon, position.lat]);
    json!({
        "type": "Feature",
        "id": device.id,
        "geometry": { "type": "Point", "coordinates": coordinates },
        "properties": properties(device),
    })
}

fn row(device: &DeviceView, latest: &LatestView, out: &mut String) {
    let flag = serde_json::to_value(latest.flag).ok();
    let flag = flag.as_ref().and_then(Value::as_str).unwrap_or_default();
    write!(
        out,
        "{},{},{},{},{},{},{flag},{},{}\r\n",
        cell(&device.id),
        cell(&device.area),
        device.family.name(),
        cell(&latest.quantity),
        latest.value,
        cell(latest.unit),
        time(latest.event_time),
        time(latest.ingest_time)
    )
    .expect("text takes everything");
}
