//! The stream stage: event-time windows, domain operators and alerts over the log.
//!
//! Inside is pure, synchronous Rust, so that the same input gives the same output.

pub mod cbor;
pub mod domain;
pub mod rule;
