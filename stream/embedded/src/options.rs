//! What can be chosen about a log.

use std::ops::{Index, IndexMut};
use std::time::Duration;

use records::Topic;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MIB: u64 = 1 << 20;

/// How a log behaves. Index it with a topic: `options[Topic::Telemetry].partitions = 8`.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Per topic, in the order of [`Topic::ALL`].
    pub topics: [TopicOptions; Topic::ALL.len()],
    /// What the log may take on disk (without the write-ahead file, which stays around 1 MiB); `None`: the disk.
    ///
    /// From four fifths of it on, records that every reader has read go before their retention ends.
    pub budget_bytes: Option<u64>,
    /// What happens when the budget is used up by records that somebody has not read.
    pub over_budget: OverBudget,
    /// How long the writer waits for company when little comes: fewer, larger writes. Zero: never.
    pub gather: Duration,
    /// With this much waiting, the writer does not wait for more.
    pub gather_bytes: usize,
    /// Appends wait while this much is queued.
    pub max_pending_bytes: usize,
    /// What each partition keeps in memory of its newest records, for readers that follow closely.
    pub tail_bytes: usize,
}

/// What a topic is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicOptions {
    /// How many partitions. At least 1; fixed once the log exists.
    pub partitions: u32,
    /// How long records stay.
    pub retention: Retention,
}

/// When records may go, once every known reader has read them. Both `None`: never, not even for the budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// What the whole topic may hold, in bytes of records.
    pub bytes: Option<u64>,
    /// Since the append.
    pub age: Option<Duration>,
}

/// What happens when the budget is used up by records that somebody has not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OverBudget {
    /// From nine tenths on appends fail with [`AppendError::Full`](records::AppendError::Full) until readers move on,
    /// which they can: the last tenth is for what they commit.
    #[default]
    Refuse,
    /// The oldest records go, unread; they are counted and logged with who lost them.
    RemoveUnread,
}

impl Default for Options {
    fn default() -> Options {
        let topic = |partitions, bytes, days: u32| TopicOptions {
            partitions,
            retention: Retention { bytes: Some(bytes), age: Some(days * DAY) },
        };
        Options {
            topics: [
                topic(4, 4096 * MIB, 7),
                topic(4, 4096 * MIB, 7),
                topic(4, 1024 * MIB, 30),
                topic(1, 256 * MIB, 400),
                topic(1, 256 * MIB, 30),
                TopicOptions { partitions: 1, retention: Retention::default() },
                topic(1, 512 * MIB, 30),
            ],
            budget_bytes: None,
            over_budget: OverBudget::Refuse,
            gather: Duration::from_millis(2),
            gather_bytes: 16 << 10,
            max_pending_bytes: 32 << 20,
            tail_bytes: 1 << 20,
        }
    }
}

impl Index<Topic> for Options {
    type Output = TopicOptions;
    fn index(&self, topic: Topic) -> &TopicOptions {
        &self.topics[topic as usize]
    }
}

impl IndexMut<Topic> for Options {
    fn index_mut(&mut self, topic: Topic) -> &mut TopicOptions {
        &mut self.topics[topic as usize]
    }
}
