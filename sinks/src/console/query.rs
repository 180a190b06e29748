//! `/query`: several series at once, or the devices of an area or family as one, per span of event time; from raw
//! values or from stored windows.

use super::Context;
use super::body::{Feeder, streamed};
use super::columnar::Columnar;
use super::curves::{Choice, Curve, Member, list};
use super::instant::{day_start, range, span};
use super::limits::{Budget, QueryLimits};
use super::reply::{Params, Refusal};
use super::table::{Format, Head, Row, Table};
use super::windows::Windows;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use records::Timestamp;
use serde::Deserialize;
use std::time::Duration;
use store::{Spans, Store, usual_width};

const USUAL_POINTS: usize = 200;
const MOST_POINTS: usize = 10_000;
const USUAL_RANGE: Duration = Duration::from_secs(24 * 3600);
/// So much of a curve is read at once at least; limits are looked at between.
const SLICE: Duration = Duration::from_secs(8 * 24 * 3600);
/// So many windows of a series are read at once.
const SLICE_WINDOWS: u32 = 10_000;
/// So many curves are read at once at most, …
const CURVES: usize = 1_000;
/// … and so many spans of them.
const CURVE_SPANS: i64 = 100_000;

#[derive(Deserialize)]
pub struct Asked {
    #[serde(flatten)]
    choice: Choice,
    from: Option<String>,
    to: Option<String>,
    max_points: Option<String>,
    bucket: Option<String>,
    tz_offset: Option<String>,
    window: Option<String>,
    percentiles: Option<String>,
    format: Option<String>,
}

/// What was asked, understood.
struct Question {
    curves: Vec<Curve>,
    from: Timestamp,
    to: Timestamp,
    width: Duration,
    offset: Duration,
    /// Length of the stored windows to make it from, instead of raw values.
    window: Option<Duration>,
    percentiles: Vec<f64>,
}

pub async fn query(
    State(shared): Context,
    headers: HeaderMap,
    Params(asked): Params<Asked>,
) -> Result<Response, Refusal> {
    let console = &shared.console;
    let now = (console.clock)();
    let devices = console.devices.views(&console.alerts.worst_by_device(), now);
    let members = devices.iter().map(|device| (&device.id, &device.area, device.family));
    let format = Format::of(asked.format.as_deref(), &[Format::Json, Format::Csv, Format::Parquet])?;
    let question = asked.understand(members, now, console.limits)?;
    let budget = Budget::new(console.limits);
    let store = budget.limited(&console.store);
    streamed(format, &headers, move |feeder| question.answer(&store, format, budget, feeder)).await
}

impl Asked {
    fn understand<'a>(
        self,
        devices: impl Iterator<Item = Member<'a>>,
        now: Timestamp,
        limits: QueryLimits,
    ) -> Result<Question, Refusal> {
        let (from, to) = range(self.from.as_deref(), self.to.as_deref(), now, USUAL_RANGE)?;
        let window = self.window.as_deref().map(|text| span("window", text)).transpose()?;
        if window.is_none() && self.choice.is_of_areas()? {
            let message = "level=area needs window: what areas have of their own is windows";
            return Err(Refusal::BadRequest(message.to_owned()));
        }
        let (width, offset) = self.spans(from, to, window)?;
        let percentiles = percentiles(self.percentiles.as_deref())?;
        let curves = self.choice.curves(devices, limits)?;
        Ok(Question { curves, from, to, width, offset, window, percentiles })
    }

    fn spans(
        &self,
        from: Timestamp,
        to: Timestamp,
        window: Option<Duration>,
    ) -> Result<(Duration, Duration), Refusal> {
        let offset = day_start("tz_offset", self.tz_offset.as_deref())?;
        let points = self.max_points.as_deref().map_or(Ok(USUAL_POINTS), str::parse).ok();
        let points = points.filter(|points| (1..=MOST_POINTS).contains(points));
        let points = points.ok_or_else(|| Refusal::BadRequest(format!("max_points: 1 to {MOST_POINTS}")))?;
        let width = match &self.bucket {
            Some(text) => span("bucket", text)?,
            None => usual_width(from, to, points).max(window.unwrap_or_default()),
        };
        Ok((width, offset))
    }
}

impl Question {
    /// Feeds curve after curve; stops when nobody listens any more.
    fn answer(
        &self,
        store: &Store,
        format: Format,
        mut budget: Budget,
        feeder: &mut Feeder,
    ) -> Result<(), Refusal> {
        if format == Format::Parquet {
            return self.answer_columnar(store, budget, feeder);
        }
        let mut table = Table::new(format, self.head());
        if !feeder.feed(&mut table.head()) {
            return Ok(());
        }
        for curves in self.curves.chunks(self.at_once()) {
            for (curve, rows) in curves.iter().zip(self.rows(curves, store, &mut budget)?) {
                if !table.curve(&curve.name, &curve.quantity, &rows, feeder) {
                    return Ok(());
                }
            }
        }
        feeder.feed(&mut table.tail().to_owned());
        Ok(())
    }

