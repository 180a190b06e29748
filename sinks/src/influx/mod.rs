//! Closed windows, and on request raw values, into InfluxDB 2.
//!
//! ```text
//! observations ─┬▶ live lane ─────▶ encoder ─▶ delivery ─▶ POST /api/v2/write
//! aggregates ───┤    │ too old: a gap
//!               └▶ backfill lane ─▶ encoder ─▶ delivery ─▶      ″, at a limited rate
//! ```
//! Two consumers of the log, so that after an outage fresh records go out at once while the gap behind them is
//! filled in order. Every point has a key (series, time), so writing one twice changes nothing.
//! Both share their partitions with other processes; what one lane must know of the other stands in what their groups
//! have committed.

mod options;

mod lane;

mod leading;

mod trailing;

mod left_out;

mod gaps;

mod encoder;

mod series;

mod line;

mod lines;

mod delivery;

mod wire;

mod ledger;

pub use lane::InfluxSink;
pub use leading::Leading;
pub use ledger::{Ledger, Refused};
pub use options::{InfluxOptions, Tags};
pub use trailing::Trailing;

/// The live lane's group on the log.
pub const LIVE_GROUP: &str = "influx";
/// The backfill lane's.
pub const BACKFILL_GROUP: &str = "influx_backfill";

/// For the bench, which compares it with the client's own writer.
#[doc(hidden)]
pub use {encoder::Encoder, ledger::Pages, lines::Lines};
