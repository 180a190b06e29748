//! From the gateway's own log, its spool, to the log that the stages read: in order, through outages, at least once.
//!
//! A gateway with a spool acknowledges what is durable on its own disk, and this brings it on. It knows two logs by
//! their traits and no engine; what a record says matters to nobody here, except how old the oldest one is.
//! The rules of the two lanes stand in `gateway/README.md`.

mod run;

mod claim;

mod lanes;
mod load;
mod short;

mod budget;
mod pace;
mod uplink;

mod error;
mod metrics;
mod options;

pub use claim::claim;
pub use error::ForwardError;
pub use metrics::Metrics;
pub use options::Options;
pub use run::{Spool, run};
pub(crate) use uplink::Uplink;
