//! What a device brings to a roll-up of its area.

use crate::{Name, Timestamp, Window};

/// A pane of one user-defined job as one device knows it, for whoever merges the panes of an area's devices.
///
/// Key (device, job, window); the highest revision takes the place of those before.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// Whose.
    pub device: Name,
    /// What it rolls up into; the record's key on the log.
    pub area: Name,
    /// Of which job of the rules file.
    pub job: Name,
    /// Which job of that name: a number of its definition, so that panes of two definitions are never merged; 0 when
    /// nobody said.
    pub definition: u64,
    /// `[start, end)` in event time.
    pub window: Window,
    /// 0 when the pane closed; one more for each time late readings changed it.
    pub revision: u32,
    /// What was kept of its values, as the stream stage writes its state: nobody else reads it.
    pub values: Vec<u8>,
    /// Ingest time of what closed or changed the pane.
    pub as_of: Timestamp,
}
