//! What the benches share.

use gateway::{NewDevice, Promise, SessionStore};
use records::{
    AppendError, Batch, Crs, Family, LogError, Note, Noted, Offset, Producer, Timestamp, Topic,
    TopicPartition,
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

/// A device of which only its name matters.
pub fn device(id: &str) -> NewDevice {
    NewDevice {
        id: id.into(),
        family: Family::Air,
        label: "".into(),
        area: "".into(),
        rank: 0,
        position: None,
        crs: Crs::Wgs84,
    }
}
