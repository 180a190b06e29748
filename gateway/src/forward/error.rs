//! Why forwarding ended.

use records::{AppendError, LogError};

/// Forwarding has ended, and not because it was told to. A target that is away is no error: it is waited for.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// The spool can't be read or committed; start again from its last commit. [`LogError::Fenced`]: another
    /// forwarder has taken over.
    #[error("can't forward from the spool")]
    Spool(#[source] LogError),
    /// The target will not take what comes next until its settings have been changed. The spool keeps it.
    #[error("can't forward; the spool keeps what comes")]
    Refused(#[source] AppendError),
    /// The target was closed for good.
    #[error("the log that the spool is forwarded to was closed")]
    TargetClosed,
}
