//! What can go wrong, by what the caller does about it.

use std::path::PathBuf;

use records::{AppendError, LogError, Topic};

/// Why a log could not be opened. None of these goes away by trying again.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process writes here; end one of the two.
    #[error("{} is in use by another sluice ({holder})", dir.display())]
    InUse {
        /// The log's folder.
        dir: PathBuf,
        /// Who, as far as the lock file tells: `pid 123`.
        holder: String,
    },
    /// The folder can't be made, read or written.
    #[error("can't use {}", path.display())]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is something else, or was written by a newer Sluice.
    #[error("{} is not a log of this version: {found}", path.display())]
    NotALog {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// A transaction in the write-ahead file is broken and whole ones stand behind it, which SQLite would forget.
    /// Keep a copy of the folder; without that file the log is as it was at its last checkpoint.
    #[error(
        "{} is damaged in frame {frame}, and acknowledged records stand behind it: keep a copy of the folder; \
         without this file the log opens as it was at its last checkpoint",
        path.display()
    )]
    Torn {
        /// The write-ahead file.
        path: PathBuf,
        /// The first that is not as it was written, from 1; 0 is the head of the file.
        frame: u64,
    },
    /// The number of partitions is fixed when a log is made.
    #[error(
        "{topic} has {stored} partitions in the existing log and {asked} in the options; they can't change"
    )]
    Partitions {
        /// The topic.
        topic: Topic,
        /// As the file says.
        stored: u32,
        /// As the options say.
        asked: u32,
    },
    /// Every topic needs a partition, and a table for each.
    #[error("{topic} can't have {asked} partitions: 1 to 1024 are possible")]
    PartitionCount {
        /// The topic.
        topic: Topic,
        /// As the options say.
        asked: u32,
    },
    /// The file can't be opened or read.
    #[error("can't open the log {}", path.display())]
    Storage {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
}

/// Why a look into a log's file, or a copy of it, has failed.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// There is no log, or it can't be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A record is not as it was written.
    #[error("{partition} is damaged at offset {offset}: {detail}")]
    Damaged {
        /// Where.
        partition: records::TopicPartition,
        /// At which record.
        offset: records::Offset,
        /// What was found.
        detail: String,
    },
    /// The file can't be read now.
    #[error("can't read the log: {0}")]
    Unavailable(String),
    /// Nothing is overwritten.
    #[error("{} exists already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// What was read can't be written where it should go.
    #[error("can't write what was read")]
    Output(#[source] std::io::Error),
}

/// Why a request failed inside, before it is told in the words of the trait that was called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{0}")]
    Full(String),
    #[error("{0}")]
    Unavailable(String),
    #[error("fenced")]
    Fenced,
    #[error("the log is closed")]
    Closed,
    #[error("{at} is damaged at offset {offset}: {detail}")]
    Damaged { at: records::TopicPartition, offset: records::Offset, detail: String },
}

impl From<Fault> for AppendError {
    fn from(fault: Fault) -> AppendError {
        match fault {
            Fault::Full(why) => AppendError::Full(why),
            Fault::Closed => AppendError::Closed,
            other => AppendError::Unavailable(Box::new(other)),
        }
    }
}

impl From<Fault> for LogError {
    fn from(fault: Fault) -> LogError {
        match fault {
            Fault::Fenced => LogError::Fenced,
            Fault::Damaged { at, offset, detail } => LogError::Damaged { partition: at, offset, detail },
            other => LogError::Unavailable(Box::new(other)),
        }
    }
}

impl From<Fault> for InspectError {
    fn from(fault: Fault) -> InspectError {
        match fault {
            Fault::Damaged { at, offset, detail } => InspectError::Damaged { partition: at, offset, detail },
            other => InspectError::Unavailable(other.to_string()),
        }
    }
}

impl From<&rusqlite::Error> for Fault {
    fn from(error: &rusqlite::Error) -> Fault {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Fault::Full(error.to_string()),
            _ => Fault::Unavailable(error.to_string()),
        }
    }
}
