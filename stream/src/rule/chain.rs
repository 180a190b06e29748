//! A job that reads the windows of another instead of readings: a minute, an hour, a day.

use super::calendar::CalendarUnit;
use super::fields::Fields;
use super::job::{Input, JobRule, Output};
use super::windowing::Windowing;
use std::time::Duration;

/// Whose windows a job reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Place of that job among the jobs.
    pub job: usize,
    /// What each input of this job is there.
    pub inputs: Vec<usize>,
}

/// Offsets of time zones since 2000 are whole numbers of this.
const QUARTER: Duration = Duration::from_secs(900);

/// The job that is named, among those before.
pub(super) fn find(fields: &mut Fields<'_>, before: &[JobRule]) -> Option<usize> {
    let name = fields.text("job");
    for key in ["where", "hold"] {
        if fields.has(key) {
            fields.text(key);
            fields.problem(key, "is for readings, and this job reads windows");
        }
    }
    let found = before.iter().position(|job| job.id == name.as_str());
    if found.is_none() && !name.is_empty() {
        fields.problem("job", format!("`{name}` is no job that stands before this one"));
    }
    found
}

/// Checks that a job can read the windows of another, and sees to it that they hold what it asks for.
pub(super) fn join(fields: &Fields<'_>, source: usize, job: &JobRule, before: &mut [JobRule]) -> Source {
    let place = before.len();
    before[source].readers.push(place);
    let (of, inputs) = (&before[source], &job.inputs);
    if of.area.is_some() && job.area.is_none() {
        fields.problem("key", format!("must be [\"area\"], as that of job `{}`", of.id));
    }
    if !fits(&of.windowing, &job.windowing) {
        let message = format!("must be made of whole windows of job `{}`, which follow one another", of.id);
        fields.problem("window", message);
    }
    let place = |input: &Input| of.inputs.iter().position(|known| known.value == input.value);
    let places: Vec<Option<usize>> = inputs.iter().map(place).collect();
    for (key, output) in asked(job) {
        let is_lacking = |input: usize| match places[input] {
            None => true,
            Some(place) => inputs[input].wants.steps && !of.inputs[place].wants.steps,
        };
        if output.statistics.iter().any(|(_, input)| is_lacking(*input)) {
            let message = format!("asks for what job `{}` keeps nothing of", of.id);
            fields.problem(&key, message);
        }
    }
    let places: Vec<usize> = places.into_iter().map(Option::unwrap_or_default).collect();
    for (input, place) in inputs.iter().zip(&places) {
        want(source, *place, input, before);
    }
    Source { job: source, inputs: places }
}

/// What a job asks for, and where.
fn asked(job: &JobRule) -> impl Iterator<Item = (String, &Output)> {
    let selected = job.outputs.iter().map(|output| (format!("select.{}", output.name), output));
    let compared = job.area.as_ref().and_then(|area| area.neighbours.as_ref());
    selected.chain(compared.map(|test| ("neighbours.of".to_owned(), &test.of)))
}

/// A job keeps what those want who read its windows, and so does the one whose windows it reads.
fn want(job: usize, place: usize, input: &Input, jobs: &mut [JobRule]) {
    let Some(known) = jobs[job].inputs.get_mut(place) else { return };
    known.wants = known.wants.or(input.wants);
    if let Some(source) = jobs[job].source.clone() {
        want(source.job, source.inputs[place], input, jobs);
    }
}

/// Whether windows of one kind are made of whole ones of another.
fn fits(small: &Windowing, large: &Windowing) -> bool {
    let is_whole =
        |small: &Duration, large: Duration| large.as_millis().is_multiple_of(small.as_millis().max(1));
    match (small, large) {
        (Windowing::Tumbling(small), Windowing::Tumbling(large)) => is_whole(small, *large),
        (Windowing::Tumbling(small), Windowing::Hopping { every, .. }) => is_whole(small, *every),
        (Windowing::Tumbling(small), Windowing::Calendar(calendar)) => {
            is_whole(small, QUARTER) && is_whole(small, calendar.day_start_offset())
        }
        (Windowing::Calendar(small), Windowing::Calendar(large)) => {
            small.zone == large.zone
                && match small.unit {
                    CalendarUnit::Hour => is_whole(&Duration::from_secs(3600), large.day_start_offset()),
                    CalendarUnit::Day => {
                        large.unit != CalendarUnit::Hour && small.day_start == large.day_start
                    }
                    CalendarUnit::Month => small == large,
                }
        }
        _ => false,
    }
}
