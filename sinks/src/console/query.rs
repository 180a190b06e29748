//! `/query`: several series at once, or the devices of an area or family as one, per span of event time.

use super::Context;
use super::body::{Feeder, streamed};
use super::instant::{instant, offset_minutes, span};
use super::reply::{Params, Refusal};
use super::table::{Format, Table};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use records::{Family, Name, Timestamp};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;
use store::{Spans, Store, usual_width};
use tokio::time::Instant;

const USUAL_POINTS: usize = 200;
const MOST_POINTS: usize = 10_000;
/// Series of one question, before they are joined.
const MOST_SERIES: usize = 10_000;
/// Rows of one answer.
const MOST_ROWS: usize = 1_000_000;
/// How long an answer may be worked on.
const MOST_TIME: Duration = Duration::from_secs(20);
const USUAL_RANGE: Duration = Duration::from_secs(24 * 3600);
const DAY_MINUTES: i64 = 24 * 60;

#[derive(Deserialize)]
pub struct Asked {
    device: Option<String>,
    area: Option<Name>,
    family: Option<String>,
    quantity: Option<String>,
    from: Option<String>,
    to: Option<String>,
    max_points: Option<usize>,
    bucket: Option<String>,
    tz_offset: Option<String>,
    group: Option<String>,
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
    percentiles: Vec<f64>,
}

/// What becomes one curve.
struct Curve {
    /// The device or group.
    name: Name,
    quantity: Name,
    /// The series that it is made from, as (subject, quantity).
    series: Vec<(Name, Name)>,
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
    let format = Format::of(asked.format.as_deref())?;
    let question = asked.understand(members, now)?;
    let (store, until) = (console.store.clone(), Instant::now() + MOST_TIME);
    streamed(format, &headers, move |feeder| question.answer(&store, format, until, feeder)).await
}

impl Asked {
    fn understand<'a>(
        self,
        devices: impl Iterator<Item = (&'a Name, &'a Name, Family)>,
        now: Timestamp,
    ) -> Result<Question, Refusal> {
        let to = self.to.as_deref().map_or(Ok(now + Duration::from_secs(60)), |text| instant("to", text))?;
        let from = self.from.as_deref().map_or(Ok(to - USUAL_RANGE), |text| instant("from", text))?;
        if from >= to {
            return Err(Refusal::BadRequest("from must be before to".to_owned()));
        }
        let (width, offset) = self.spans(from, to)?;
        let percentiles = percentiles(self.percentiles.as_deref())?;
        let curves = self.curves(devices)?;
        Ok(Question { curves, from, to, width, offset, percentiles })
    }

    fn spans(&self, from: Timestamp, to: Timestamp) -> Result<(Duration, Duration), Refusal> {
        let ahead = self.tz_offset.as_deref().map_or(Ok(0), |text| offset_minutes("tz_offset", text))?;
        let offset = Duration::from_secs((-ahead).rem_euclid(DAY_MINUTES).unsigned_abs() * 60);
        let points = self.max_points.unwrap_or(USUAL_POINTS);
        if !(1..=MOST_POINTS).contains(&points) {
            return Err(Refusal::BadRequest(format!("max_points: 1 to {MOST_POINTS}")));
        }
        let width = match &self.bucket {
            Some(text) => span("bucket", text)?,
            None => usual_width(from, to, points),
        };
        Ok((width, offset))
    }

    /// A curve per device and quantity, or per group and quantity.
    fn curves<'a>(
        &self,
        devices: impl Iterator<Item = (&'a Name, &'a Name, Family)>,
    ) -> Result<Vec<Curve>, Refusal> {
        let quantities = list(self.quantity.as_deref());
        if quantities.is_empty() {
            return Err(Refusal::BadRequest("name a quantity, or several with commas between".to_owned()));
        }
        let mut groups: BTreeMap<Name, Vec<Name>> = BTreeMap::new();
        for (name, area, family) in self.chosen(devices)? {
            let group = match self.group.as_deref() {
                None => name.clone(),
                Some("area") => area,
                Some("family") => family.name().into(),
                Some(_) => return Err(Refusal::BadRequest("group: area or family".to_owned())),
            };
            groups.entry(group).or_default().push(name);
        }
        let series = groups.values().map(Vec::len).sum::<usize>() * quantities.len();
        if series > MOST_SERIES {
            return Err(Refusal::TooMuch(format!("{series} series, more than {MOST_SERIES}: ask for fewer")));
        }
        let mut curves = Vec::new();
        for (group, members) in &groups {
            for quantity in &quantities {
                let series = members.iter().map(|member| (member.clone(), quantity.clone())).collect();
                curves.push(Curve { name: group.clone(), quantity: quantity.clone(), series });
            }
        }
        Ok(curves)
    }

    /// The devices that are named, or all of an area, of a family, or of both.
    fn chosen<'a>(
        &self,
        devices: impl Iterator<Item = (&'a Name, &'a Name, Family)>,
    ) -> Result<Vec<(Name, Name, Family)>, Refusal> {
        let named = list(self.device.as_deref());
        let family = self.family.as_deref().map(|name| {
            Family::from_name(name).ok_or_else(|| Refusal::BadRequest(format!("no family {name}")))
        });
        let family = family.transpose()?;
        if named.is_empty() && self.area.is_none() && family.is_none() {
            return Err(Refusal::BadRequest("name devices, an area or a family".to_owned()));
        }
        let is_chosen = |(name, area, of): &(&Name, &Name, Family)| {
            (named.is_empty() || named.contains(name))
                && self.area.as_ref().is_none_or(|wanted| wanted == *area)
                && family.is_none_or(|wanted| wanted == *of)
        };
        let chosen = devices.filter(is_chosen).map(|(name, area, of)| (name.clone(), area.clone(), of));
        Ok(chosen.collect())
    }
}

