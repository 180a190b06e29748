//! Where the loop stands in one input partition.

use records::Offset;

/// Offsets of one input partition.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    /// The next record to process.
    pub(crate) next: Offset,
    /// Outputs of records below are out.
    committed: Offset,
    /// The next record after the last snapshot.
    snapshot: Offset,
}

impl Progress {
    /// Just assigned; `from` is the snapshot's offset.
    pub(crate) fn new(from: Option<Offset>, committed: Offset) -> Progress {
        let next = from.unwrap_or(0);
        Progress { next, committed, snapshot: next }
    }

    /// Whether the outputs of a record are out already.
    pub(crate) fn is_replay(&self, offset: Offset) -> bool {
        offset < self.committed
    }

    /// Records come that begin at `first`; what is left out before it will not come.
    pub(crate) fn go_to(&mut self, first: Offset) {
        self.next = self.next.max(first);
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

    /// The commit held a snapshot of what was below `offset`.
    pub(crate) fn snapshot_taken(&mut self, offset: Offset) {
        self.snapshot = offset;
    }
}
