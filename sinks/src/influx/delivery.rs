//! Gets lines to the server: in order, in batches, until each is taken or known to be unwanted.
//!
//! What a refusal is good for is found by halving. A server that is broken for one batch may be broken by it: after
//! a few tries the batch is halved as well, and a line that alone breaks a server that takes others is left out.
//! When nothing is taken at all, not even a line that was taken before, it is the server, and everything waits.

use super::ledger::{Ledger, Refused};
use super::lines::Lines;
use super::wire::{Answer, Wire};
use crate::SinkError;
use crate::metrics::Metrics;
use std::collections::VecDeque;
use std::ops::Range;

/// Tries of a batch that the server breaks on, before its lines are suspected.
const TRIES: u32 = 3;

/// So many breakages in a row, while lines are suspected, are the server's: halving a batch down to the first of a
/// few bad lines takes fewer.
const PATIENCE: u32 = 32;

/// Lines whose refusal is told one by one; the others of a batch are counted.
const TOLD: u64 = 5;

/// The lines that are on their way.
pub struct Delivery {
    wire: Wire,
    ledger: Ledger,
    metrics: Metrics,
    sink: &'static str,
    most_lines: usize,
    most_bytes: usize,
    /// Runs of lines that are not taken yet, in order.
    queue: VecDeque<Run>,
    /// Single lines that the server broke on, while it has not taken others since.
    suspects: Vec<Run>,
    /// Breakages since the server last took something.
    breakages: u32,
    /// A line that was taken: sending it again changes nothing, and shows whether the server works.
    taken: Option<Vec<u8>>,
    told: u64,
}

struct Run {
    lines: Range<usize>,
    /// How often the server broke on it.
    breakages: u32,
}

impl Delivery {
    /// Delivers over `wire` in requests of at most so many lines and bytes.
    pub fn new(
        (wire, ledger, metrics): (Wire, Ledger, Metrics),
        sink: &'static str,
        most_lines: usize,
        most_bytes: usize,
    ) -> Delivery {
        Delivery {
            wire,
            ledger,
            metrics,
            sink,
            most_lines,
            most_bytes,
            queue: VecDeque::new(),
            suspects: Vec::new(),
            breakages: 0,
            taken: None,
            told: 0,
        }
    }

    /// Delivers all of `lines` and forgets them. After an error, call again with the same lines: what was taken is
    /// not sent again.
    ///
    /// # Errors
    /// [`SinkError::Unavailable`] and [`SinkError::Barred`].
    pub async fn deliver(&mut self, lines: &mut Lines) -> Result<(), SinkError> {
        if self.queue.is_empty() {
            let runs = lines.runs(self.most_lines, self.most_bytes);
            self.queue.extend(runs.into_iter().map(|lines| Run { lines, breakages: 0 }));
        }
        while let Some(run) = self.queue.pop_front() {
            match self.wire.send(lines.text(&run.lines).to_vec()).await {
                Answer::Taken => {
                    let line = run.lines.start..run.lines.start + 1;
                    self.taken = Some(lines.text(&line).to_vec());
                    self.note_taken(lines);
                }
                Answer::Refused(words) => self.halve(run, lines, &words),
                Answer::Broken(words) => self.doubt(run, lines, words).await?,
                Answer::Away(words) => {
                    self.queue.push_front(run);
                    return Err(SinkError::unavailable(words));
                }
                Answer::Barred(words) => {
                    self.queue.push_front(run);
                    return Err(SinkError::Barred(words));
                }
            }
        }
        if !self.suspects.is_empty() {
            let words = "every line that was left was answered with an error of the server".to_owned();
            self.judge(lines, words).await?;
        }
        lines.clear();
        self.told = 0;
        Ok(())
    }

    /// The server works: what it broke on before is not wanted.
    fn note_taken(&mut self, lines: &Lines) {
        self.breakages = 0;
        for suspect in std::mem::take(&mut self.suspects) {
            let words = "the server fails on this line, and takes others";
            self.leave_out(lines, suspect.lines.start, words);
        }
    }

    fn halve(&mut self, run: Run, lines: &Lines, words: &str) {
        if run.lines.len() == 1 {
            self.leave_out(lines, run.lines.start, words);
        } else {
            self.push_halves(run);
        }
    }

    async fn doubt(&mut self, mut run: Run, lines: &Lines, words: String) -> Result<(), SinkError> {
        self.breakages += 1;
        run.breakages += 1;
        if run.breakages < TRIES {
            self.queue.push_front(run);
            return Err(SinkError::unavailable(words));
        }
        match run.lines.len() {
            1 => self.suspects.push(run),
            _ => self.push_halves(run),
        }
        if self.breakages >= PATIENCE { self.judge(lines, words).await } else { Ok(()) }
    }

    /// Whether it is the server or the lines: a line that it has taken before tells.
    async fn judge(&mut self, lines: &Lines, words: String) -> Result<(), SinkError> {
        if let Some(line) = &self.taken
            && self.wire.send(line.clone()).await == Answer::Taken
        {
            self.note_taken(lines);
            return Ok(());
        }
        Err(self.wait(words))
    }

    fn push_halves(&mut self, run: Run) {
        let Run { lines: Range { start, end }, breakages } = run;
        let middle = start + (end - start) / 2;
        // A half that breaks the server is halved at once: the whole was tried often enough.
        self.queue.push_front(Run { lines: middle..end, breakages });
        self.queue.push_front(Run { lines: start..middle, breakages });
    }

    /// It is the server after all: what is left is tried again as it was.
    fn wait(&mut self, words: String) -> SinkError {
        let rest = self.suspects.drain(..).chain(self.queue.drain(..));
        let mut rest: Vec<Range<usize>> = rest.map(|run| run.lines).collect();
        rest.sort_by_key(|lines| lines.start);
        for lines in rest {
            match self.queue.back_mut() {
                Some(last) if last.lines.end == lines.start && last.lines.len() < self.most_lines => {
                    last.lines.end = lines.end;
                }
                _ => self.queue.push_back(Run { lines, breakages: 0 }),
            }
        }
        self.breakages = 0;
        SinkError::unavailable(words)
    }

    fn leave_out(&mut self, lines: &Lines, line: usize, words: &str) {
        let text = String::from_utf8_lossy(lines.text(&(line..line + 1)));
        let Some((partition, offset)) = lines.origin(line) else { return };
        self.metrics.of(self.sink).rejected();
        if self.told < TOLD {
            tracing::error!(
                sink = self.sink, %partition, offset, line = text.trim_end(), reason = words,
                "a line was refused and left out"
            );
        }
        self.told += 1;
        let (line, reason) = (text.trim_end().to_owned(), words.to_owned());
        self.ledger.pages().refuse(Refused { partition, offset, line, reason });
    }
}
