//! The steps of a seal, a merge, a roll-up or a removal, named, so that tests can stop it between any two, and what is
//! made durable on the way.

use std::fs::File;
use std::io;
use std::path::Path;

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

#[cfg(test)]
type OnSync = dyn Fn(&Path) + Send + Sync;

/// Does nothing outside tests.
#[derive(Clone, Default)]
pub(crate) struct Steps {
    #[cfg(test)]
    pub hook: Option<std::sync::Arc<dyn Fn(Step) -> io::Result<()> + Send + Sync>>,
    /// Hears of every file and folder that was made durable.
    #[cfg(test)]
    pub on_sync: Option<std::sync::Arc<OnSync>>,
}

impl Steps {
    /// Makes the bytes of a file, or the names in a folder, durable.
    pub fn sync(&self, path: &Path, file: &File) -> io::Result<()> {
        file.sync_all()?;
        self.synced(path);
        Ok(())
    }

    #[cfg(test)]
    fn synced(&self, path: &Path) {
        self.on_sync.iter().for_each(|hear| hear(path));
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "somebody listens in tests only")]
    fn synced(&self, _: &Path) {}

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
