//! From a city's log to the log of another deployment, a province's: what that wants to know, once each.
//!
//! What is copied, and how far the city's log was read, become visible at the target together, so the target alone
//! says where to go on. Topics are the lanes: alerts go first, then windows, then observations, each partition in its
//! order. What is chosen stands in `deploy/README.md`.

mod run;

mod filter;
mod lane;
mod load;
mod position;

mod metrics;
mod options;
mod target;

pub use filter::{Choice, Quality};
pub use metrics::Metrics;
pub use options::Options;
pub use position::positions;
pub use run::{MirrorError, Source, run};
pub use target::{Note, Notes, Target};
