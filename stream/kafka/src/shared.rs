//! What all users of one log share.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::forgotten::Renamed;
use crate::names::Names;
use crate::producer::Appender;
use crate::{Metrics, Options};

/// What all users of one log share.
pub(crate) struct Shared {
    pub options: Options,
    pub names: Arc<Names>,
    pub metrics: Metrics,
    pub appender: Appender,
    pub renamed: Arc<Renamed>,
    /// Set once, by the close.
    pub is_closed: Arc<AtomicBool>,
}
