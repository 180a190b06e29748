//! Whence a forwarded record came, so that one that is sent again can be recognised.

use crate::Offset;

/// Where a record stood on the spool of a gateway before a forwarder brought it here.
///
/// A gateway's spool is its own log, and `offset` counts the records of one of its partitions. A key has one
/// partition there, and a forwarder brings the records of a key in the order of their offsets. So among records of
/// one key and one (gateway, spool), one whose offset is not greater than the greatest seen so far has been here
/// before, however the records of other keys stand in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin<'a> {
    /// The gateway's id, at most 255 bytes.
    pub gateway: &'a str,
    /// Which of its spools: a gateway whose disk was replaced counts from 0 again, and says so here. The instant the
    /// spool was made, in milliseconds since 1970.
    pub spool: u64,
    /// Where the record stood.
    pub offset: Offset,
}
