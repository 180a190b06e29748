//! Where each partition stands in our arrays, and what its table is called.

use records::{Topic, TopicPartition};

/// The partitions of a log, numbered through.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    counts: [u32; Topic::ALL.len()],
}

impl Layout {
    pub fn new(counts: impl Fn(Topic) -> u32) -> Layout {
        Layout { counts: Topic::ALL.map(counts) }
    }

    pub fn partitions(&self, topic: Topic) -> u32 {
        self.counts[topic as usize]
    }

    /// The number of a partition; `None` when there is no such partition.
    pub fn index(&self, at: TopicPartition) -> Option<usize> {
        let before: u32 = self.counts[..at.topic as usize].iter().sum();
        (at.partition < self.partitions(at.topic)).then_some((before + at.partition) as usize)
    }

    /// All partitions of a topic, in order.
    pub fn of(&self, topic: Topic) -> impl Iterator<Item = TopicPartition> + use<> {
        (0..self.partitions(topic)).map(move |partition| TopicPartition { topic, partition })
    }

    /// All partitions, in the order of their numbers.
    pub fn all(&self) -> impl Iterator<Item = TopicPartition> {
        Topic::ALL.into_iter().flat_map(|topic| self.of(topic))
    }
}

/// The table that holds a partition's rows.
pub(crate) fn table(at: TopicPartition) -> String {
    format!("{}_{}", at.topic, at.partition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_through_all_partitions_in_order() {
        let layout = Layout::new(|topic| topic as u32 + 1);
        let numbers: Vec<_> = layout.all().map(|at| layout.index(at)).collect();
        assert_eq!(numbers, (0..28).map(Some).collect::<Vec<_>>());
        assert_eq!(layout.index(TopicPartition { topic: Topic::Telemetry, partition: 1 }), None);
    }
}
