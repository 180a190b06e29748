//! Lines that wait to be sent, and which record each came of.

use records::{Offset, TopicPartition};
use std::ops::Range;

/// Lines back to back, each with its line break.
#[derive(Default)]
pub struct Lines {
    /// The text, to append whole lines to; tell [`Lines::close_line`] after each.
    pub bytes: Vec<u8>,
    ends: Vec<usize>,
    /// From which line on they came of which record.
    origins: Vec<(usize, TopicPartition, Offset)>,
}

impl Lines {
    /// The lines that follow come of this record.
    pub fn from_record(&mut self, partition: TopicPartition, offset: Offset) {
        if self.origins.last().is_some_and(|(first, ..)| *first == self.len()) {
            self.origins.pop();
        }
        self.origins.push((self.len(), partition, offset));
    }

    /// A line was appended to `bytes`.
    pub fn close_line(&mut self) {
        self.ends.push(self.bytes.len());
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The text of some lines.
    pub fn text(&self, lines: &Range<usize>) -> &[u8] {
        &self.bytes[self.start(lines.start)..self.start(lines.end)]
    }

    /// The record that a line came of.
    pub fn origin(&self, line: usize) -> Option<(TopicPartition, Offset)> {
        let behind = self.origins.partition_point(|(first, ..)| *first <= line);
        let (_, partition, offset) = self.origins[..behind].last()?;
        Some((*partition, *offset))
    }

    /// All lines in runs of at most so many lines and bytes; a line that is longer has a run of its own.
    pub fn runs(&self, most_lines: usize, most_bytes: usize) -> Vec<Range<usize>> {
        let mut runs: Vec<Range<usize>> = Vec::new();
        for line in 0..self.len() {
            match runs.last_mut() {
                Some(run)
                    if run.len() < most_lines
                        && self.start(line + 1) - self.start(run.start) <= most_bytes =>
                {
                    run.end = line + 1;
                }
                _ => runs.push(line..line + 1),
            }
        }
        runs
    }

    /// Forgets them and keeps the buffers.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.origins.clear();
    }

    fn start(&self, line: usize) -> usize {
        if line == 0 { 0 } else { self.ends[line - 1] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::Topic;

    fn lines(texts: &[&str]) -> Lines {
        let partition = TopicPartition { topic: Topic::Aggregates, partition: 0 };
        let mut lines = Lines::default();
        for (text, offset) in texts.iter().zip(10..) {
            lines.from_record(partition, offset);
            for line in text.split_terminator(';') {
                lines.bytes.extend_from_slice(line.as_bytes());
                lines.close_line();
            }
        }
        lines
    }

    #[test]
    fn runs_keep_to_their_bounds() {
        let lines = lines(&["aa", "bb", "cccccccc", "d", "e"]);
        assert_eq!(lines.runs(2, 100), [0..2, 2..4, 4..5]);
        assert_eq!(lines.runs(100, 4), [0..2, 2..3, 3..5]);
        assert_eq!(lines.text(&(1..3)), b"bbcccccccc");
        assert!(Lines::default().runs(2, 2).is_empty());
    }

    #[test]
    fn a_line_knows_its_record() {
        let lines = lines(&["a;b", "", "c"]);
        let offsets: Vec<_> = (0..3).map(|line| lines.origin(line).map(|(_, offset)| offset)).collect();
        assert_eq!(offsets, [Some(10), Some(10), Some(12)]);
    }
}
