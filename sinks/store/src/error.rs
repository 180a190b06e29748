//! Why the store could not do something, by what the caller does about it.

use std::error::Error;
use std::path::PathBuf;

/// Why the store could not do something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has this folder open. End.
    #[error("{} is in use by another process", dir.display())]
    InUse {
        /// The folder.
        dir: PathBuf,
    },
    /// Written by a newer Sluice. End.
    #[error("{} has format {found}, newer than this program", dir.display())]
    Version {
        /// The folder.
        dir: PathBuf,
        /// Its format.
        found: i64,
    },
    /// The disk has no room. Nothing is lost: try again when it has.
    #[error("no room on the disk")]
    Full(#[source] Box<dyn Error + Send + Sync>),
    /// The disk or the manifest can't be read or written. Nothing is lost: try again later.
    #[error("the store is unavailable")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// The answer would have more rows than [`crate::Options::answer_rows`]. Ask for less.
    #[error("the answer has more than {limit} rows")]
    TooManyRows {
        /// The bound.
        limit: usize,
    },
    /// Whoever asked said that the answer is not wanted any more.
    #[error("the answer is not wanted any more")]
    Stopped,
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> StoreError {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                StoreError::Full(error.into())
            }
            _ => StoreError::Unavailable(error.into()),
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => StoreError::Full(error.into()),
            _ => StoreError::Unavailable(error.into()),
        }
    }
}

impl From<parquet::errors::ParquetError> for StoreError {
    fn from(error: parquet::errors::ParquetError) -> StoreError {
        match error {
            parquet::errors::ParquetError::External(source) => match source.downcast::<std::io::Error>() {
                Ok(io) => (*io).into(),
                Err(other) => StoreError::Unavailable(other),
            },
            other => StoreError::Unavailable(other.into()),
        }
    }
}
