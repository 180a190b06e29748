//! Where the loop stands in one input partition.

use records::Offset;

/// Offsets of one input partition.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    /// The next record to process.
    pub(crate) next: Offset,
    /// Whether `next` is known: before the first record of a partition without a snapshot it isn't.
    is_placed: bool,
    /// Outputs of records below are out.
    committed: Offset,
    /// The next record after the last snapshot.
    snapshot: Offset,
}

impl Progress {
    /// Just assigned; `from` is the snapshot's offset.
    pub(crate) fn new(from: Option<Offset>, committed: Offset) -> Progress {
        let next = from.unwrap_or(0);
        Progress { next, is_placed: from.is_some(), committed, snapshot: next }
    }

    /// Whether the outputs of a record are out already.
    pub(crate) fn is_replay(&self, offset: Offset) -> bool {
        offset < self.committed
    }

    /// How many records are missing before `first`.
    pub(crate) fn lost_before(&mut self, first: Offset) -> u64 {
        // What was removed before anybody asked for it was not lost on us, unless it is beyond what we committed.
        let expected = if self.is_placed { self.next } else { self.committed };
        self.is_placed = true;
        self.next = self.next.max(first);
        first.saturating_sub(expected)
    }

    /// Everything below `next` has been processed.
    pub(crate) fn advance_to(&mut self, next: Offset) {
        self.next = next;
    }

    /// What there is to commit.
    pub(crate) fn to_commit(&self) -> Option<Offset> {
        (self.next > self.committed).then_some(self.next)
    }

    /// A commit has succeeded.
    pub(crate) fn committed(&mut self) {
        self.committed = self.committed.max(self.next);
    }

    /// Records since the last snapshot.
    pub(crate) fn since_snapshot(&self) -> u64 {
        self.next.saturating_sub(self.snapshot)
    }

    /// The commit held a snapshot.
    pub(crate) fn snapshot_taken(&mut self) {
        self.snapshot = self.next;
    }
}
