//! The input of the area job: what the device job writes now, and before it what operators did then.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use records::{Commit, Delivery, Fetched, LogError, Offset, Pipe, Topic, TopicPartition};
use tokio::sync::mpsc::Receiver;

use super::feed::Rows;
use super::kept::Kept;

/// Some partitions of `aggregates`.
pub struct Areas {
    /// That are still to be announced.
    pub assigned: VecDeque<u32>,
    /// Actions, with the time at which they took effect.
    pub actions: VecDeque<Rows>,
    /// From the device job.
    pub rows: Receiver<Rows>,
    /// Where each partition ends by now.
    pub next: BTreeMap<u32, Offset>,
    /// What is kept.
    pub kept: Kept,
}

impl Areas {
    fn deliver(&mut self, (partition, batch): Rows) -> Delivery {
        let next = self.next.entry(partition).or_insert(0);
        let first = *next;
        *next += batch.len() as Offset;
        let partition = TopicPartition { topic: Topic::Aggregates, partition };
        Delivery::Records(Fetched { partition, first, lost: 0, batch: Arc::new(batch) })
    }
}

impl Pipe for Areas {
    async fn poll(&mut self) -> Result<Option<Delivery>, LogError> {
        if let Some(partition) = self.assigned.pop_front() {
            return Ok(Some(Delivery::Assigned { partition, snapshot: None, committed: 0 }));
        }
        let rows = match self.actions.pop_front() {
            Some(actions) => Some(actions),
            None => self.rows.recv().await,
        };
        Ok(rows.map(|rows| self.deliver(rows)))
    }

    async fn commit(&mut self, commit: Commit) -> Result<(), LogError> {
        self.kept.keep(&commit.outputs).await
    }
}
