//! What was left out of the live lane, by partition: what the backfill lane has to write.

use records::{MOST_NOTE_BYTES, Offset, TopicPartition};
use std::collections::BTreeMap;
use std::ops::Range;

/// Ranges of offsets that are not written yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// In order, none touching the next.
    by_partition: BTreeMap<TopicPartition, Vec<Range<Offset>>>,
}

impl Gaps {
    /// The records of `range` were left out.
    pub fn open(&mut self, partition: TopicPartition, range: Range<Offset>) {
        if range.is_empty() {
            return;
        }
        let ranges = self.by_partition.entry(partition).or_default();
        if ranges.last().is_none_or(|last| last.end < range.start) {
            return ranges.push(range);
        }
        ranges.push(range);
        ranges.sort_unstable_by_key(|range| range.start);
        *ranges = joined(std::mem::take(ranges));
    }

    /// The gaps of `other` as well.
    pub fn add(&mut self, other: &Gaps) {
        for (partition, range) in other.iter() {
            self.open(partition, range.clone());
        }
    }

    /// Everything below `offset` is written now.
    pub fn close_below(&mut self, partition: TopicPartition, offset: Offset) {
        let Some(ranges) = self.by_partition.get_mut(&partition) else { return };
        ranges.retain(|range| range.end > offset);
        if let Some(first) = ranges.first_mut() {
            first.start = first.start.max(offset);
        }
        if ranges.is_empty() {
            self.by_partition.remove(&partition);
        }
    }

    /// Whether the record at `offset` was left out.
    pub fn has(&self, partition: TopicPartition, offset: Offset) -> bool {
        let ranges = self.of(partition);
        let behind = ranges.partition_point(|range| range.end <= offset);
        ranges.get(behind).is_some_and(|range| range.contains(&offset))
    }

    /// How many records of `range` were left out.
    pub fn within(&self, partition: TopicPartition, range: Range<Offset>) -> u64 {
        let gaps = self.of(partition).iter();
        gaps.map(|gap| gap.end.min(range.end).saturating_sub(gap.start.max(range.start))).sum()
    }

    /// All ranges.
    pub fn iter(&self) -> impl Iterator<Item = (TopicPartition, &Range<Offset>)> {
        self.by_partition
            .iter()
            .flat_map(|(partition, ranges)| ranges.iter().map(|range| (*partition, range)))
    }

    /// Records that are to be written.
    pub fn records(&self) -> u64 {
        self.iter().map(|(_, range)| range.end - range.start).sum()
    }

    /// The gaps of a partition as a note beside its offset: of each the distance from the end of the one before and,
    /// unless it is 1, its length. When they are too many, the closest become one: what lies between is written twice,
    /// in order, and that changes nothing.
    pub fn note(&self, partition: TopicPartition) -> String {
        let ranges = self.of(partition);
        let noted = |joints| written(&with_closest_joined(ranges, joints));
        let (mut least, mut most) = (0, ranges.len().saturating_sub(1));
        if written(ranges).len() <= MOST_NOTE_BYTES {
            most = 0;
        }
        while least < most {
            let joints = (least + most) / 2;
            if noted(joints).len() > MOST_NOTE_BYTES { least = joints + 1 } else { most = joints }
        }
        noted(least)
    }

    /// Opens what a note says.
    ///
    /// # Errors
    /// It is none of ours.
    pub fn open_noted(&mut self, partition: TopicPartition, note: &str) -> Result<(), String> {
        let mut end = 0;
        for gap in note.split_terminator(' ') {
            let (distance, length) = gap.split_once('+').unwrap_or((gap, "1"));
            let range = distance.parse().ok().zip(length.parse().ok()).and_then(
                |(distance, length): (Offset, Offset)| {
                    let start = distance.checked_add(end)?;
                    Some(start..start.checked_add(length)?)
                },
            );
            let range =
                range.ok_or_else(|| format!("the note of {partition} is not understood: {note:?}"))?;
            end = range.end;
            self.open(partition, range);
        }
        Ok(())
    }

    fn of(&self, partition: TopicPartition) -> &[Range<Offset>] {
        self.by_partition.get(&partition).map_or(&[], Vec::as_slice)
    }
}

