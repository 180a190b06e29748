//! What the live lane left out, by partition: what the backfill lane has to write.

use records::{Offset, TopicPartition};
use std::collections::BTreeMap;
use std::ops::Range;

/// Ranges of offsets that are not written yet.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    by_partition: BTreeMap<TopicPartition, Vec<Range<Offset>>>,
}

impl Gaps {
    /// The records of `range` were left out; ranges of a partition come in order.
    pub fn open(&mut self, partition: TopicPartition, range: Range<Offset>) {
        let ranges = self.by_partition.entry(partition).or_default();
        match ranges.last_mut() {
            Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
            _ => ranges.push(range),
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
        let ranges = self.by_partition.get(&partition);
        ranges.is_some_and(|ranges| ranges.iter().any(|range| range.contains(&offset)))
    }

    /// How many records of `range` were left out.
    pub fn within(&self, partition: TopicPartition, range: Range<Offset>) -> u64 {
        let ranges = self.by_partition.get(&partition).into_iter().flatten();
        ranges.map(|gap| gap.end.min(range.end).saturating_sub(gap.start.max(range.start))).sum()
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::Topic;

    const AT: TopicPartition = TopicPartition { topic: Topic::Aggregates, partition: 1 };

    #[test]
    fn neighbours_join_and_what_is_written_goes() {
        let mut gaps = Gaps::default();
        gaps.open(AT, 10..20);
        gaps.open(AT, 20..30);
        gaps.open(AT, 50..60);
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
}
