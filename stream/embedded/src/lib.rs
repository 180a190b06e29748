//! The log on one machine: SQLite in WAL mode, where everything that waits is committed with one fsync.
//!
//! One thread writes. It takes what producers, consumers and pipes ask for, puts all of it into one transaction,
//! and answers when that transaction is durable; so an acknowledgement is a promise, outputs and positions of a
//! [`Pipe`](records::Pipe) are visible together for free, and an fsync is shared by everyone who waits for one.
//! Readers follow in memory and go to the file only when they are behind.
//!
//! Nothing here reads a wall clock (it is an argument), decodes a record, or knows what a topic is for.

mod cursor;
mod error;
mod layout;
mod lock;
mod log;
mod metrics;
mod notes;
mod options;
mod partition;
mod queue;
mod range;
mod reader;
mod request;
mod retention;
mod room;
mod roster;
mod row;
mod schema;
mod seat;
mod shared;
mod stats;
mod transaction;
mod wal;
mod writer;

mod backup;
mod export;
mod history;
mod stored;
mod survey;
mod verify;

pub use backup::backup;
pub use error::{InspectError, OpenError};
pub use export::{Selection, export};
pub use history::History;
pub use log::{Clock, Log};
pub use metrics::Metrics;
pub use options::{Options, OverBudget, Retention, TopicOptions};
pub use reader::{EmbeddedConsumer, EmbeddedPipe};
pub use seat::ReaderName;
pub use stats::{PartitionStats, ReaderStats, Stats};
pub use survey::{NoteStats, StoredPartition, Survey, offsets_at, stats};
pub use verify::{Damage, Verification, verify};
