//! What the topics must be like so that the log's promises hold.

use std::ops::{Index, IndexMut};
use std::time::Duration;

use records::Topic;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const GIB: u64 = 1 << 30;

/// What one topic is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicPlan {
    /// How many partitions: fixed for a deployment, because it decides where a key's records stand.
    pub partitions: u32,
    /// On how many brokers each record is kept.
    pub replication: u32,
    /// How many of these must have a record before it is acknowledged.
    pub min_insync: u32,
    /// What becomes of old records.
    pub cleanup: Cleanup,
}

/// What becomes of old records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleanup {
    /// They go when they are older than `age`, or when a partition holds more than `bytes`. `None`: never for that
    /// reason.
    Delete {
        /// Since the broker took them.
        age: Option<Duration>,
        /// Of one partition, in bytes as they are stored.
        bytes: Option<u64>,
    },
    /// The newest of each key stays, for ever.
    Compact,
}

/// What all topics are like. Index it with a topic: `plans[Topic::Telemetry].partitions = 12`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicPlans {
    /// Per topic, in the order of [`Topic::ALL`].
    pub topics: [TopicPlan; Topic::ALL.len()],
    /// The topic `snapshots`, where jobs keep their state.
    pub snapshots: TopicPlan,
    /// The topic `mirrors`, where mirrors of other deployments note how far they are; one partition.
    pub mirrors: TopicPlan,
}

impl TopicPlans {
    /// The same on `brokers` brokers: as many replicas, at most three; writes wait for two of three.
    pub fn on_brokers(mut self, brokers: u32) -> TopicPlans {
        let replication = brokers.clamp(1, 3);
        for plan in self.topics.iter_mut().chain([&mut self.snapshots, &mut self.mirrors]) {
            plan.replication = replication;
            plan.min_insync = replication.saturating_sub(1).max(1);
        }
        self
    }
}

impl Default for TopicPlans {
    /// Three replicas, two in sync.
    fn default() -> TopicPlans {
        let topic = |partitions, days: u32, gib: u64| TopicPlan {
            partitions,
            replication: 3,
            min_insync: 2,
            cleanup: Cleanup::Delete { age: Some(days * DAY), bytes: Some(gib * GIB) },
        };
        TopicPlans {
            topics: [
                topic(12, 7, 16),
                topic(12, 7, 16),
                topic(12, 30, 4),
                topic(1, 400, 1),
                topic(1, 30, 1),
                TopicPlan { cleanup: Cleanup::Delete { age: None, bytes: None }, ..topic(1, 0, 0) },
                topic(1, 30, 1),
            ],
            snapshots: TopicPlan { cleanup: Cleanup::Compact, ..topic(12, 0, 0) },
            mirrors: TopicPlan { cleanup: Cleanup::Compact, ..topic(1, 0, 0) },
        }
    }
}

impl Index<Topic> for TopicPlans {
    type Output = TopicPlan;
    fn index(&self, topic: Topic) -> &TopicPlan {
        &self.topics[topic as usize]
    }
}

impl IndexMut<Topic> for TopicPlans {
    fn index_mut(&mut self, topic: Topic) -> &mut TopicPlan {
        &mut self.topics[topic as usize]
    }
}
