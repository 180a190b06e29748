//! One partition of a log's file, read from a place to where it ended.

use std::path::Path;

use records::{Fetched, Offset, TopicPartition};

use crate::error::InspectError;
use crate::stored::Stored;

/// Hands out the records of a partition in order, also while the log is open elsewhere; up to what is there when it is
/// opened.
pub struct History {
    stored: Stored,
    at: TopicPartition,
    position: Offset,
    end: Offset,
}

impl History {
    /// From this offset on, or from the oldest record when that is newer.
    ///
    /// # Errors
    /// There is no log, or it can't be read.
    pub fn open(dir: &Path, at: TopicPartition, from: Offset) -> Result<History, InspectError> {
        History::of(Stored::open(dir)?, at, from)
    }

    pub(crate) fn of(stored: Stored, at: TopicPartition, from: Offset) -> Result<History, InspectError> {
        let extent = stored.extent(at)?;
        Ok(History { stored, at, position: from.max(extent.first), end: extent.next })
    }

    /// The next records; empty at the end. The first of them may begin before the place that was asked for, because
    /// records are stored many together; what retention removes meanwhile is told as lost.
    ///
    /// # Errors
    /// It can't be read, or a record is damaged (those before it were handed out).
    pub fn fetch(&mut self) -> Result<Vec<Fetched>, InspectError> {
        let rows = self.stored.rows(self.at, self.position, self.end)?;
        let fetched = rows.into_iter().map(|row| {
            let lost = row.first.saturating_sub(self.position);
            self.position = row.next();
            Fetched { partition: self.at, first: row.first, lost, batch: row.batch }
        });
        Ok(fetched.collect())
    }

    /// The offset of the next record.
    pub fn position(&self) -> Offset {
        self.position
    }

    /// Gives the file back.
    pub(crate) fn into_stored(self) -> Stored {
        self.stored
    }
}
