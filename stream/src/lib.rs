//! The stream stage: event-time windows, domain operators and alerts over the log.
//!
//! Inside is pure, synchronous Rust, so that the same input gives the same output: a [`Job`] is a function from
//! records and state to records and state, and [`run`] is the only part that waits, reads and writes.

mod run;

mod job;
mod options;
mod outputs;
mod progress;
mod snapshot;
mod ticker;

pub mod aggregate;
pub mod area;
pub mod device;

pub mod domain;
pub mod expression;
pub mod rule;

pub mod cbor;
mod counts;
mod error;
mod fnv;
mod index;
mod metrics;

pub use area::{AreaConfig, AreaJob, PastActions};
pub use counts::{Counts, Fact};
pub use device::{ClockConfig, DeviceConfig, DeviceJob, FamilyTimes, Policy, Times};
pub use error::StreamError;
pub use job::Job;
pub use metrics::Metrics;
pub use options::Options;
pub use outputs::{Outputs, Partitions};
pub use run::run;
pub use snapshot::StateError;
pub use ticker::{Clock, Ticker};
