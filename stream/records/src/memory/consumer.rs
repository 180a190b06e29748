//! The reader of sinks.

use super::cursor::Cursor;
use super::fault;
use crate::{Consumer, Fetched, LogError, Standing};
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

    async fn commit_noted(&mut self, standings: &[Standing]) -> Result<(), LogError> {
        let shared = Arc::clone(&self.cursor.shared);
        shared.change(|state| {
            for standing in standings {
                self.cursor.seat(state, standing.partition)?;
            }
            let fault = state.commits.next();
            fault::run(fault, || {
                for standing in standings {
                    let seat = self.cursor.seat(state, standing.partition)?;
                    (seat.committed, seat.note) = (standing.next, standing.note.clone());
                }
                Ok(())
            })
        })
    }

    async fn standings(&mut self, group: &str) -> Result<Vec<Standing>, LogError> {
        Ok(self.cursor.standings(group))
    }
}
