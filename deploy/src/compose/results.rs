//! What came of the devices' words, back to the gateway's subscribers: alerts, aggregates, observations → MQTT.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use gateway::results::{self, Results};
use gateway::{Fanout, Metrics};
use kafka::ConnectError;
use records::LogError;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Site;
use crate::clock;
use crate::cluster::Cluster;
use crate::command::Failure;
use crate::engine::Engine;
use crate::supervise::Chain;

/// The reader's group.
const GROUP: &str = "mqtt";

/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// Why it has to begin again, or can't.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Meet(#[from] ConnectError),
    #[error(transparent)]
    Read(#[from] LogError),
}

/// Where the results are: in this process's own log, or, of a gateway with a spool, in the cluster.
pub(super) enum Whence {
    Log(Engine),
    Cluster(Box<Cluster>),
}

/// Starts it, when the configuration asks for it; a log keeps nothing for one that it doesn't ask for.
///
/// # Errors
/// The log can't be written.
pub(super) async fn start(
    site: &mut Site<'_>,
    whence: Whence,
    fanout: Arc<Fanout>,
    metrics: Arc<Metrics>,
) -> Result<(), Failure> {
    if site.config.publishes_results() {
        let results = Results { fanout, clock: clock::shared(), metrics, told: BTreeMap::new() };
        site.supervisor.spawn("results", |stop| async move { run(whence, results, stop).await });
    } else if let Whence::Log(log) = whence {
        log.forget(GROUP).await.map_err(|error| Failure::because("results", &error))?;
    }
    Ok(())
}

/// Begins again when the log can't be read: subscribers are owed nothing that is worth stopping a gateway for.
async fn run(
    whence: Whence,
    mut results: Results,
    stop: CancellationToken,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut is_down = false;
    loop {
        match turn(&whence, &mut results, &stop, &mut is_down).await {
            Ok(()) => return Ok(()),
            Err(
                error @ (Broken::Meet(ConnectError::Unavailable { .. })
                | Broken::Read(LogError::Unavailable(_))),
            ) => {
                if !is_down {
                    warn!("{}; subscribers to results wait, trying again every second", Chain(&error));
                }
                is_down = true;
            }
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

async fn turn(
    whence: &Whence,
    results: &mut Results,
    stop: &CancellationToken,
    is_down: &mut bool,
) -> Result<(), Broken> {
    let log = match whence {
        Whence::Log(log) => log.clone(),
        Whence::Cluster(cluster) => cluster.connect().await?,
    };
    if results.told.is_empty() {
        results.told = log.ends().await?;
    }
    if std::mem::take(is_down) {
        info!("results can be read again");
    }
    Ok(results::run(log.own_consumer(GROUP, results::TOPICS), results, stop).await?)
}
