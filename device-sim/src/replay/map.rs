//! How the columns of a table become readings.

use super::table::Table;
use crate::city::Message;
use firmware_protocol::{FrameContent, FrameQuantity, FrameReading, TelemetryFrame, is_device_id};
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A map, as its file says it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Map {
    /// The device that every row is of.
    pub device: Option<String>,
    /// Or the column that names it.
    pub device_column: Option<String>,
    /// The device's epoch; another one makes a second replay count as new.
    #[serde(default = "one")]
    pub epoch: u32,
    /// Fields that stand for no value.
    #[serde(default = "blank")]
    pub missing: Vec<String>,
    /// Where the time is.
    pub time: TimeMap,
    /// Where the values are.
    pub reading: Vec<ReadingMap>,
}

/// Where the time is.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeMap {
    /// Text with the names of columns in braces: `{date}`, or `1973-{Month}-{Day} 12:00`.
    pub text: String,
    /// How to read the text: strptime conversions, `rfc3339`, `unix_s` or `unix_ms`.
    pub format: String,
    /// IANA time zone of a text without an offset.
    #[serde(default = "utc")]
    pub zone: String,
}

/// A column of values.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadingMap {
    /// Its name.
    pub column: String,
    /// What it measures.
    pub quantity: String,
    /// What its values are multiplied by to get the quantity's unit.
    #[serde(default = "unity")]
    pub factor: f64,
    /// What is added then.
    #[serde(default)]
    pub offset: f64,
}

fn one() -> u32 {
    1
}

fn unity() -> f64 {
    1.0
}

fn utc() -> String {
    "UTC".to_string()
}

fn blank() -> Vec<String> {
    vec![String::new(), "NA".to_string()]
}

impl Map {
    /// The messages of each device, in the order of their rows: one a row, its number among the device's rows
    /// as sequence. Every problem of map and rows, with its line, when there is one.
    pub fn messages(&self, table: &Table) -> Result<BTreeMap<String, Vec<Message>>, Vec<String>> {
        let plan = Plan::new(self, table)?;
        let (mut messages, mut problems) = (BTreeMap::<String, Vec<Message>>::new(), Vec::new());
        for (line, fields) in &table.rows {
            match plan.row(fields) {
                Ok((device, time, readings)) => {
                    let of_device = messages.entry(device).or_default();
                    let sequence = of_device.len() as u64;
                    of_device.push(self.message(sequence, time, readings));
                }
                Err(problem) => problems.push(format!("line {line}: {problem}")),
            }
        }
        if problems.is_empty() { Ok(messages) } else { Err(problems) }
    }

    fn message(&self, sequence: u64, time: i64, readings: Vec<FrameReading>) -> Message {
        let content = FrameContent::Readings(readings);
        let frame = TelemetryFrame {
            epoch: self.epoch,
            sequence: Some(sequence),
            time: Some(time),
            position: None,
            content,
        };
        let payload = frame.to_cbor().expect("the plan has checked names, counts, times and values");
        Message { sequence, time, payload }
    }
}

/// A map whose names were found in a table.
struct Plan<'a> {
    device: Device<'a>,
    time: Template<'a>,
    format: &'a str,
    zone: TimeZone,
    missing: &'a [String],
    readings: Vec<(usize, FrameQuantity, f64, f64)>,
}

/// A text with columns in it.
struct Template<'a> {
    /// Each column with the text before it.
    parts: Vec<(&'a str, usize)>,
    end: &'a str,
}

enum Device<'a> {
    Constant(&'a str),
    Column(usize),
}

