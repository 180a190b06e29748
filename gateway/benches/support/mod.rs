//! What the benches share.

use gateway::{Promise, SessionStore};
use records::{
    AppendError, Batch, LogError, Note, Noted, Offset, Producer, Timestamp, Topic, TopicPartition,
};

/// Takes everything and keeps nothing.
#[derive(Clone)]
pub struct Nowhere;

impl Producer for Nowhere {
    fn partitions(&self, _topic: Topic) -> u32 {
        4
    }

    async fn append(&self, batches: Vec<(TopicPartition, Batch)>) -> Result<Vec<Offset>, AppendError> {
        Ok(vec![0; batches.len()])
    }
}

impl SessionStore for Nowhere {
    fn append(
        &self,
        _batches: Vec<(TopicPartition, Batch)>,
        _notes: Vec<Note>,
    ) -> Promise<Result<(), AppendError>> {
        Box::pin(async { Ok(()) })
    }

    fn notes(&self, _prefix: &[u8]) -> Promise<Result<Noted, LogError>> {
        Box::pin(async { Ok(Noted::default()) })
    }

    fn made(&self) -> Timestamp {
        Timestamp(0)
    }

    fn place(&self) -> String {
        "nowhere".to_owned()
    }
}
