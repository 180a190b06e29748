//! A log's file, opened to look: beside the process that writes it, or when nobody does.

use std::path::{Path, PathBuf};

use records::{Offset, Timestamp, Topic, TopicPartition};
use rusqlite::Connection;

use crate::error::{Fault, InspectError};
use crate::layout::Layout;
use crate::partition::Extent;
use crate::row::Row;
use crate::{OpenError, range, schema};

/// How much is read at once, so that no look keeps the writer from tidying up for long.
const READ_BYTES: usize = 1 << 20;

/// A file that is only read.
pub(crate) struct Stored {
    pub conn: Connection,
    pub path: PathBuf,
    pub layout: Layout,
}

impl Stored {
    pub fn open(dir: &Path) -> Result<Stored, InspectError> {
        let path = dir.join("log.db");
        let folder = |source| OpenError::Folder { path: path.clone(), source };
        std::fs::metadata(&path).map_err(folder)?;
        let conn = schema::open_reader(&path).map_err(|source| schema::not_a_log(&path, source))?;
        if schema::is_new(&conn, &path)? {
            return Err(OpenError::NotALog { path, found: "an empty database".to_owned() }.into());
        }
        let layout = schema::stored_layout(&conn).map_err(storage(&path))?;
        Ok(Stored { conn, path, layout })
    }

    pub fn extent(&self, at: TopicPartition) -> Result<Extent, InspectError> {
        schema::extent(&self.conn, at).map_err(storage(&self.path))
    }

    /// The next rows of a partition from `position` on, up to `next`; none at the end.
    pub fn rows(&self, at: TopicPartition, position: Offset, next: Offset) -> Result<Vec<Row>, Fault> {
        if position >= next {
            return Ok(Vec::new());
        }
        range::read(&self.conn, at, position, next, READ_BYTES)
    }

    /// All partitions, or those of one topic.
    pub fn partitions(&self, topic: Option<Topic>) -> Vec<TopicPartition> {
        self.layout.all().filter(|at| topic.is_none_or(|topic| topic == at.topic)).collect()
    }

    /// When it was made; `None` for a log that no Sluice has opened since that is noted.
    pub fn made(&self) -> Option<Timestamp> {
        schema::made(&self.conn).ok()
    }
}

/// An error of the file.
pub(crate) fn storage(path: &Path) -> impl Fn(rusqlite::Error) -> InspectError + use<> {
    let path = path.to_owned();
    move |source| OpenError::Storage { path: path.clone(), source }.into()
}
