//! User-defined jobs of one device: each a windowing and what it keeps.

mod concerned;
mod counted;
mod kept;
mod row;
mod sessions;
mod sight;
mod spans;
mod tally;

use super::config::Times;
use crate::rule::{JobRule, Successors, Windowing};
pub use concerned::Concerned;
use counted::Counted;
use minicbor::{Decode, Encode};
use records::{Timestamp, Window};
pub use row::write;
use sessions::Sessions;
pub use sight::Sight;
use spans::Spans;
pub use tally::Tally;

/// A window as a job tells it.
pub struct Told<'a> {
    /// Its job: place in the rules file.
    pub job: usize,
    /// `[start, end)`.
    pub window: Window,
    /// One more each time the window is told again.
    pub revision: u32,
    /// What is known of it.
    pub tally: &'a Tally,
}

/// Takes what a job tells.
pub type Tell<'t> = dyn FnMut(Told<'_>) + 't;

/// A window of a job that others read.
struct Passed {
    job: usize,
    window: Window,
    tally: Tally,
}

/// The jobs of one device, by place in the rules file. Each begins with the first message, or window, that it is about.
#[derive(Clone, Debug, Default, Encode, Decode)]
pub struct Jobs(#[n(0)] Vec<Running>);

#[derive(Clone, Debug, Encode, Decode)]
struct Running {
    /// Its place in the rules file; state of another file is not restored.
    #[n(0)]
    job: u32,
    #[n(1)]
    state: State,
}

#[derive(Clone, Debug, Encode, Decode)]
enum State {
    #[n(0)]
    Spans(#[n(0)] Spans),
    #[n(1)]
    Sessions(#[n(0)] Sessions),
    #[n(2)]
    Counted(#[n(0)] Counted),
}

impl Jobs {
    /// Takes a message whose quality has been judged, before the device's progress moves on because of it. Returns
    /// whether it came too late for the job.
    pub fn observe(
        &mut self,
        job: usize,
        sight: &Sight<'_>,
        forgotten_to: Timestamp,
        rules: &[JobRule],
        tell: &mut Tell<'_>,
    ) -> bool {
        let rule = &rules[job];
        if !Tally::is_concerned(sight, rule) {
            return false;
        }
        match self.state(job, rule) {
            State::Spans(spans) => {
                let mut passed = Vec::new();
                let is_late =
                    spans.add(sight, forgotten_to, rule, &mut passing(job, rule, &mut passed, tell));
                self.pass_on(passed, forgotten_to, rules, tell);
                is_late
            }
            State::Sessions(sessions) => sessions.add(sight, rule),
            State::Counted(counted) => counted.add(sight, rule, &mut telling(job, tell)),
        }
    }

    /// Gives windows to the jobs that read them, and what those tell to theirs.
    fn pass_on(
        &mut self,
        mut passed: Vec<Passed>,
        forgotten_to: Timestamp,
        rules: &[JobRule],
        tell: &mut Tell<'_>,
    ) {
        while !passed.is_empty() {
            let mut further = Vec::new();
            for Passed { job, window, tally } in passed {
                for reader in &rules[job].readers {
                    let rule = &rules[*reader];
                    let (Some(source), State::Spans(spans)) = (&rule.source, self.state(*reader, rule))
                    else {
                        continue;
                    };
                    let mut telling = passing(*reader, rule, &mut further, tell);
                    spans.put(window, tally.of_inputs(&source.inputs), forgotten_to, rule, &mut telling);
                }
            }
            passed = further;
        }
    }

    /// Closes what ends up to `to`, job by job, each in order.
    pub fn close(&mut self, to: Timestamp, rules: &[JobRule], tell: &mut Tell<'_>) {
        let mut place = 0;
        // A job that reads windows stands behind the one that they are of, and may begin here.
        while let Some(Running { job, state }) = self.0.get_mut(place) {
            let (job, mut passed) = (*job as usize, Vec::new());
            let (rule, windowing) = (&rules[job], &rules[job].windowing);
            match state {
                State::Spans(spans) => spans.close(to, rule, &mut passing(job, rule, &mut passed, tell)),
                State::Sessions(sessions) => sessions.close(to, windowing, &mut telling(job, tell)),
                State::Counted(counted) => counted.close(to, windowing, &mut telling(job, tell)),
            }
            self.pass_on(passed, Timestamp::MIN, rules, tell);
            place += 1;
        }
    }

    /// The device has come to `progress` by its own word: tells open windows that are due to be told early, and
    /// forgets what takes no more readings.
    pub fn advance(&mut self, progress: Timestamp, times: &Times, rules: &[JobRule], tell: &mut Tell<'_>) {
        let mut place = 0;
        while let Some(Running { job, state }) = self.0.get_mut(place) {
            let (job, mut passed) = (*job as usize, Vec::new());
            let rule = &rules[job];
            if let State::Spans(spans) = state {
                if let Some(early) = rule.early {
                    spans.tell_early(progress, early, rule, &mut passing(job, rule, &mut passed, tell));
                }
                spans.forget(progress - times.allowed_lateness, &rule.windowing);
            }
            self.pass_on(passed, Timestamp::MIN, rules, tell);
            place += 1;
        }
    }

    /// Other rules hold. What has no successor is let go.
    pub fn succeed(&mut self, places: &Successors) {
        self.0.retain_mut(|running| match places.get(running.job as usize).copied().flatten() {
            Some(place) => {
                running.job = u32::try_from(place).expect("a rules file has few jobs");
                true
            }
            None => false,
        });
        self.0.sort_by_key(|running| running.job);
    }

    /// The first end that is still to come, event time.
    pub fn next_end(&self, rules: &[JobRule]) -> Option<Timestamp> {
        let end = |running: &Running| match &running.state {
            State::Spans(spans) => spans.next_end(),
            State::Sessions(sessions) => sessions.next_end(&rules[running.job as usize].windowing),
            State::Counted(counted) => counted.next_end(),
        };
        self.0.iter().filter_map(end).min()
    }

    fn state(&mut self, job: usize, rule: &JobRule) -> &mut State {
        let index =
            self.0.binary_search_by_key(&job, |running| running.job as usize).unwrap_or_else(|index| {
                let state = match &rule.windowing {
                    Windowing::Session(_) => State::Sessions(Sessions::default()),
                    Windowing::Count(_) => State::Counted(Counted::default()),
                    Windowing::Tumbling(_) | Windowing::Hopping { .. } | Windowing::Calendar(_) => {
                        State::Spans(Spans::default())
                    }
                };
                let job = u32::try_from(job).expect("a rules file has few jobs");
                self.0.insert(index, Running { job, state });
                index
            });
        &mut self.0[index].state
    }
}

/// The same, and keeps what others read.
fn passing<'t>(
    job: usize,
    rule: &'t JobRule,
    passed: &'t mut Vec<Passed>,
    tell: &'t mut Tell<'_>,
) -> impl FnMut(Window, u32, &Tally) + 't {
    move |window, revision, tally| {
        if !rule.readers.is_empty() {
            passed.push(Passed { job, window, tally: tally.clone() });
        }
        tell(Told { job, window, revision, tally });
    }
}

/// Adds the job to what one of its windows says.
fn telling<'t>(job: usize, tell: &'t mut Tell<'_>) -> impl FnMut(Window, u32, &Tally) + 't {
    move |window, revision, tally| tell(Told { job, window, revision, tally })
}

#[cfg(test)]
mod oracle;
