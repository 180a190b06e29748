//! Time series on local disk: rows gather in memory, are sealed to Parquet, and a manifest says what counts.
//!
//! The log in front of it is the write-ahead log, so a row is written once and no server has to run: what was
//! not sealed when the process died is read from the log again, from the offsets of the last seal.
//!
//! Absent on purpose: any clock (times are arguments), any thread or task (every call does its work before it
//! returns), and the log itself (of which only partitions and offsets are known).

mod error;
mod query;
mod rows;
mod store;

mod catalog;
mod latest;
mod memory;
mod point;

mod columns;
mod day;
mod happened;
mod index;
mod manifest;
mod seal;
mod sealed;
mod steps;
mod writing;

mod bucket;
mod cover;
mod joined;
mod listing;
mod pages;
mod reading;
mod rolled;
mod tracing_back;
mod view;

mod merge;
mod removal;
mod rollup;
mod upkeep;

mod backup;
mod rebuild;
mod verify;

#[cfg(test)]
mod tests;

pub use backup::{Copied, CopyError, backup, restore};
pub use bucket::Bucket;
pub use columns::{Tabular, put_column, put_optional_column};
pub use error::StoreError;
pub use happened::{Happening, HappeningRow};
pub use joined::{Joined, Spans, usual_width};
pub use latest::Latest;
pub use query::{Points, SeriesInfo, SeriesKind};
pub use rebuild::{Rebuild, RebuildError, Rebuilt};
pub use rows::{AggregateRow, RawRow, Written};
pub use store::{Damaged, Options, Sealed, Store};
pub use tracing_back::Trace;
pub use verify::{Fault, Verified, verify};
