//! The ledger: what became of every message, by device and hour of ingest time.
//!
//! Two topics meet here, because no stage knows another: what the stream stage says of the messages that were accepted
//! (`ledger`), and what the gateway set aside (`quarantine`).

mod book;

mod sink;

mod view;

pub use book::LedgerBook;
pub use sink::LedgerSink;
pub use view::{LedgerQuery, LedgerView};
