//! What the results are for: time series on disk, the alert read model, device state, the console and its API.
//!
//! Each sink is a consumer of its own, so that a dead one stops nobody, and idempotent per key, so that reading
//! a record twice is harmless. Nothing here reads the wall clock: who calls passes one.

mod sink;

mod run;

mod notices;

mod backoff;

mod blocking;

mod csv;

pub mod alerts;
pub mod console;
pub mod devices;
pub mod export;
#[cfg(feature = "influx")]
pub mod influx;
pub mod ledger;
#[cfg(feature = "webhook")]
pub mod webhook;

mod happenings;
mod metrics;
mod series;

pub use alerts::{AlertBook, AlertSink};
pub use console::{ConsoleError, ConsoleState, Login};
pub use devices::{DeviceBook, DeviceSink};
pub use ledger::{LedgerBook, LedgerQuery, LedgerSink, LedgerView};
pub use metrics::Metrics;
pub use notices::{Kind, Notice, Notices};
pub use run::{Ambient, run};
pub use series::{Rows, SeriesSink};
pub use sink::{Sink, SinkError, Written};
pub use store;

use records::Timestamp;
use std::sync::Arc;

/// The wall clock, as an argument.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;
