//! The gateway: devices → telemetry.

use std::sync::Arc;

use gateway::Registry;
use tokio::net::TcpListener;

use super::{Site, registered};
use crate::clock;
use crate::command::Failure;
use crate::config::Config;

/// Starts it. Gives who may connect.
///
/// # Errors
/// The registry can't be opened.
pub(super) fn start(site: &mut Site<'_>, mqtt: TcpListener) -> Result<Arc<Registry>, Failure> {
    let registry =
        Registry::open(&site.folder.registry()).map_err(|error| Failure::because("registry", &error))?;
    let registry = Arc::new(registry);
    let metrics = Arc::new(registered(gateway::Metrics::register(&site.metrics))?);
    let limits = limits(site.config);
    site.supervisor.spawn("gateway", {
        let (log, registry) = (site.log.clone(), registry.clone());
        |stop| async move {
            Ok(gateway::run(mqtt, log, registry, clock::shared(), limits, metrics, stop).await?)
        }
    });
    Ok(registry)
}

fn limits(config: &Config) -> gateway::Limits {
    gateway::Limits {
        max_connections: usize::try_from(config.gateway.max_connections).unwrap_or(usize::MAX),
        max_payload: usize::try_from(config.gateway.max_payload_bytes).unwrap_or(usize::MAX),
        connect_timeout: config.gateway.connect_timeout,
        ..Default::default()
    }
}
