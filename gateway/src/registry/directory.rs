//! What the gateway asks of a registry, wherever it is kept.

use crate::{Entry, RegistryError};

/// A source of registry entries. Calls may block; the gateway makes them on the blocking pool.
///
/// A change is never taken back: an entry that was there stays, with a higher revision.
pub trait Directory: Send + Sync + 'static {
    /// The entry of that id, as of now.
    fn look_up(&self, id: &str) -> Result<Option<Entry>, RegistryError>;

    /// Every entry whose revision is above `revision`, by revision; 0 gives all. Cheap when there is none: it is
    /// asked several times a second.
    fn changed_since(&self, revision: u64) -> Result<Vec<Entry>, RegistryError>;
}
