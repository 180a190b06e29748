//! `/series`: one curve, as columns.

use super::devices::view;
use super::instant::{day_start, range, span};
use super::limits::Budget;
use super::reply::{Params, Refusal};
use super::windows::{Total, Window};
use super::{Context, Shared};
use crate::blocking::blocking;
use crate::series::area_series;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use records::{Name, Quantity, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use store::{AggregateRow, Bucket, Points, Store};

const USUAL_POINTS: usize = 1000;
const MOST_POINTS: usize = 10_000;
const USUAL_RANGE: Duration = Duration::from_secs(24 * 3600);

#[derive(Deserialize)]
pub struct Asked {
    device: Option<Name>,
    area: Option<Name>,
    quantity: Option<Name>,
    from: Option<String>,
    to: Option<String>,
    max_points: Option<usize>,
    bucket: Option<String>,
    tz_offset: Option<String>,
    window: Option<String>,
}

/// What was asked, understood.
struct Question {
    /// The device or area, as it was named.
    name: Name,
    /// Its series in the store.
    subject: Name,
    quantity: Name,
    from: Timestamp,
    to: Timestamp,
    max_points: usize,
    shape: Shape,
}

enum Shape {
    /// Values as stored, or gathered into as many buckets as wanted.
    Fitted,
    /// Spans of one width, beginning at `offset + k × width`.
    Spans { width: Duration, offset: Duration },
    /// Windows that the stream stage closed.
    Windows { length: Duration },
}

/// A curve: one entry of each column per point. What there is no value for is `null`.
#[derive(Debug, Default, Serialize)]
struct Curve {
    /// Width of a point, ms; `null` when every point is one value as stored.
    width_ms: Option<u64>,
    t: Vec<i64>,
    mean: Vec<f64>,
    min: Vec<f64>,
    max: Vec<f64>,
    /// Values that are not missing.
    count: Vec<u64>,
    /// Share of these that is usable, 0…1.
    good: Vec<f64>,
}

#[derive(Serialize)]
struct Answer {
    subject: Name,
    quantity: Name,
    unit: &'static str,
    decimals: Option<u8>,
    from: i64,
    to: i64,
    #[serde(flatten)]
    curve: Curve,
}

pub async fn series(State(shared): Context, Params(asked): Params<Asked>) -> Result<Response, Refusal> {
    let question = asked.understand((shared.console.clock)())?;
    let budget = Budget::new(shared.console.limits);
    let answer = blocking(move || answer(&shared, question, &budget)).await?;
    Ok(Json(answer).into_response())
}

impl Asked {
    fn understand(self, now: Timestamp) -> Result<Question, Refusal> {
        let (name, subject) = match (self.device, self.area) {
            (Some(device), None) => (device.clone(), device),
            (None, Some(area)) => (area.clone(), area_series(&area)),
            _ => return Err(Refusal::BadRequest("name a device or an area".to_owned())),
        };
        let quantity = self.quantity.ok_or_else(|| Refusal::BadRequest("name a quantity".to_owned()))?;
        let (from, to) = range(self.from.as_deref(), self.to.as_deref(), now, USUAL_RANGE)?;
        let max_points = self.max_points.unwrap_or(USUAL_POINTS);
        if !(1..=MOST_POINTS).contains(&max_points) {
            return Err(Refusal::BadRequest(format!("max_points: 1 to {MOST_POINTS}")));
        }
        let shape = shape(self.bucket, self.tz_offset, self.window)?;
        Ok(Question { name, subject, quantity, from, to, max_points, shape })
    }
}

fn shape(
    bucket: Option<String>,
    tz_offset: Option<String>,
    window: Option<String>,
) -> Result<Shape, Refusal> {
    match (bucket, window) {
        (Some(_), Some(_)) => Err(Refusal::BadRequest("bucket or window, not both".to_owned())),
        (None, None) => Ok(Shape::Fitted),
        (None, Some(window)) => Ok(Shape::Windows { length: span("window", &window)? }),
        (Some(bucket), None) => {
            let offset = day_start("tz_offset", tz_offset.as_deref())?;
            Ok(Shape::Spans { width: span("bucket", &bucket)?, offset })
        }
    }
}

fn answer(shared: &Arc<Shared>, question: Question, budget: &Budget) -> Result<Answer, Refusal> {
    let Question { name, quantity, from, to, .. } = &question;
    let curve = question.ask(&budget.limited(&shared.console.store), budget)?;
    if curve.t.is_empty() && !question.is_about_known(shared) {
        return Err(Refusal::NotFound(format!("nothing is known of {name}")));
    }
    let info = Quantity::from_name(quantity).info();
    Ok(Answer {
        subject: name.clone(),
        quantity: quantity.clone(),
        unit: info.map_or("", |info| info.unit),
        decimals: info.map(|info| info.decimals),
        from: from.millis(),
        to: to.millis(),
        curve,
    })
}

impl Question {
    fn is_about_known(&self, shared: &Arc<Shared>) -> bool {
        let Question { name, subject, .. } = self;
        let is_area = name != subject;
        let is_registered = if is_area {
            !shared.console.devices.in_area(name).is_empty()
        } else {
            view(shared, name).is_some()
        };
        is_registered || !shared.console.store.series(subject).is_empty()
    }

    fn ask(&self, store: &Store, budget: &Budget) -> Result<Curve, Refusal> {
        let refused = |error| budget.stopped(error);
        let Question { subject, quantity, from, to, max_points, shape, .. } = self;
        match shape {
            Shape::Fitted => {
                let points = store.range(subject, quantity, *from, *to, *max_points);
                Ok(points.map_err(refused)?.into())
            }
            Shape::Spans { width, offset } => {
                let buckets =
                    store.buckets(subject, quantity, *from, *to, *width, *offset).map_err(refused)?;
                if buckets.len() > MOST_POINTS {
                    return Err(Refusal::TooMuch(format!(
                        "more than {MOST_POINTS} buckets: ask for wider ones"
                    )));
                }
                Ok(Curve::of_buckets(*width, &buckets))
            }
            Shape::Windows { length } => {
                let windows =
                    store.aggregates(subject, quantity, Some(*length), *from, *to).map_err(refused)?;
                Ok(Curve::of_windows(*length, &windows, *max_points))
            }
        }
    }
}

impl From<Points> for Curve {
    fn from(points: Points) -> Curve {
        Curve {
            width_ms: points.width.map(|width| width.as_millis() as u64),
            t: points.t.into_iter().map(Timestamp::millis).collect(),
            mean: points.mean,
            min: points.min,
            max: points.max,
            count: points.count,
            good: points.good_share,
        }
    }
}

impl Curve {
    fn of_buckets(width: Duration, buckets: &[Bucket]) -> Curve {
        let mut curve = Curve { width_ms: Some(width.as_millis() as u64), ..Curve::default() };
        for bucket in buckets {
            curve.push(bucket.start, [bucket.mean, bucket.min, bucket.max], bucket.count, bucket.good);
        }
        curve
    }

    /// Neighbours are joined when there are more windows than points wanted.
    fn of_windows(length: Duration, windows: &[AggregateRow], max_points: usize) -> Curve {
        let joined = windows.len().div_ceil(max_points).max(1);
        let width = length.saturating_mul(u32::try_from(joined).unwrap_or(u32::MAX));
        let mut curve = Curve { width_ms: Some(width.as_millis() as u64), ..Curve::default() };
        for group in windows.chunks(joined) {
            let windows: Vec<Window> = group.iter().map(Window::of).collect();
            let Total { mean, min, max, count, good } = Total::of(&windows);
            curve.push(group[0].window.start, [mean, min, max], count, good);
        }
        curve
    }

    fn push(&mut self, t: Timestamp, [mean, min, max]: [f64; 3], count: u64, good: u64) {
        self.t.push(t.millis());
        self.mean.push(mean);
        self.min.push(min);
        self.max.push(max);
        self.count.push(count);
        self.good.push(if count == 0 { 0.0 } else { good as f64 / count as f64 });
    }
}
