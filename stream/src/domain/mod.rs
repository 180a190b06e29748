//! What the fields know: indices, sums, queues, passages, zones. Each file names the source of its rule.
//!
//! Everything here is a pure function or an operator that is fed from outside: no clock, no I/O, and no map whose
//! order could reach an output.

pub mod air;
pub mod epc;
pub mod plant;
mod progress;
mod rounding;
pub mod tags;
pub mod traffic;
pub mod weather;

pub use rounding::half_even;
