//! The read model of topic `alerts`: how every alert stands, every transition in the order we learnt of it, and
//! who wants to hear of the next.

mod book;

mod query;

mod schema;

mod sink;

pub use book::{AlertBook, BookError, Transition};
pub use query::{AlertQuery, AlertView, Counts};
pub use sink::AlertSink;
pub(crate) use sink::sink_error;
