//! What operators do, on its way to the log.

use super::reply::Refusal;
use records::{
    Action, AppendError, Batch, Name, Producer, Record, Subject, Topic, TopicPartition, partition_of,
};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

type Appending = Pin<Box<dyn Future<Output = Result<(), AppendError>> + Send>>;

/// Appends actions to the topic on which the job of their subject reads.
#[derive(Clone)]
pub struct Actions(Arc<dyn Fn(Action) -> Appending + Send + Sync>);

impl Actions {
    /// Appends to `log`.
    pub fn new(log: impl Producer) -> Actions {
        Actions(Arc::new(move |action| {
            let log = log.clone();
            Box::pin(async move {
                let (partition, batch) = place(&log, action);
                log.append(vec![(partition, batch)]).await.map(drop)
            })
        }))
    }

    /// Returns when the action is durable.
    pub(super) async fn append(&self, action: Action) -> Result<(), Refusal> {
        Ok((self.0)(action).await?)
    }
}

/// A device's actions travel on `telemetry` with the device as key, an area's on `aggregates`.
fn place(log: &impl Producer, action: Action) -> (TopicPartition, Batch) {
    let (topic, key): (Topic, Name) = match &action.subject {
        Subject::Device(device) => (Topic::Telemetry, device.clone()),
        Subject::Area(area) => (Topic::Aggregates, area.clone()),
    };
    let partition = partition_of(key.as_bytes(), log.partitions(topic));
    let mut batch = Batch::new();
    batch.push_with(key.as_bytes(), |bytes| Record::Action(action).encode(bytes));
    (TopicPartition { topic, partition }, batch)
}
