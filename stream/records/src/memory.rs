//! The log in memory, for tests.

/// A log that lives as long as the process.
#[derive(Clone, Debug)]
pub struct MemoryLog;
