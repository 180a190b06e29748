//! Kafka hands out records one by one; here they are cut into batches of one partition, without holes.

use std::collections::BTreeMap;
use std::sync::Arc;

use records::{Batch, Entry, Fetched, Offset, TopicPartition};

/// A batch is cut at this many records.
const MOST_RECORDS: usize = 1000;
/// And at this many bytes.
const MOST_BYTES: usize = 1 << 20;

/// What has been read and not been handed on, and where we stand.
#[derive(Debug, Default)]
pub(crate) struct Cutting {
    positions: BTreeMap<TopicPartition, Position>,
    open: Option<Open>,
    ready: Vec<Fetched>,
}

#[derive(Clone, Copy, Debug)]
struct Position {
    /// The next offset to read; `None`: whatever is the oldest.
    next: Option<Offset>,
    /// Removed by retention before `next`, and not told yet.
    lost: u64,
}

#[derive(Debug)]
struct Open {
    place: TopicPartition,
    first: Offset,
    lost: u64,
    batch: Batch,
}

impl Cutting {
    /// From now on records of `place` are taken.
    pub fn begin(&mut self, place: TopicPartition, next: Option<Offset>) {
        self.positions.insert(place, Position { next, lost: 0 });
    }

    /// No more of `place`.
    pub fn end(&mut self, place: TopicPartition) {
        self.close();
        self.positions.remove(&place);
    }

    /// Where we stand in each partition, as far as a record has told.
    pub fn positions(&self) -> Vec<(TopicPartition, Option<Offset>)> {
        self.positions.iter().map(|(place, position)| (*place, position.next)).collect()
    }

    /// Retention has removed what is below `oldest`: so many were lost on us.
    pub fn skip_to(&mut self, place: TopicPartition, oldest: Offset) -> u64 {
        self.close();
        let Some(position) = self.positions.get_mut(&place) else { return 0 };
        let lost = position.next.map_or(0, |next| oldest.saturating_sub(next));
        position.next = Some(oldest);
        position.lost += lost;
        lost
    }

    /// Takes the next record. Where offsets are left out stood marks of transactions, or records of aborted ones.
    pub fn push(&mut self, place: TopicPartition, offset: Offset, entry: Entry<'_>) {
        if let Some(open) = &mut self.open {
            let is_next = open.place == place && open.first + open.batch.len() as Offset == offset;
            if is_next && open.batch.len() < MOST_RECORDS && open.batch.as_bytes().len() < MOST_BYTES {
                return open.batch.push_entry(entry);
            }
            self.close();
        }
        let Some(position) = self.positions.get_mut(&place) else { return };
        let lost = std::mem::take(&mut position.lost);
        let batch = Batch::from_iter([entry]);
        self.open = Some(Open { place, first: offset, lost, batch });
    }

    /// How many batches are whole.
    pub fn whole(&self) -> usize {
        self.ready.len()
    }

    /// All that was read.
    pub fn take(&mut self) -> Vec<Fetched> {
        self.close();
        std::mem::take(&mut self.ready)
    }

    fn close(&mut self) {
        let Some(Open { place, first, lost, batch }) = self.open.take() else { return };
        let fetched = Fetched { partition: place, first, lost, batch: Arc::new(batch) };
        if let Some(position) = self.positions.get_mut(&place) {
            position.next = Some(fetched.next());
            self.ready.push(fetched);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::Topic;

    const HERE: TopicPartition = TopicPartition { topic: Topic::Telemetry, partition: 0 };
    const THERE: TopicPartition = TopicPartition { topic: Topic::Telemetry, partition: 1 };

    fn cut(records: &[(TopicPartition, Offset)]) -> Vec<(u32, Offset, usize, u64)> {
        let mut cutting = Cutting::default();
        cutting.begin(HERE, Some(3));
        cutting.begin(THERE, None);
        assert_eq!(cutting.skip_to(HERE, 5), 2);
        assert_eq!(cutting.skip_to(THERE, 9), 0, "nobody has asked for what was removed");
        for (place, offset) in records {
            cutting.push(*place, *offset, Entry { key: b"k", value: b"v", origin: None, mirrored: None });
        }
        let cut = cutting.take();
        cut.iter().map(|at| (at.partition.partition, at.first, at.batch.len(), at.lost)).collect()
    }

    #[test]
    fn batches_have_no_holes() {
        let check = |records: &[_], expected: &[_]| assert_eq!(cut(records), expected);
        check(&[], &[]);
        check(&[(HERE, 5), (HERE, 6), (HERE, 7)], &[(0, 5, 3, 2)]);
        check(&[(HERE, 5), (HERE, 7), (HERE, 8)], &[(0, 5, 1, 2), (0, 7, 2, 0)]);
        check(&[(HERE, 5), (THERE, 9), (HERE, 6)], &[(0, 5, 1, 2), (1, 9, 1, 0), (0, 6, 1, 0)]);
    }

    #[test]
    fn batches_are_bounded() {
        let records: Vec<_> = (5..2505).map(|offset| (HERE, offset)).collect();
        assert_eq!(cut(&records), [(0, 5, 1000, 2), (0, 1005, 1000, 0), (0, 2005, 500, 0)]);
    }

    #[test]
    fn what_is_not_ours_any_more_is_left_out() {
        let mut cutting = Cutting::default();
        cutting.begin(HERE, Some(0));
        cutting.push(HERE, 0, Entry { key: b"", value: b"", origin: None, mirrored: None });
        cutting.end(HERE);
        cutting.push(HERE, 1, Entry { key: b"", value: b"", origin: None, mirrored: None });
        assert_eq!(cutting.take().len(), 1, "only what was read before");
    }
}
