//! What a user-defined job tells of a window: a row for each of its outputs.

use super::job::Output;
use crate::aggregate::Accumulator;
use crate::expression::Scope;
use records::{Aggregate, Name, Subject, Timestamp, Window};
use std::time::Duration;

/// A window of a job, and whose it is.
pub struct Finding<'a> {
    /// A device or an area.
    pub subject: &'a Subject,
    /// What it rolls up into.
    pub area: &'a Name,
    /// `[start, end)`.
    pub window: Window,
    /// One more each time the window is told again.
    pub revision: u32,
    /// What is known of it, by input of the job.
    pub values: &'a [Accumulator],
    /// Ingest time as of which we know.
    pub as_of: Timestamp,
    /// A window that is told this long after its end tells of the past.
    pub backfill_after: Duration,
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

impl Output {
    /// A row in whose place nothing is known any more.
    pub fn nothing_good(row: Aggregate) -> Aggregate {
        Aggregate { good: 0, sum: 0.0, mean: 0.0, min: 0.0, max: 0.0, ..row }
    }

    /// How many readings it is made of, how many of them are usable, and what it is.
    pub fn known(&self, values: &[Accumulator]) -> (u32, u32, Option<f64>) {
        let statistics = Statistics { output: self, values };
        let (count, good) = (statistics.least(|values| values.count), statistics.least(|values| values.good));
        let is_whole = |value: &f64| (value * f64::from(good)).is_finite();
        let value = self.value.of(&statistics).filter(is_whole);
        (count, if value.is_some() { good } else { 0 }, value)
    }

    /// Its row. As of a derived quantity its mean, smallest and greatest are one: the statistic. Without a value (no
    /// usable reading, or none that can be told) nothing in it is good.
    pub fn row(&self, of: &Finding<'_>) -> Aggregate {
        self.row_with(of, self.known(of.values))
    }

    /// A row that says this: how many readings, how many of them usable, and what they come to.
    pub fn row_with(&self, of: &Finding<'_>, (count, good, value): (u32, u32, Option<f64>)) -> Aggregate {
        let value = value.unwrap_or(0.0);
        Aggregate {
            subject: of.subject.clone(),
            area: of.area.clone(),
            quantity: self.name.clone(),
            window: of.window,
            revision: of.revision,
            count,
            good,
            sum: value * f64::from(good),
            mean: value,
            min: value,
            max: value,
            as_of: of.as_of,
            is_backfill: of.window.end + of.backfill_after < of.as_of,
        }
    }
}
