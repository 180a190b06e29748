//! The steps of a seal or a merge, named, so that tests can stop it between any two.

use std::io;

/// A moment at which a process may die or a disk may fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// Rows are frozen, no file is begun.
    Frozen,
    /// A file is written under its unfinished name.
    FileWritten,
    /// A file has its name.
    FileNamed,
    /// All files are durable; the manifest knows nothing of them.
    BeforeCommit,
    /// The manifest's transaction is committed; readers still use the old files.
    Committed,
    /// Readers use the new files; the old ones are not unlinked yet.
    Swapped,
}

/// Does nothing outside tests.
#[derive(Clone, Default)]
pub(crate) struct Steps {
    #[cfg(test)]
    pub hook: Option<std::sync::Arc<dyn Fn(Step) -> io::Result<()> + Send + Sync>>,
}

impl Steps {
    #[cfg(test)]
    pub fn reach(&self, step: Step) -> io::Result<()> {
        self.hook.as_ref().map_or(Ok(()), |hook| hook(step))
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "the hook is there in tests only")]
    pub fn reach(&self, _: Step) -> io::Result<()> {
        Ok(())
    }
}
