//! Records out of a log's file, for other tools.

use std::path::Path;

use records::{Entry, Fetched, Offset, Topic, TopicPartition};

use crate::error::InspectError;
use crate::history::History;
use crate::stored::Stored;

/// Which records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Of this topic.
    pub topic: Topic,
    /// And of this partition, if not of all.
    pub partition: Option<u32>,
    /// From this offset of each partition on.
    pub from: Offset,
    /// At most so many of each partition.
    pub limit: u64,
}

/// Hands out records partition by partition, in order, also while the log is open elsewhere; up to what is there when
/// the partition's turn comes.
///
/// # Errors
/// There is no log; it can't be read; a record is damaged ([`InspectError::Damaged`]; those before it were handed
/// out); or `each` fails.
pub fn export(
    dir: &Path,
    selection: Selection,
    mut each: impl FnMut(TopicPartition, Offset, Entry<'_>) -> std::io::Result<()>,
) -> Result<u64, InspectError> {
    let mut stored = Stored::open(dir)?;
    let mut count = 0;
    let is_wanted = |at: &TopicPartition| selection.partition.is_none_or(|number| number == at.partition);
    for at in stored.partitions(Some(selection.topic)).into_iter().filter(is_wanted) {
        let mut history = History::of(stored, at, selection.from)?;
        let wanted = history.position()..history.position().saturating_add(selection.limit);
        while history.position() < wanted.end {
            let fetched = history.fetch()?;
            if fetched.is_empty() {
                break;
            }
            let records = fetched.iter().flat_map(Fetched::entries);
            for (offset, entry) in records.filter(|(offset, _)| wanted.contains(offset)) {
                each(at, offset, entry).map_err(InspectError::Output)?;
                count += 1;
            }
        }
        stored = history.into_stored();
    }
    Ok(count)
}
