//! Curves as text: columns in JSON, rows in CSV.

use super::body::Feeder;
use super::reply::Refusal;
use crate::csv::{cell, time};
use records::{Quantity, Timestamp};
use serde_json::Value;
use std::fmt::Write;
use std::time::Duration;
use store::{Bucket, Joined};

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One object; a column per list.
    Json,
    /// A header and a row per span.
    Csv,
    /// A FeatureCollection (RFC 7946).
    GeoJson,
    /// The columns of CSV, typed and packed.
    Parquet,
}

impl Format {
    /// The format of that name among those that an answer comes in; the first when none is named.
    pub fn of(name: Option<&str>, offered: &[Format]) -> Result<Format, Refusal> {
        let found = offered.iter().find(|format| name.is_none_or(|name| name == format.name()));
        found.copied().ok_or_else(|| {
            let names: Vec<&str> = offered.iter().map(|format| format.name()).collect();
            let (last, others) = names.split_last().expect("an answer comes in some format");
            Refusal::BadRequest(format!("format: {} or {last}", others.join(", ")))
        })
    }

    fn name(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Csv => "csv",
            Format::GeoJson => "geojson",
            Format::Parquet => "parquet",
        }
    }

    /// For the header `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Csv => "text/csv; charset=utf-8",
            Format::GeoJson => "application/geo+json",
            Format::Parquet => "application/vnd.apache.parquet",
        }
    }
}

/// What was found in one span of event time.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Where the span begins, ms.
    pub start: i64,
    pub mean: f64,
    pub min: f64,
    pub max: f64,
    /// Values that are not missing.
    pub count: u64,
    /// Of these, the usable ones.
    pub good: u64,
    /// Of windows: the highest of theirs.
    pub revision: Option<u32>,
    /// Percentiles.
    pub more: Vec<f64>,
}

impl Row {
    /// Share of the values that is usable, 0…1.
    pub fn good_share(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.good as f64 / self.count as f64 }
    }

    /// What it takes in memory with so many percentiles.
    pub fn bytes(more: usize) -> usize {
        size_of::<Row>() + more * size_of::<f64>()
    }
}

impl From<Joined> for Row {
    fn from(Joined { bucket, quantiles }: Joined) -> Row {
        let Bucket { start, count, good, min, mean, max } = bucket;
        Row { start: start.millis(), mean, min, max, count, good, revision: None, more: quantiles }
    }
}

/// What all rows of an answer have in common.
pub struct Head {
    pub from: Timestamp,
    pub to: Timestamp,
    pub width: Duration,
    /// Whether rows are of stored windows.
    pub has_revision: bool,
    /// Names of percentiles.
    pub more: Vec<String>,
}

/// Curves of one answer as text, one after the other.
pub struct Table {
    format: Format,
    head: Head,
    has_curve: bool,
}

impl Table {
    /// An empty one, JSON or CSV.
    pub fn new(format: Format, head: Head) -> Table {
        Table { format, head, has_curve: false }
    }

    /// What stands before the first curve.
    pub fn head(&self) -> String {
        let Head { from, to, width, has_revision, more } = &self.head;
        if self.format == Format::Csv {
            let revision = if *has_revision { ",revision" } else { "" };
            let more: String = more.iter().map(|name| format!(",{name}")).collect();
            return format!("series,quantity,time,mean,min,max,count,good{revision}{more}\r\n");
        }
        let (from, to, width) = (from.millis(), to.millis(), width.as_millis());
        format!("{{\"from\":{from},\"to\":{to},\"width_ms\":{width},\"series\":[")
    }

    /// What stands behind the last.
    pub fn tail(&self) -> &'static str {
        if self.format == Format::Csv { "" } else { "]}" }
    }

    /// Writes a curve. `false` when nobody listens any more.
    pub fn curve(&mut self, name: &str, quantity: &str, rows: &[Row], out: &mut Feeder) -> bool {
        let mut text = String::new();
        if self.format == Format::Csv {
            let names = format!("{},{}", cell(name), cell(quantity));
            return rows.iter().all(|row| {
                csv_row(&names, row, &mut text);
                out.feed(&mut text)
            });
        }
        text.push_str(if self.has_curve { ",{" } else { "{" });
        self.has_curve = true;
        let unit = Quantity::from_name(quantity).info().map_or("", |info| info.unit);
        for (key, value) in [("series", name), ("quantity", quantity), ("unit", unit)] {
            write!(text, "\"{key}\":{},", Value::from(value)).expect("text takes everything");
        }
        self.columns(rows, &mut text, out) && {
            text.push('}');
            out.feed(&mut text)
        }
    }

    fn columns(&self, rows: &[Row], text: &mut String, out: &mut Feeder) -> bool {
        let mut column = |name: &str, value: &dyn Fn(&Row, &mut String)| {
            text.push_str(if name == "t" { "" } else { "," });
            write!(text, "\"{name}\":[").expect("text takes everything");
            let all = rows.iter().enumerate().all(|(index, row)| {
                text.push_str(if index > 0 { "," } else { "" });
                value(row, text);
                out.feed(text)
            });
            text.push(']');
            all
        };
        let has_revision = self.head.has_revision;
        column("t", &|row, text| text.push_str(&row.start.to_string()))
            && column("mean", &|row, text| json_number(row.mean, text))
            && column("min", &|row, text| json_number(row.min, text))
            && column("max", &|row, text| json_number(row.max, text))
            && column("count", &|row, text| text.push_str(&row.count.to_string()))
            && column("good", &|row, text| json_number(row.good_share(), text))
            && (!has_revision
                || column("revision", &|row, text| text.push_str(&row.revision.unwrap_or(0).to_string())))
            && (self.head.more.iter().enumerate())
                .all(|(index, name)| column(name, &|row, text| json_number(row.more[index], text)))
    }
}

/// A number as serde_json has it; `null` for what there is no value for.
fn json_number(value: f64, out: &mut String) {
    write!(out, "{}", Value::from(value)).expect("text takes everything");
}

fn csv_row(names: &str, row: &Row, out: &mut String) {
    write!(out, "{names},{}", time(Timestamp(row.start))).expect("text takes everything");
    for value in [row.mean, row.min, row.max] {
        number(value, out);
    }
    write!(out, ",{}", row.count).expect("text takes everything");
    number(row.good_share(), out);
    if let Some(revision) = row.revision {
        write!(out, ",{revision}").expect("text takes everything");
    }
    row.more.iter().for_each(|value| number(*value, out));
    out.push_str("\r\n");
}

/// A comma and a number; what there is no value for stays empty.
fn number(value: f64, out: &mut String) {
    out.push(',');
    if value.is_finite() {
        write!(out, "{value}").expect("text takes everything");
    }
}
