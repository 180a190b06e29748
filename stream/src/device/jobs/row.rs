//! What a job tells, as rows.

use super::Told;
use crate::aggregate::Accumulator;
use crate::device::context::Context;
use crate::device::pipeline::Whom;
use crate::rule::Output;
use records::{Aggregate, Subject, Timestamp};

/// A row for each output of the job. As of a derived quantity its mean, smallest and greatest are one: the statistic.
/// Without a value (no usable reading, or none that can be told) nothing in it is good.
pub fn rows<'a>(
    whom: Whom<'a>,
    told: &'a Told<'a>,
    as_of: Timestamp,
    context: &'a Context,
) -> impl Iterator<Item = Aggregate> + 'a {
    let outputs = &context.rules.jobs[told.job].outputs;
    outputs.iter().filter_map(move |output| {
        Some(row(whom, told, output, told.tally.values.get(output.input)?, as_of, context))
    })
}

fn row(
    whom: Whom<'_>,
    told: &Told<'_>,
    output: &Output,
    values: &Accumulator,
    as_of: Timestamp,
    context: &Context,
) -> Aggregate {
    let is_whole = |value: &f64| (value * f64::from(values.good)).is_finite();
    let value = output.function.of(values).filter(is_whole);
    let good = if value.is_some() { values.good } else { 0 };
    let value = value.unwrap_or(0.0);
    Aggregate {
        subject: Subject::Device(whom.id.clone()),
        area: whom.area(),
        quantity: output.name.clone(),
        window: told.window,
        revision: told.revision,
        count: values.count,
        good,
        sum: value * f64::from(good),
        mean: value,
        min: value,
        max: value,
        as_of,
        is_backfill: told.window.end + context.config.backfill_after < as_of,
    }
}
