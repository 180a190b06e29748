//! The log in memory, for tests: the same promises as the durable logs, and knobs to make it fail.
//!
//! Carries encoded bytes, so that what passes here passes everywhere. Durable only as long as the process lives.

mod consumer;
mod cursor;
mod fault;
mod pipe;
mod state;

pub use consumer::MemoryConsumer;
pub use pipe::MemoryPipe;

use crate::{AppendError, Batch, Offset, Producer, Record, Topic, TopicPartition};
use cursor::{Cursor, Reader};
use state::Shared;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A log that lives as long as the process. Clones are the same log.
#[derive(Clone)]
pub struct MemoryLog {
    shared: Arc<Shared>,
}

impl MemoryLog {
    /// An empty log; `partitions` says how many a topic has (0 counts as 1).
    pub fn new(partitions: impl Fn(Topic) -> u32) -> MemoryLog {
        MemoryLog { shared: Arc::new(Shared::new(partitions)) }
    }

    /// A reader of all partitions of `topics` that goes on where `group` last committed. It fences an older reader
    /// of that group from the partitions they share.
    pub fn consumer(&self, group: &str, topics: &[Topic]) -> MemoryConsumer {
        let all =
            |topic| (0..self.partitions(topic)).map(move |partition| TopicPartition { topic, partition });
        self.consumer_of(group, topics.iter().copied().flat_map(all).collect())
    }

    /// The same of these partitions alone, as when others of the group have the rest.
    pub fn consumer_of(&self, group: &str, partitions: Vec<TopicPartition>) -> MemoryConsumer {
        MemoryConsumer::new(Cursor::claim(&self.shared, Reader::Group(group.into()), partitions))
    }

    /// A reader as [`MemoryLog::consumer`]; a group that nobody has heard of stands behind what is there now.
    pub fn consumer_from_end(&self, group: &str, topics: &[Topic]) -> MemoryConsumer {
        self.shared.change(|state| state.introduce(&Reader::Group(group.into()), topics));
        self.consumer(group, topics)
    }

    /// A pipe of `job` over these partitions of `topic`, as the last commit of that job left them. It fences an
    /// older pipe of that job from the partitions they share.
    ///
    /// # Panics
    /// When the topic does not have these partitions.
    pub fn pipe(&self, job: &str, topic: Topic, partitions: Range<u32>) -> MemoryPipe {
        assert!(
            partitions.end <= self.partitions(topic),
            "{topic} has {} partitions",
            self.partitions(topic)
        );
        let partitions = partitions.map(|partition| TopicPartition { topic, partition }).collect();
        MemoryPipe::new(Cursor::claim(&self.shared, Reader::Job(job.into()), partitions))
    }

    /// No more appends. Polls return what is there, then `None`; commits still work, so that a job can finish.
    pub fn close(&self) {
        self.shared.change(|state| state.is_closed = true);
    }

    /// The next `count` appends fail with this and leave nothing behind.
    pub fn fail_next_appends(&self, count: usize, error: impl Fn() -> AppendError + Send + 'static) {
        self.shared.change(|state| state.appends.fail(count, error));
    }

    /// The next `count` appends happen, and are answered by an error: what a caller can't tell from a failure.
    pub fn doubt_next_appends(&self, count: usize) {
        self.shared
            .change(|state| state.appends.doubt(count, || AppendError::Unavailable("injected".into())));
    }

    /// The next `count` commits, of any reader, fail and leave nothing behind.
    pub fn fail_next_commits(&self, count: usize) {
        self.shared.change(|state| state.commits.fail(count, fault::unavailable));
    }

    /// The next `count` commits, of any reader, happen, and are answered by an error.
    pub fn doubt_next_commits(&self, count: usize) {
        self.shared.change(|state| state.commits.doubt(count, fault::unavailable));
    }

    /// While held, appends are taken and not answered.
    pub fn hold_appends(&self, is_held: bool) {
        self.shared.change(|state| state.is_held = is_held);
    }

    /// From now on a poll gives at most this many records (at least 1).
    pub fn limit_batches(&self, records: usize) {
        self.shared.change(|state| state.batch_limit = records.max(1));
    }

    /// Everything on a topic as (partition, offset, key, value), partition after partition.
    pub fn read_all(&self, topic: Topic) -> Vec<(TopicPartition, Offset, Vec<u8>, Vec<u8>)> {
        let state = self.shared.lock();
        let mut all = Vec::new();
        for (partition, records) in (0..).zip(state.partitions(topic)) {
            let records = (0..).zip(records.iter().flat_map(Batch::iter));
            let place = TopicPartition { topic, partition };
            all.extend(records.map(|(offset, (key, value))| (place, offset, key.to_vec(), value.to_vec())));
        }
        all
    }

    /// The records on a topic, partition after partition.
    ///
    /// # Panics
    /// When one can't be decoded.
    pub fn decoded(&self, topic: Topic) -> Vec<Record> {
        let decode = |(place, offset, _, value): (TopicPartition, Offset, _, Vec<u8>)| {
            Record::decode(&value).unwrap_or_else(|error| panic!("{place} at {offset}: {error}"))
        };
        self.read_all(topic).into_iter().map(decode).collect()
    }
}

impl fmt::Debug for MemoryLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLog").finish_non_exhaustive()
    }
}

impl Producer for MemoryLog {
    fn partitions(&self, topic: Topic) -> u32 {
        let count = self.shared.lock().partitions(topic).len();
        u32::try_from(count).expect("it was made from a u32")
    }

    async fn append(&self, batches: Vec<(TopicPartition, Batch)>) -> Result<Vec<Offset>, AppendError> {
        let answer = self.shared.change(|state| {
            if state.is_closed {
                return Err(AppendError::Closed);
            }
            let fault = state.appends.next();
            fault::run(fault, || {
                state.append(&batches).map_err(|error| AppendError::Unavailable(error.into()))
            })
        });
        self.shared.until(|state| (!state.is_held).then_some(())).await;
        answer
    }
}

#[cfg(test)]
mod tests;
