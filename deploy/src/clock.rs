//! The wall clock. Everything else gets it as an argument.

use std::sync::Arc;
use std::time::SystemTime;

use records::Timestamp;

/// Now, by this machine.
pub fn now() -> Timestamp {
    match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
        Err(before) => Timestamp(-i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX)),
    }
}

/// The same, to hand on.
pub fn shared() -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
    Arc::new(now)
}