/// Ranges in order, those that touch or overlap as one.
fn joined(ranges: Vec<Range<Offset>>) -> Vec<Range<Offset>> {
    let mut joined: Vec<Range<Offset>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

/// The same ranges, so many of those that are the least apart joined with the one before.
fn with_closest_joined(ranges: &[Range<Offset>], joints: usize) -> Vec<Range<Offset>> {
    let mut closest: Vec<usize> = (1..ranges.len()).collect();
    closest.sort_by_key(|index| ranges[*index].start - ranges[index - 1].end);
    let mut is_joined = vec![false; ranges.len()];
    closest[..joints].iter().for_each(|index| is_joined[*index] = true);
    let mut fewer: Vec<Range<Offset>> = Vec::with_capacity(ranges.len() - joints);
    for (range, is_joined) in ranges.iter().zip(is_joined) {
        match fewer.last_mut() {
            Some(last) if is_joined => last.end = range.end,
            _ => fewer.push(range.clone()),
        }
    }
    fewer
}

fn written(ranges: &[Range<Offset>]) -> String {
    let (mut note, mut end) = (String::new(), 0);
    for range in ranges {
        let (distance, length) = (range.start - end, range.end - range.start);
        let space = if note.is_empty() { "" } else { " " };
        let length = if length == 1 { String::new() } else { format!("+{length}") };
        note.push_str(&format!("{space}{distance}{length}"));
        end = range.end;
    }
    note
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::Topic;

    const AT: TopicPartition = TopicPartition { topic: Topic::Aggregates, partition: 1 };

    fn gaps(ranges: &[(Offset, Offset)]) -> Gaps {
        let mut gaps = Gaps::default();
        ranges.iter().for_each(|(from, to)| gaps.open(AT, *from..*to));
        gaps
    }

    fn noted(note: &str) -> Result<Gaps, String> {
        let mut gaps = Gaps::default();
        gaps.open_noted(AT, note).map(|()| gaps)
    }

    #[test]
    fn neighbours_join_and_what_is_written_goes() {
        let mut gaps = gaps(&[(10, 20), (20, 30), (50, 60)]);
        assert_eq!(gaps.iter().map(|(_, range)| range.clone()).collect::<Vec<_>>(), [10..30, 50..60]);
        assert_eq!((gaps.records(), gaps.within(AT, 25..55), gaps.within(AT, 30..50)), (30, 10, 0));
        assert!(gaps.has(AT, 29) && !gaps.has(AT, 30));
        gaps.close_below(AT, 12);
        assert_eq!(gaps.records(), 28);
        gaps.close_below(AT, 55);
        assert_eq!((gaps.records(), gaps.has(AT, 54), gaps.has(AT, 55)), (5, false, true));
        gaps.close_below(AT, 60);
        assert_eq!(gaps, Gaps::default());
    }

    #[test]
    fn what_is_read_again_joins_what_is_there() {
        assert_eq!(gaps(&[(50, 60), (10, 20), (15, 30), (30, 50)]), gaps(&[(10, 60)]));
        assert_eq!(gaps(&[(50, 60), (10, 20), (5, 5)]), gaps(&[(10, 20), (50, 60)]));
    }

    #[test]
    fn a_note_says_what_is_open() {
        for (ranges, note) in [
            (&[] as &[(Offset, Offset)], ""),
            (&[(0, 1)], "0"),
            (&[(10, 30), (50, 51), (53, 54)], "10+20 20 2"),
            (&[(u64::MAX - 5, u64::MAX)], "18446744073709551610+5"),
        ] {
            assert_eq!(gaps(ranges).note(AT), note);
            assert_eq!(noted(note), Ok(gaps(ranges)));
        }
        for note in ["x", "1+", "5 -3", "18446744073709551615+2"] {
            assert!(noted(note).is_err(), "{note}");
        }
    }

    /// Everything that is open is still noted, and little else.
    #[test]
    fn too_many_gaps_become_fewer() {
        let first = |n: Offset| n * 100 + n % 7 * 5;
        let ranges: Vec<_> = (0..3_000).map(|n| (first(n), first(n) + 1)).collect();
        let many = gaps(&ranges);
        let note = many.note(AT);
        assert!((MOST_NOTE_BYTES - 16..=MOST_NOTE_BYTES).contains(&note.len()), "{}", note.len());
        let fewer = noted(&note).expect("one of ours");
        assert!(ranges.iter().all(|(from, _)| fewer.has(AT, *from)));
        assert!(fewer.records() < 250_000, "not all of it: {}", fewer.records());
    }
}
