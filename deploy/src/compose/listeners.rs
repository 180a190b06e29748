//! What listens: bound before any part runs, so that a port in use stops nothing half-way.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::Addresses;
use crate::command::Failure;
use crate::config::Config;
use crate::role::Role;

/// Everything that somebody connects to.
pub(super) struct Listeners {
    /// MQTT; `None` without a gateway.
    pub mqtt: Option<TcpListener>,
    /// MQTT through TLS; `None` when it isn't wanted, or without a gateway.
    pub mqtts: Option<TcpListener>,
    /// Page and API; `None` without sinks.
    pub page: Option<TcpListener>,
    /// Metrics and health.
    pub health: TcpListener,
}

impl Listeners {
    /// Binds those of `role`.
    ///
    /// # Errors
    /// The first that can't be bound, by its key.
    pub async fn bind(config: &Config, role: Role) -> Result<Listeners, Failure> {
        let mqtts = match &config.tls {
            Some(tls) => listen_if(role.has_gateway(), "tls.listen", tls.listen).await?,
            None => None,
        };
        Ok(Listeners {
            mqtts,
            mqtt: listen_if(role.has_gateway(), "gateway.listen", config.gateway.listen).await?,
            page: listen_if(role.has_sinks(), "console.listen", config.console.listen).await?,
            health: listen("admin.listen", config.admin.listen).await?,
        })
    }

    /// Where they are.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn addresses(&self) -> Result<Addresses, Failure> {
        Ok(Addresses {
            mqtt: self.mqtt.as_ref().map(bound).transpose()?,
            mqtts: self.mqtts.as_ref().map(bound).transpose()?,
            console: self.page.as_ref().map(bound).transpose()?,
            admin: bound(&self.health)?,
        })
    }
}

async fn listen_if(is_wanted: bool, key: &str, address: SocketAddr) -> Result<Option<TcpListener>, Failure> {
    if is_wanted { listen(key, address).await.map(Some) } else { Ok(None) }
}

async fn listen(key: &str, address: SocketAddr) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| Failure::because(format_args!("{key} = \"{address}\""), &error))
}

fn bound(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(|error| Failure::because("listener", &error))
}
