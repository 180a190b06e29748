//! What listens: bound before any part runs, so that a port in use stops nothing half-way.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::Addresses;
use crate::command::Failure;
use crate::config::Config;

/// Everything that somebody connects to.
pub(super) struct Listeners {
    /// MQTT.
    pub mqtt: TcpListener,
    /// Page and API.
    pub page: TcpListener,
    /// Metrics and health.
    pub health: TcpListener,
}

impl Listeners {
    /// Binds them all.
    ///
    /// # Errors
    /// The first that can't be bound, by its key.
    pub async fn bind(config: &Config) -> Result<Listeners, Failure> {
        Ok(Listeners {
            mqtt: listen("gateway.listen", config.gateway.listen).await?,
            page: listen("console.listen", config.console.listen).await?,
            health: listen("admin.listen", config.admin.listen).await?,
        })
    }

    /// Where they are.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn addresses(&self) -> Result<Addresses, Failure> {
        Ok(Addresses { mqtt: bound(&self.mqtt)?, console: bound(&self.page)?, admin: bound(&self.health)? })
    }
}

async fn listen(key: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| Failure::because(format_args!("{key} = \"{address}\""), &error))
}

fn bound(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(|error| Failure::because("listener", &error))
}