impl<'a> Plan<'a> {
    fn new(map: &'a Map, table: &Table) -> Result<Plan<'a>, Vec<String>> {
        let mut problems = Vec::new();
        let column = |name: &str, at: &str| {
            table.column(name).ok_or_else(|| format!("{at}: the table has no column {name:?}"))
        };
        let device = keep(&mut problems, device(map, column));
        let time = keep(&mut problems, template(&map.time.text, column));
        let zone =
            TimeZone::get(&map.time.zone).map_err(|_| format!("time.zone: unknown zone {:?}", map.time.zone));
        let zone = keep(&mut problems, zone);
        let mut readings = Vec::new();
        for (index, reading) in map.reading.iter().enumerate() {
            readings.extend(keep(
                &mut problems,
                reading_of(reading, &format!("reading[{index}]"), column, &readings),
            ));
        }
        if !(1..=firmware_protocol::MAX_READINGS).contains(&map.reading.len()) {
            problems.push("reading: there must be 1 to 256".to_string());
        }
        match (device, time, zone) {
            (Some(device), Some(time), Some(zone)) if problems.is_empty() => {
                Ok(Plan { device, time, format: &map.time.format, zone, missing: &map.missing, readings })
            }
            _ => Err(problems),
        }
    }

    fn row(&self, fields: &[String]) -> Result<(String, i64, Vec<FrameReading>), String> {
        let field = |column: usize| fields.get(column).map_or("", String::as_str);
        let device = match self.device {
            Device::Constant(device) => device,
            Device::Column(column) => field(column),
        };
        if !is_device_id(device) {
            return Err(format!("{device:?} is no device id"));
        }
        let parts = self.time.parts.iter().flat_map(|(before, column)| [*before, field(*column)]);
        let text: String = parts.chain([self.time.end]).collect();
        let time = self
            .instant(&text)
            .ok_or_else(|| format!("{text:?} is no time of the form {:?}", self.format))?;
        let mut readings = Vec::with_capacity(self.readings.len());
        for (column, quantity, factor, offset) in &self.readings {
            let text = field(*column).trim();
            if self.missing.iter().any(|missing| missing == text) {
                continue;
            }
            let number = text.parse::<f64>().map(|number| number * factor + offset).ok();
            let value =
                number.filter(|value| value.is_finite()).ok_or_else(|| format!("{text:?} is no number"))?;
            readings.push(FrameReading { quantity: quantity.clone(), value });
        }
        Ok((device.to_string(), time, readings))
    }

    /// Milliseconds since 1970 of a text, within the years that a frame may carry.
    fn instant(&self, text: &str) -> Option<i64> {
        let time = match self.format {
            "rfc3339" => firmware_protocol::parse_rfc3339(text)?,
            "unix_ms" => text.trim().parse().ok()?,
            "unix_s" => {
                (text.trim().parse::<f64>().ok().filter(|time| time.is_finite())? * 1e3).round() as i64
            }
            format => {
                let parsed = strtime::parse(format, text).ok()?;
                match parsed.offset() {
                    Some(_) => parsed.to_timestamp().ok()?.as_millisecond(),
                    None => self.zone.to_timestamp(parsed.to_datetime().ok()?).ok()?.as_millisecond(),
                }
            }
        };
        (firmware_protocol::MIN_TIME..=firmware_protocol::MAX_TIME).contains(&time).then_some(time)
    }
}

fn device<'a>(
    map: &'a Map,
    column: impl Fn(&str, &str) -> Result<usize, String>,
) -> Result<Device<'a>, String> {
    match (&map.device, &map.device_column) {
        (Some(device), None) if is_device_id(device) => Ok(Device::Constant(device)),
        (Some(device), None) => Err(format!("device: {device:?} is no device id")),
        (None, Some(name)) => column(name, "device_column").map(Device::Column),
        _ => Err("device: give either device or device_column".to_string()),
    }
}

fn template(
    text: &str,
    column: impl Fn(&str, &str) -> Result<usize, String>,
) -> Result<Template<'_>, String> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or("time.text: a brace is not closed")?;
        parts.push((before, column(name, "time.text")?));
        rest = after;
    }
    Ok(Template { parts, end: rest })
}

fn reading_of(
    reading: &ReadingMap,
    at: &str,
    column: impl Fn(&str, &str) -> Result<usize, String>,
    earlier: &[(usize, FrameQuantity, f64, f64)],
) -> Result<(usize, FrameQuantity, f64, f64), String> {
    let place = column(&reading.column, at)?;
    let quantity = FrameQuantity::from_name(&reading.quantity);
    let name_length = 1..=firmware_protocol::MAX_NAME;
    if !name_length.contains(&reading.quantity.len()) || reading.quantity.chars().any(char::is_control) {
        return Err(format!("{at}: {:?} is no name of a quantity", reading.quantity));
    }
    if earlier.iter().any(|(_, other, ..)| *other == quantity) {
        return Err(format!("{at}: {:?} is measured twice", reading.quantity));
    }
    if !reading.factor.is_finite() || !reading.offset.is_finite() {
        return Err(format!("{at}: factor and offset must be finite"));
    }
    Ok((place, quantity, reading.factor, reading.offset))
}

fn keep<T>(problems: &mut Vec<String>, result: Result<T, String>) -> Option<T> {
    result.map_err(|problem| problems.push(problem)).ok()
}
