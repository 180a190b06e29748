//! What a job tells, as rows.

use super::Told;
use crate::aggregate::Accumulator;
use crate::device::context::Context;
use crate::device::pipeline::Whom;
use crate::expression::Scope;
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
    let is_told = !told.tally.values.is_empty();
    outputs.iter().filter(move |_| is_told).map(move |output| row(whom, told, output, as_of, context))
}

/// The statistics that an output is made of, as variables.
struct Statistics<'a> {
    output: &'a Output,
    values: &'a [Accumulator],
}

impl Statistics<'_> {
    /// The least of the inputs: nothing is known better than what it is made of.
    fn least(&self, of: impl Fn(&Accumulator) -> u32) -> u32 {
        let inputs = self.output.statistics.iter().filter_map(|(_, input)| self.values.get(*input));
        inputs.map(of).min().unwrap_or(0)
    }
}

impl Scope for Statistics<'_> {
    fn number(&self, variable: u32) -> Option<f64> {
        let (function, input) = self.output.statistics.get(variable as usize)?;
        function.of(self.values.get(*input)?)
    }

    fn text(&self, _: u32) -> Option<&str> {
        None
    }
}

fn row(whom: Whom<'_>, told: &Told<'_>, output: &Output, as_of: Timestamp, context: &Context) -> Aggregate {
    let of = Statistics { output, values: &told.tally.values };
    let (count, good) = (of.least(|values| values.count), of.least(|values| values.good));
    let is_whole = |value: &f64| (value * f64::from(good)).is_finite();
    let value = output.value.of(&of).filter(is_whole);
    let good = if value.is_some() { good } else { 0 };
    let value = value.unwrap_or(0.0);
    Aggregate {
        subject: Subject::Device(whom.id.clone()),
        area: whom.area(),
        quantity: output.name.clone(),
        window: told.window,
        revision: told.revision,
        count,
        good,
        sum: value * f64::from(good),
        mean: value,
        min: value,
        max: value,
        as_of,
        is_backfill: told.window.end + context.config.backfill_after < as_of,
    }
}
