//! Curves as text: columns in JSON, rows in CSV.

use super::reply::Refusal;
use records::{Quantity, Timestamp};
use serde_json::{Value, json};
use std::fmt::Write;
use store::{Joined, Spans};

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One object; a column per list.
    Json,
    /// A header and a row per span.
    Csv,
    /// A FeatureCollection (RFC 7946).
    GeoJson,
}

impl Format {
    /// The format of that name; JSON when none is named.
    pub fn of(name: Option<&str>) -> Result<Format, Refusal> {
        match name {
            None | Some("json") => Ok(Format::Json),
            Some("csv") => Ok(Format::Csv),
            _ => Err(Refusal::BadRequest("format: json or csv".to_owned())),
        }
    }

    /// For the header `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Csv => "text/csv; charset=utf-8",
            Format::GeoJson => "application/geo+json",
        }
    }
}

/// Curves of one answer, one after the other.
pub struct Table<'a> {
    format: Format,
    spans: Spans<'a>,
    percentiles: &'a [f64],
    has_curve: bool,
}

impl<'a> Table<'a> {
    /// An empty one; `percentiles` name what the quantiles of `spans` are.
    pub fn new(format: Format, spans: Spans<'a>, percentiles: &'a [f64]) -> Table<'a> {
        Table { format, spans, percentiles, has_curve: false }
    }

    /// What stands before the first curve.
    pub fn head(&self) -> String {
        if self.format == Format::Csv {
            let more: String = self.percentiles.iter().map(|percentile| format!(",p{percentile}")).collect();
            return format!("series,quantity,time,mean,min,max,count,good{more}\r\n");
        }
        let Spans { from, to, width, .. } = self.spans;
        let (from, to, width) = (from.millis(), to.millis(), width.as_millis());
        format!("{{\"from\":{from},\"to\":{to},\"width_ms\":{width},\"series\":[")
    }

    /// What stands behind the last.
    pub fn tail(&self) -> &'static str {
        if self.format == Format::Csv { "" } else { "]}" }
    }

    /// Appends a curve.
    pub fn curve(&mut self, name: &str, quantity: &str, points: &[Joined], out: &mut String) {
        match self.format {
            Format::Csv => points.iter().for_each(|point| row(name, quantity, point, out)),
            _ => {
                if self.has_curve {
                    out.push(',');
                }
                out.push_str(&self.columns(name, quantity, points).to_string());
            }
        }
        self.has_curve = true;
    }

    fn columns(&self, name: &str, quantity: &str, points: &[Joined]) -> Value {
        let of = |value: fn(&Joined) -> f64| points.iter().map(value).collect::<Vec<f64>>();
        let mut curve = json!({
            "series": name,
            "quantity": quantity,
            "unit": Quantity::from_name(quantity).info().map_or("", |info| info.unit),
            "t": points.iter().map(|point| point.bucket.start.millis()).collect::<Vec<_>>(),
            "mean": of(|point| point.bucket.mean),
            "min": of(|point| point.bucket.min),
            "max": of(|point| point.bucket.max),
            "count": points.iter().map(|point| point.bucket.count).collect::<Vec<_>>(),
            "good": of(good_share),
        });
        for (index, percentile) in self.percentiles.iter().enumerate() {
            let values: Vec<f64> = points.iter().map(|point| point.quantiles[index]).collect();
            curve[format!("p{percentile}")] = json!(values);
        }
        curve
    }
}

fn row(name: &str, quantity: &str, point: &Joined, out: &mut String) {
    let bucket = &point.bucket;
    out.push_str(&cell(name));
    for text in [cell(quantity), time(bucket.start)] {
        out.push(',');
        out.push_str(&text);
    }
    for value in [bucket.mean, bucket.min, bucket.max] {
        number(value, out);
    }
    write!(out, ",{}", bucket.count).expect("text takes everything");
    number(good_share(point), out);
    point.quantiles.iter().for_each(|value| number(*value, out));
    out.push_str("\r\n");
}

/// Share of the values that is usable, 0…1.
fn good_share(point: &Joined) -> f64 {
    if point.bucket.count == 0 { 0.0 } else { point.bucket.good as f64 / point.bucket.count as f64 }
}

/// A comma and a number; what there is no value for stays empty.
fn number(value: f64, out: &mut String) {
    out.push(',');
    if value.is_finite() {
        write!(out, "{value}").expect("text takes everything");
    }
}

/// A cell of CSV (RFC 4180), quoted where it must be. What a spreadsheet would take for a formula gets an
/// apostrophe in front: names come from devices.
pub fn cell(text: &str) -> String {
    let text =
        if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// RFC 3339, UTC.
pub fn time(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.millis()).map_or_else(|_| at.to_string(), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let check = |text: &str, expected: &str| assert_eq!(cell(text), expected, "{text}");
        check("air-1", "air-1");
        check("a,b", "\"a,b\"");
        check("a \"b\"", "\"a \"\"b\"\"\"");
        check("two\nlines", "\"two\nlines\"");
        check("=1+1", "'=1+1");
    }
}