impl Question {
    /// Feeds curve after curve; stops when nobody listens any more.
    fn answer(
        &self,
        store: &Store,
        format: Format,
        until: Instant,
        feeder: &mut Feeder,
    ) -> Result<(), Refusal> {
        let quantiles: Vec<f64> = self.percentiles.iter().map(|percentile| percentile / 100.0).collect();
        let (from, to, width, offset) = (self.from, self.to, self.width, self.offset);
        let spans = Spans { from, to, width, offset, quantiles: &quantiles };
        let mut table = Table::new(format, spans, &self.percentiles);
        let mut rows = 0;
        let mut text = table.head();
        for Curve { name, quantity, series } in &self.curves {
            if Instant::now() > until {
                let longest = MOST_TIME.as_secs();
                return Err(Refusal::TooMuch(format!("it takes longer than {longest} s: ask for less")));
            }
            let joined = store.joined(series, spans)?;
            rows += joined.len();
            if rows > MOST_ROWS {
                return Err(Refusal::TooMuch(format!("more than {MOST_ROWS} rows: ask for wider buckets")));
            }
            table.curve(name, quantity, &joined, &mut text);
            if !feeder.feed(&mut text) {
                return Ok(());
            }
        }
        text.push_str(table.tail());
        feeder.feed(&mut text);
        Ok(())
    }
}

fn list(text: Option<&str>) -> Vec<Name> {
    let parts = text.unwrap_or_default().split(',').map(str::trim);
    parts.filter(|part| !part.is_empty()).map(Name::from).collect()
}

fn percentiles(text: Option<&str>) -> Result<Vec<f64>, Refusal> {
    let wrong = || Refusal::BadRequest("percentiles: numbers from 0 to 100, at most ten".to_owned());
    let found: Option<Vec<f64>> = list(text).iter().map(|part| part.parse().ok()).collect();
    let found = found.ok_or_else(wrong)?;
    let is_right = found.len() <= 10 && found.iter().all(|percentile| (0.0..=100.0).contains(percentile));
    if is_right { Ok(found) } else { Err(wrong()) }
}
