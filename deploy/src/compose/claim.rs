//! One gateway for each id: whoever runs one holds its place on Kafka, and a second one takes it.

use std::time::{Duration, Instant};

use gateway::forward;
use records::LogError;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::engine::Engine;
use crate::fences::Fences;

/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// Another process is the gateway of this id.
#[derive(Debug, thiserror::Error)]
#[error("another process is gateway \"{0}\" too, and only one may be: give each its own spool.gateway")]
pub(super) struct Taken(String);

/// Holds the place of `gateway` until `stop`. Kafka may be away meanwhile, and may take its group's members for dead:
/// only who is sent away again and again has a rival.
///
/// # Errors
/// [`Taken`], or the log can't be read for good.
pub(super) async fn hold(
    log: &Engine,
    gateway: &str,
    stop: &CancellationToken,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let Engine::Kafka(log, _) = log else {
        stop.cancelled().await;
        return Ok(());
    };
    let mut fences = Fences::default();
    loop {
        match forward::claim(log.seat(gateway), stop.clone()).await {
            Ok(()) => return Ok(()),
            Err(LogError::Fenced) if fences.may_join_again(Instant::now()) => {
                warn!(gateway, "this gateway's place on Kafka was taken; taking it back");
            }
            Err(LogError::Fenced) => return Err(Taken(gateway.to_owned()).into()),
            Err(LogError::Unavailable(error)) => {
                debug!(gateway, %error, "this gateway's place can't be held now")
            }
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}
