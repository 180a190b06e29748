//! The input of the device job: history of `telemetry`. Its outputs go to the area job and to what is kept.

use std::collections::VecDeque;
use std::sync::Arc;

use records::{Batch, Commit, Delivery, LogError, Pipe, Timestamp, Topic};
use tokio::sync::mpsc::Sender;

use super::kept::Kept;
use super::lane::{Lane, time_of};
use super::pace::Pace;
use super::progress::Progress;

/// Rows for a partition of `aggregates`.
pub type Rows = (u32, Batch);

/// Some partitions of `telemetry` until a time, whichever is behind first.
pub struct Feed {
    /// Its number among the workers.
    pub worker: usize,
    /// Its partitions.
    pub lanes: Vec<Lane>,
    /// That are still to be announced.
    pub assigned: VecDeque<u32>,
    /// Where a partition ends: at its first batch that begins behind this, ingest time.
    pub until: Timestamp,
    /// Keeps workers together.
    pub pace: Arc<Pace>,
    /// What was read.
    pub progress: Arc<Progress>,
    /// The workers of the area job, by partition.
    pub areas: Vec<Sender<Rows>>,
    /// What is kept.
    pub kept: Kept,
}

impl Feed {
    /// The lane whose next batch is the oldest, and when that came. A batch that tells no time goes first.
    async fn oldest(&mut self) -> Result<Option<(Timestamp, usize)>, String> {
        let mut oldest: Option<(Timestamp, usize)> = None;
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            let Some(head) = lane.peek().await? else { continue };
            let time = time_of(head).unwrap_or(Timestamp::MIN);
            if time > self.until {
                lane.end();
            } else if oldest.is_none_or(|(best, _)| time < best) {
                oldest = Some((time, index));
            }
        }
        Ok(oldest)
    }
}

impl Pipe for Feed {
    async fn poll(&mut self) -> Result<Option<Delivery>, LogError> {
        if let Some(partition) = self.assigned.pop_front() {
            return Ok(Some(Delivery::Assigned { partition, snapshot: None, committed: 0 }));
        }
        let oldest = self.oldest().await.map_err(|problem| LogError::Unavailable(problem.into()))?;
        let Some((time, index)) = oldest else {
            self.pace.leave(self.worker);
            return Ok(None);
        };
        if time > Timestamp::MIN {
            self.pace.come_to(self.worker, time).await;
        }
        let fetched = self.lanes[index].take();
        if let Some(fetched) = &fetched {
            self.progress.note(fetched, time);
        }
        Ok(fetched.map(Delivery::Records))
    }

    async fn commit(&mut self, commit: Commit) -> Result<(), LogError> {
        self.kept.keep(&commit.outputs).await?;
        for (at, batch) in commit.outputs {
            if at.topic == Topic::Aggregates {
                let area = &self.areas[at.partition as usize];
                let sent = area.send((at.partition, batch)).await;
                sent.map_err(|_| LogError::Unavailable("the area job has ended".into()))?;
            }
        }
        Ok(())
    }
}
