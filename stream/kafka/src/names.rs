//! What things are called on a cluster.

use records::Topic;

/// The topic where jobs keep their state.
const SNAPSHOTS: &str = "snapshots";
/// The topic where mirrors of other deployments note how far they are.
const MIRRORS: &str = "mirrors";

/// The names of one deployment.
#[derive(Debug)]
pub(crate) struct Names {
    prefix: String,
    topics: [String; Topic::ALL.len()],
    snapshots: String,
    mirrors: String,
}

impl Names {
    pub fn new(prefix: &str) -> Names {
        Names {
            prefix: prefix.to_owned(),
            topics: Topic::ALL.map(|topic| format!("{prefix}{topic}")),
            snapshots: format!("{prefix}{SNAPSHOTS}"),
            mirrors: format!("{prefix}{MIRRORS}"),
        }
    }

    pub fn of(&self, topic: Topic) -> &str {
        &self.topics[topic as usize]
    }

    pub fn snapshots(&self) -> &str {
        &self.snapshots
    }

    pub fn mirrors(&self) -> &str {
        &self.mirrors
    }

    /// The transactional id of the mirror of `city`: a second one fences the first.
    pub fn mirror(&self, city: &str) -> String {
        format!("{}mirror.{city}", self.prefix)
    }

    /// The reverse of `of`.
    pub fn topic(&self, name: &str) -> Option<Topic> {
        Topic::ALL.into_iter().find(|topic| self.of(*topic) == name)
    }

    /// The group of a consumer. A job of the same name has another one.
    pub fn group(&self, group: &str) -> String {
        format!("{}group.{group}", self.prefix)
    }

    pub fn job(&self, job: &str) -> String {
        format!("{}job.{job}", self.prefix)
    }

    /// A worker's transactional id: that of the worker before it with the same name, which is fenced by that.
    pub fn transactions(&self, job: &str, instance: &str) -> String {
        format!("{}job.{job}.{instance}", self.prefix)
    }
}
