//! Work that blocks, off the async threads.

use std::panic::resume_unwind;

/// Runs `work` where blocking is allowed. A panic in it goes on in the caller, for the supervisor to see.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime is shutting down: nobody waits for the answer any more.
            Err(_) => std::future::pending().await,
        },
    }
}
