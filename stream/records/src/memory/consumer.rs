//! The reader of sinks.

use super::cursor::Cursor;
use super::fault;
use crate::{Consumer, Fetched, LogError, Offset, TopicPartition};
use std::sync::Arc;

/// See [`super::MemoryLog::consumer`].
pub struct MemoryConsumer {
    cursor: Cursor,
}

impl MemoryConsumer {
    pub(super) fn new(mut cursor: Cursor) -> MemoryConsumer {
        cursor.start(|seat| seat.committed);
        MemoryConsumer { cursor }
    }
}

impl Consumer for MemoryConsumer {
    async fn poll(&mut self) -> Result<Option<Fetched>, LogError> {
        self.cursor.poll().await
    }

    async fn commit(&mut self, offsets: &[(TopicPartition, Offset)]) -> Result<(), LogError> {
        let shared = Arc::clone(&self.cursor.shared);
        shared.change(|state| {
            for (partition, _) in offsets {
                self.cursor.seat(state, *partition)?;
            }
            let fault = state.commits.next();
            fault::run(fault, || {
                for (partition, offset) in offsets {
                    self.cursor.seat(state, *partition)?.committed = *offset;
                }
                Ok(())
            })
        })
    }
}