    fn answer_columnar(&self, store: &Store, mut budget: Budget, feeder: &mut Feeder) -> Result<(), Refusal> {
        // Memory takes everything, so what fails is the way to the client, who then asks no more.
        let Ok(mut file) = Columnar::new(self.head(), feeder) else { return Ok(()) };
        for curves in self.curves.chunks(self.at_once()) {
            for (curve, rows) in curves.iter().zip(self.rows(curves, store, &mut budget)?) {
                if file.curve(&curve.name, &curve.quantity, rows).is_err() {
                    return Ok(());
                }
            }
        }
        file.end().unwrap_or_default();
        Ok(())
    }

    fn head(&self) -> Head {
        let (has_revision, mut more) = (self.window.is_some(), Vec::new());
        for percentile in &self.percentiles {
            more.push(format!("p{percentile}"));
            if has_revision {
                more.extend([format!("p{percentile}_low"), format!("p{percentile}_high")]);
            }
        }
        Head { from: self.from, to: self.to, width: self.width, has_revision, more }
    }

    /// How many curves are read at once: many of few spans, because files are read once for all of them; one by one
    /// where the values are held for percentiles, or windows are read.
    fn at_once(&self) -> usize {
        if self.window.is_some() || !self.percentiles.is_empty() {
            return 1;
        }
        let width = i64::try_from(self.width.as_millis()).unwrap_or(i64::MAX).max(1);
        let range = self.to.millis().saturating_sub(self.from.millis());
        usize::try_from(CURVE_SPANS / (range / width).max(1)).unwrap_or(1).clamp(1, CURVES)
    }

    /// The rows of each of some curves.
    fn rows(&self, curves: &[Curve], store: &Store, budget: &mut Budget) -> Result<Vec<Vec<Row>>, Refusal> {
        let mut rows: Vec<Vec<Row>> = curves.iter().map(|_| Vec::new()).collect();
        let quantiles: Vec<f64> = self.percentiles.iter().map(|percentile| percentile / 100.0).collect();
        let row_bytes = Row::bytes(self.head().more.len());
        let mut count = 0;
        for (from, to) in self.slices() {
            if !budget.has_time() {
                return Err(budget.too_long());
            }
            let held = count * row_bytes;
            let most_values = budget.room(held, size_of::<f64>());
            let (width, offset) = (self.width, self.offset);
            let spans = Spans { from, to, width, offset, quantiles: &quantiles, most_values };
            let found = match self.window {
                Some(length) => self.windows(curves, length, store, spans, held, budget)?,
                None => values(curves, store, spans, budget)?,
            };
            let before = count;
            for (rows, found) in rows.iter_mut().zip(found) {
                count += found.len();
                rows.extend(found);
            }
            budget.hold(count * row_bytes)?;
            budget.take_rows(count - before)?;
        }
        Ok(rows)
    }

    fn windows(
        &self,
        curves: &[Curve],
        length: Duration,
        store: &Store,
        spans: Spans<'_>,
        held: usize,
        budget: &Budget,
    ) -> Result<Vec<Vec<Row>>, Refusal> {
        let mut rows = Vec::with_capacity(curves.len());
        for curve in curves {
            let mut windows = Windows::default();
            for (subject, quantity) in &curve.series {
                if !budget.has_time() {
                    return Err(budget.too_long());
                }
                let found = store.aggregates(subject, quantity, Some(length), spans.from - length, spans.to);
                windows.add(
                    &found.map_err(|error| budget.refusal(error, spans.most_values))?,
                    length,
                    &spans,
                );
                budget.hold(held + windows.bytes())?;
            }
            rows.push(windows.finish(spans.quantiles).collect());
        }
        Ok(rows)
    }

    /// The range in pieces that end where spans end.
    fn slices(&self) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let most = self.window.map_or(SLICE, |length| SLICE.min(length.saturating_mul(SLICE_WINDOWS)));
        let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX / 4).max(1);
        let (width, offset) = (millis(self.width), self.offset.as_millis() as i64);
        let step = (millis(most) / width).max(1).saturating_mul(width);
        let first = (self.from.millis() - offset).div_euclid(width).saturating_mul(width) + offset;
        let (from, to) = (self.from, self.to);
        let starts = std::iter::successors(Some(first), move |start| start.checked_add(step));
        let slice =
            move |start: i64| (from.max(Timestamp(start)), to.min(Timestamp(start.saturating_add(step))));
        starts.take_while(move |start| *start < to.millis()).map(slice)
    }
}

/// The raw values of some curves per span.
fn values(
    curves: &[Curve],
    store: &Store,
    spans: Spans<'_>,
    budget: &Budget,
) -> Result<Vec<Vec<Row>>, Refusal> {
    let series: Vec<_> = curves.iter().map(|curve| curve.series.as_slice()).collect();
    let joined = store.joined(&series, spans).map_err(|error| budget.refusal(error, spans.most_values))?;
    Ok(joined.into_iter().map(|rows| rows.into_iter().map(Row::from).collect()).collect())
}

fn percentiles(text: Option<&str>) -> Result<Vec<f64>, Refusal> {
    let wrong = || Refusal::BadRequest("percentiles: numbers from 0 to 100, at most ten".to_owned());
    let found: Option<Vec<f64>> = list(text).iter().map(|part| part.parse().ok()).collect();
    let found = found.ok_or_else(wrong)?;
    let is_right = found.len() <= 10 && found.iter().all(|percentile| (0.0..=100.0).contains(percentile));
    if is_right { Ok(found) } else { Err(wrong()) }
}
