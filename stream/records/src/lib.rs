//! What travels on Sluice's log: records, their bytes, topics, and the traits of the log itself.
//!
//! Every stage knows this crate and no other stage, so it is the one place where two stages agree.
//! Nothing here does I/O, reads a clock or starts a task.

mod account;
mod action;
mod aggregate;
mod alert;
mod batch;
mod codec;
#[cfg(any(test, feature = "contract-tests"))]
pub mod contract;
mod crs;
mod device;
mod log;
mod memory;
mod mirrored;
mod note;
mod observation;
mod origin;
mod partition;
mod quality;
mod quantity;
mod quarantine;
mod record;
mod rules;
mod share;
mod sighting;
mod sum;
mod tick;
pub mod time;
mod topic;

pub use account::{Account, AccountCounts, AccountItem};
pub use action::{Action, Verb};
pub use aggregate::{Aggregate, Subject};
pub use alert::{Alert, AlertState, Severity, UseCase};
pub use batch::{Batch, Entry};
pub use codec::{DecodeError, Kind};
pub use crs::{Crs, StatedPosition};
pub use device::{Device, Family, Limit, LimitKind, Position};
pub use log::{
    AppendError, Commit, Consumer, Delivery, Fetched, LogError, MOST_NOTE_BYTES, Offset, Pipe, Producer,
    Snapshot, Standing, TopicPartition,
};
pub use memory::{MemoryConsumer, MemoryLog, MemoryPipe};
pub use mirrored::Mirrored;
pub use note::{Note, Noted};
pub use observation::{Body, Observation, Passage, Reading, Status, TagRead, VehicleClass};
pub use origin::Origin;
pub use partition::partition_of;
pub use quality::{Flag, Quality, Test};
pub use quantity::{Quantity, QuantityInfo};
pub use quarantine::{Quarantined, Reason};
pub use record::Record;
pub use rules::Rules;
pub use share::Share;
pub use sighting::Sighting;
pub use sum::ExactSum;
pub use tick::Tick;
pub use time::{Timestamp, Window};
pub use topic::Topic;

/// No record's value is larger: every log takes it, with its key and headers.
pub const LARGEST_RECORD_BYTES: usize = (16 << 20) - (64 << 10);

/// A short name (device, area, alert): up to 23 bytes without an allocation, cheap to clone beyond.
pub type Name = smol_str::SmolStr;
